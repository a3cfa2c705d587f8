"""Some of the tunnels, chosen among all, and the last events."""

from __future__ import annotations

import pytest

from tests.bench.bench_core import world_of
from tests.core.world import World, sa, status_of
from vtid.core.listing import EVENTS, briefs, choose, chosen
from vtid.model.input import ChildDown
from vtid.model.listing import Listing, Wanted
from vtid.model.status import TunnelState

OFFSET = 1_700_000_000.0


def listing(world: World, wanted: Wanted) -> Listing:
    found = briefs(world.state, searched=bool(wanted.text))
    return chosen(world.state, choose(found, wanted), OFFSET)


def test_the_whole_list_is_that_of_the_status() -> None:
    world = World().start([sa(1)])  # one tunnel is there, another one is awaited
    found = listing(world, Wanted())
    assert found.tunnels == status_of(world, clock_offset=OFFSET).tunnels
    assert {one.state for one in found.tunnels} == {TunnelState.UP, TunnelState.DOWN}
    assert (found.matching, found.first) == (len(found.tunnels), 0)


def test_a_refused_tunnel_that_is_awaited_is_in_error() -> None:
    world = World().start([sa(1, mark=None)])
    found = listing(world, Wanted(states=frozenset({TunnelState.ERROR})))
    assert [one.tunnel for one in found.tunnels] == ["V2-1"]
    assert found.tunnels[0].error


def test_parts() -> None:
    world = world_of(25)
    every = [one.tunnel for one in status_of(world).tunnels]
    parts = [listing(world, Wanted(first=first, count=10)) for first in (0, 10, 20)]
    assert [one.tunnel for part in parts for one in part.tunnels] == every
    beyond = listing(world, Wanted(first=500, count=10))
    assert (beyond.first, beyond.tunnels) == (20, parts[2].tunnels)
    nothing = listing(world, Wanted(first=500, count=10, text="no such"))
    assert (nothing.first, nothing.matching, nothing.tunnels) == (0, 0, ())


@pytest.mark.parametrize("text", ["VTI17", "c17", "2001:db8:9::11", "Peer-17"])
def test_text_is_found_in_any_case(text: str) -> None:
    world = world_of(25)
    one = sa(17, "c17", 17, ike_unique_id=17, remote_id="peer-17", remote_host="2001:db8:9::11")
    world.start([sa(1, "c1", 1), sa(2, "c2", 2), one])
    assert [one.tunnel for one in listing(world, Wanted(text=text)).tunnels] == ["vti17"]


def test_a_state() -> None:
    world = world_of(5)
    world.tell(ChildDown(3))
    found = listing(world, Wanted(states=frozenset({TunnelState.HOLDING})))
    assert ([one.tunnel for one in found.tunnels], found.matching) == (["vti3"], 1)


def test_a_tunnel_that_went_meanwhile_is_left_out() -> None:
    world = world_of(3)
    choice = choose(briefs(world.state, searched=False), Wanted())
    world.state._tunnels.forget(world.state.tunnels["vti2"])
    found = chosen(world.state, choice, OFFSET)
    assert [one.tunnel for one in found.tunnels] == ["vti1", "vti3"]
    assert "vti2" not in {one.tunnel for one in found.events}


def test_the_last_events_are_those_of_all_tunnels() -> None:
    world = world_of(30)
    expected = sorted(
        (
            (past.at + OFFSET, tunnel.label)
            for tunnel in world.state.tunnels.values()
            for past in tunnel.history
        ),
        reverse=True,
    )
    assert len(expected) > EVENTS
    found = listing(world, Wanted(count=1)).events
    assert [one.past.at for one in found] == [at for at, _ in expected[:EVENTS]]
    assert all((one.past.at, one.tunnel) in expected for one in found)


def test_what_is_not_searched_is_not_made() -> None:
    assert {one.text for one in briefs(world_of(2).state, searched=False)} == {""}
