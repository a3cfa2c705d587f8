"""What the operator asks for, where it must hold nothing up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.bench.bench_core import world_of
from tests.bench.bench_page import Shown
from tests.counting import bytecodes
from vtid import turns
from vtid.config.load import load
from vtid.core.listing import briefs, choose, chosen
from vtid.daemon.daemon import Daemon
from vtid.http.api import Plan
from vtid.model.input import LinkGone
from vtid.model.listing import Wanted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST", 0.0)


async def test_a_listing_is_made_in_turns() -> None:
    passed = 0

    def count() -> None:
        nonlocal passed
        passed += 1
        loop.call_soon(count)

    loop = asyncio.get_running_loop()
    loop.call_soon(count)
    found = await Shown(world_of(60)).listing(Wanted(text="vti", count=10))
    assert (found.matching, len(found.tunnels)) == (60, 10)
    assert passed > 3


async def test_tunnels_may_come_and_go_meanwhile() -> None:
    world = world_of(40)
    asked = asyncio.create_task(Shown(world).listing(Wanted()))
    await asyncio.sleep(0)
    for name in [*world.state.tunnels][::2]:
        world.state._tunnels.forget(world.state.tunnels[name])
    found = await asked
    assert found.tunnels
    assert {one.tunnel for one in found.tunnels} <= {*world.state.tunnels}


def cost(tunnels: int) -> int:
    """Bytecodes of what is done in one turn, for ten tunnels of so many."""
    state = world_of(tunnels).state
    choice = choose(briefs(state, searched=False), Wanted(count=10))
    with bytecodes() as counter:
        chosen(state, choice, 0.0)
    return counter.count


def test_what_is_listed_costs_the_same_among_many() -> None:
    assert cost(200) <= 1.05 * cost(30)


async def test_many_tunnels_are_planned_in_turns(tmp_path: Path) -> None:
    world = world_of(30)
    daemon = Daemon(load(""), tmp_path / "vtid.toml")
    object.__setattr__(daemon.operator, "state", world.state)
    assert await daemon.operator.plan() == Plan()
    for netns, index in list(world.links):
        world.state.apply(LinkGone(netns, index), world.now)
    told = asyncio.create_task(daemon.operator.plan())
    rounds = 0
    while not told.done():
        await asyncio.sleep(0)
        rounds += 1
    assert (await told).ops == world.state.preview(world.now)
    assert rounds >= 30
