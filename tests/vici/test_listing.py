"""The lists that are asked for once, and what goes wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vici.fake_charon import FakeCharon, event, response
from vtid.model.connection import ChildConfig, Connection
from vtid.vici.channel import Limits, ViciError
from vtid.vici.listing import listing

if TYPE_CHECKING:
    from pathlib import Path

FAST = Limits(answer=0.5, part=0.5)


async def _lists(charon: FakeCharon) -> None:
    children = {"net": {"mode": "TUNNEL", "local-ts": ["::/0"], "remote-ts": ["dynamic"]}}
    section = {"remote_addrs": ["%any"], "remote-1": {"class": "psk"}, "children": children}
    charon.send(event("list-conn", {"site": section}))
    charon.send(event("list-conn", {"broken": {"children": "none"}}))
    charon.send(response())


async def test_connections_are_listed(tmp_path: Path) -> None:
    async with FakeCharon.at(tmp_path / "vici") as charon:
        charon.handlers["list-conns"] = _lists
        found = await listing(charon.path)
    net = ChildConfig("net", "TUNNEL", ("::/0",), ("dynamic",))
    assert found.version == "5.9.8"
    assert found.connections == (
        Connection("site", (), ("%any",), ("%any",), (net,)),
        Connection("broken"),
    )
    assert found.sas == ()


async def test_a_charon_that_goes_away_or_hangs(tmp_path: Path) -> None:
    async def hang_up(charon: FakeCharon) -> None:
        charon.hang_up()

    async def hang(_charon: FakeCharon) -> None: ...

    async with FakeCharon.at(tmp_path / "vici") as charon:
        charon.handlers["list-conns"] = hang_up
        with pytest.raises(ViciError, match="it has ended or is restarting"):
            await listing(charon.path, FAST)
        charon.handlers["list-conns"] = hang
        with pytest.raises(ViciError, match="did not answer 'list-conns'"):
            await listing(charon.path, FAST)
    with pytest.raises(ViciError, match="is absent"):
        await listing(str(tmp_path / "none"), FAST)
