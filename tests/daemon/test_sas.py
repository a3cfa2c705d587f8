"""Which SAs an operator gets to see, and for which tunnels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.core.test_random_walk import EVERY_KIND
from tests.core.world import World, sa
from tests.vici.fake_charon import FakeCharon, event, response
from vtid.daemon.sas import list_sas
from vtid.http.api import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def whole() -> None:
    """Nobody else works on the state."""


def ike(number: int, name: str, host: str, *children: int) -> dict[str, Any]:
    """One IKE_SA as charon lists it."""
    listed = {f"net-{one}": {"uniqueid": str(one), "name": "net"} for one in children}
    about = {"uniqueid": str(number), "remote-host": host, "remote-id": f"id-{name}"}
    return {name: {**about, "child-sas": listed}}


LISTED = (
    ike(1, "V2-1", "2001:db8:2::1", 1),
    ike(2, "V2-2", "2001:db8:2::2"),
    ike(3, "each", "2001:db8:2::6", 6),
    ike(4, "each", "2001:db8:2::7", 7),
    ike(5, "stranger", "2001:db8:9::1", 9),
)


@pytest.fixture
def world() -> World:
    return World(config=EVERY_KIND).start(
        [
            sa(1),
            sa(6, "each", 9, remote_host="2001:db8:2::6", remote_id="carol"),
            sa(7, "each", 10, remote_host="2001:db8:2::7", remote_id="dave"),
            sa(9, "stranger", 11, remote_host="2001:db8:9::1"),
        ]
    )


@pytest.fixture
async def charon(tmp_path: Path) -> AsyncIterator[FakeCharon]:
    async def answer(charon: FakeCharon) -> None:
        for one in LISTED:
            charon.send(event("list-sa", one))
        charon.send(response())

    async with FakeCharon.at(tmp_path / "vici") as fake:
        fake.handlers["list-sas"] = answer
        yield fake


async def test_each_child_names_its_tunnel(world: World, charon: FakeCharon) -> None:
    found = (await list_sas(world.state, charon.path, whole=whole)).ike_sas
    tunnels = {one.unique_id: [child.tunnels for child in one.children] for one in found}
    assert tunnels == {1: [("V2-1",)], 2: [], 3: [("rw-carol",)], 4: [("rw-dave",)], 5: [()]}


@pytest.mark.parametrize(
    ("tunnel", "peer", "numbers"),
    [
        ("V2-1", "", [1]),
        ("fixed0", "", [2]),
        ("rw-dave", "", [4]),
        ("", "2001:db8:2::?", [1, 2, 3, 4]),
        ("", "id-each", [3, 4]),
        ("rw-dave", "2001:db8:2::6", []),
    ],
)
async def test_filters(
    world: World, charon: FakeCharon, tunnel: str, peer: str, numbers: list[int]
) -> None:
    found = (await list_sas(world.state, charon.path, tunnel, peer, whole=whole)).ike_sas
    assert [one.unique_id for one in found] == numbers


async def test_a_charon_that_is_away(world: World, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="is absent"):
        await list_sas(world.state, str(tmp_path / "none"), whole=whole)
