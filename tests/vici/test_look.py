"""What charon is asked about itself, and one that lacks some of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.vici.fake_charon import FakeCharon, event, response
from vtid.vici.look import look

if TYPE_CHECKING:
    from pathlib import Path


async def _connections(charon: FakeCharon) -> None:
    net, bypass = {"mode": "TUNNEL"}, {"mode": "PASS"}
    charon.send(event("list-conn", {"site": {"children": {"net": net, "voice": net}}}))
    charon.send(event("list-conn", {"shunts": {"children": {"lan": bypass}}}))
    charon.send(response())


async def test_connections_and_their_children(tmp_path: Path) -> None:
    async with FakeCharon.at(tmp_path / "vici") as charon:
        charon.handlers["list-conns"] = _connections
        facts = await look(charon.path)
    assert facts.connections == 2
    assert facts.children == (("site", "net"), ("site", "voice"))


async def test_a_charon_without_the_list_tells_the_rest(tmp_path: Path) -> None:
    async with FakeCharon.at(tmp_path / "vici") as charon:
        charon.unknown_events.add("list-conn")
        facts = await look(charon.path)
    assert (facts.connections, facts.children) == (None, ())
    assert "stats" in charon.asked
