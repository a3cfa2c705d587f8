"""Paths: what the kernel learnt of the way to a peer, and when it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.bench_core import configuration, world_of
from tests.core.world import World, sa
from vtid.config.load import load
from vtid.core.paths import EXPIRED, LOOKUP_AGAIN
from vtid.core.pmtud import CONFIRMATION_TIMER
from vtid.core.probing import BATCH
from vtid.model.input import (
    ChildDown,
    ChildUp,
    LearntSeen,
    ModeAsked,
    NetnsLost,
    UnderlayChanged,
    UnderlaySeen,
)
from vtid.model.link import Clamp
from vtid.model.mode import Mode
from vtid.model.operation import ProbeUnderlay

if TYPE_CHECKING:
    from vtid.model.input import Input
    from vtid.model.sa import ChildSa

PEER = "2001:db8:2::1"
LISTED = LearntSeen(((PEER, (1400,)),))
COMPUTED, LESS = 1426, 1326
"""Bytes; AES-GCM in IPv6 with 1,500 and with 1,400 outside."""

CROWD = load('[[tunnel]]\nconnection = "rw"\ninterface = "vti0"\nremote = "any"\n')


def mtu(world: World) -> int:
    link = world.link()
    assert link is not None
    return link.mtu


def lookups(world: World) -> int:
    return sum(isinstance(op, ProbeUnderlay) for op in world.done)


def road(number: int) -> ChildSa:
    """One of the peers that share an interface."""
    return sa(number, "rw", remote_host=f"2001:db8:9::{number}")


def notes(world: World) -> list[tuple[str, str]]:
    taken = world.state.take_notes()
    return [(note.event, note.detail) for note in taken if note.event.startswith("path MTU")]


def learns(expires: float = 600.0) -> World:
    """A world whose kernel learnt something after a tunnel came up, and vtid was told."""
    world = World().start([sa(1)])
    world.state.take_notes()
    world.learnt, world.expires = 1400, expires
    world.done.clear()
    world.tell(LISTED)
    return world


def test_what_is_listed_is_looked_up_and_counts() -> None:
    world = learns()
    assert lookups(world) == 1
    assert mtu(world) == LESS
    assert world.clamps["private", "vti3"] == Clamp(LESS - 40, LESS - 60)
    reason = world.state.tunnels["private/vti3"].desired.reason
    assert "outer MTU 1400 learnt, instead of 1500 on eth0" in reason
    words = f"1400 bytes to {PEER}, where the route has 1500 on eth0; known for another 600 s"
    assert notes(world) == [("path MTU learnt", words)]


def test_a_path_that_is_new_has_it_at_once() -> None:
    assert mtu(World(learnt=1400).start([sa(1)])) == LESS


def test_what_expires_is_looked_up_then_and_no_sooner() -> None:
    world = learns(600.0)
    world.learnt = 0
    notes(world)
    world.pass_time(600.0)
    assert mtu(world) == LESS
    world.pass_time(EXPIRED + 0.1)
    assert mtu(world) == COMPUTED
    ((event, _),) = notes(world)
    assert event == "path MTU forgotten"
    world.done.clear()
    world.pass_time(3600)
    assert not world.done


def test_a_route_with_another_mtu_is_told() -> None:
    world = World().start([sa(1)])
    assert "route MTU changed" not in {each.event for each in world.state.take_notes()}
    world.underlay_mtu = 1400
    world.tell(UnderlayChanged())
    (note,) = (each for each in world.state.take_notes() if each.event == "route MTU changed")
    assert note.detail == f"1400 bytes to {PEER} by eth0, 1500 before"


def test_what_was_learnt_again_meanwhile_stays() -> None:
    """A router goes on telling: each lookup ends later, and nothing is changed or said."""
    world = learns(10.0)
    notes(world)
    world.done.clear()
    for _ in range(20):
        world.pass_time(10.0 + EXPIRED + 0.1)
    assert lookups(world) == len(world.done) == 20
    assert not notes(world)


@pytest.mark.parametrize("second", [LISTED, LearntSeen(())])
def test_only_what_differs_from_the_last_list_is_looked_up(second: LearntSeen) -> None:
    world = learns()
    world.done.clear()
    world.tell(second)
    assert lookups(world) == (0 if second == LISTED else 1)


def test_what_a_lookup_found_and_is_not_listed_is_looked_up() -> None:
    """It was learnt and flushed between two listings, so that these do not differ."""
    world = World(learnt=1400).start([sa(1)])
    world.learnt = 0
    world.tell(LearntSeen(()))
    assert mtu(world) == COMPUTED


def test_a_list_about_others_leads_to_nothing() -> None:
    world = World().start([sa(1)])
    world.done.clear()
    world.tell(LearntSeen((("192.0.2.77", (600,)),)))
    assert not world.done


def test_a_lookup_that_failed_is_done_again() -> None:
    world = World().start([sa(1)])
    world.failing, world.underlay_mtu = {ProbeUnderlay: "Cannot allocate memory"}, 1400
    world.tell(UnderlayChanged())
    assert mtu(world) == COMPUTED
    world.failing = {}
    world.pass_time(LOOKUP_AGAIN)
    assert mtu(world) == LESS
    world.done.clear()
    world.pass_time(3600)
    assert not world.done


def test_a_lookup_that_fails_for_long_goes_on() -> None:
    world = World().start([sa(1)])
    world.failing, world.underlay_mtu = {ProbeUnderlay: "Cannot allocate memory"}, 1400
    world.tell(UnderlayChanged())
    for _ in range(100):
        world.pass_time(LOOKUP_AGAIN)
    world.failing = {}
    world.pass_time(60 + LOOKUP_AGAIN)
    assert mtu(world) == LESS


def test_a_path_that_is_due_is_not_forgotten_for_one_that_is_new() -> None:
    """While a path is unknown, a tunnel asks for that one only."""
    world = World(config=CROWD).start([road(1), road(2)])
    world.underlay_mtu = 1400
    world.state.apply(UnderlayChanged(), world.now)
    world.tell(ChildUp(road(3)))
    assert {known.mtu for known in world.state.underlay.values()} == {1400}


def test_a_route_that_changes_keeps_what_was_learnt() -> None:
    world = learns()
    world.underlay_mtu = 9000
    world.tell(UnderlayChanged())
    assert mtu(world) == LESS
    world.learnt = 0
    world.pass_time(world.expires + EXPIRED + 0.1)
    assert mtu(world) > COMPUTED


def test_of_many_peers_on_one_interface_each_expires_alone() -> None:
    """Otherwise a thousand that expire one by one would be a million lookups."""
    world = World(config=CROWD, learnt=1400).start()
    for number in range(1, 6):
        world.expires = 100.0 * number
        world.tell(ChildUp(road(number)))
    world.done.clear()
    world.learnt = 0
    world.pass_time(EXPIRED + 0.1)
    for passed in range(1, 6):
        world.pass_time(100.0)
        assert lookups(world) == passed


# --- many tunnels to one peer -------------------------------------------------------------------


def test_a_probe_without_answer_is_looked_into_for_its_own_tunnel() -> None:
    """Otherwise a peer that is gone would be looked up by each tunnel for each of them."""
    assert doubts(8) == 8 * doubts(1) > 0


def doubts(tunnels: int) -> int:
    """Lookups that follow when a peer answers the probes of its tunnels no more."""
    world = World(config=configuration(tunnels), passes=COMPUTED).start()
    for number in range(1, tunnels + 1):
        world.tell(ChildUp(sa(number, f"c{number}", number)))
        run(world, 1.0)
    run(world, CONFIRMATION_TIMER)
    world.passes = 0
    world.done.clear()
    run(world, 3 * CONFIRMATION_TIMER)
    return lookups(world)


def run(world: World, seconds: float) -> None:
    until = world.now + seconds
    while world.now < until:
        world.pass_time(BATCH)


def test_who_did_not_ask_asks_the_next_time() -> None:
    world = world_of(3)
    world.learnt, world.expires = 1400, 100.0
    world.tell(UnderlayChanged())
    world.learnt = 0
    world.tell(UnderlaySeen("2001:db8:1::1", PEER, 1500, "eth0"))
    world.done.clear()
    world.pass_time(100.0 + EXPIRED + 0.1)
    assert lookups(world) == 0, "it is over, as another's lookup found"
    world.tell(UnderlaySeen("2001:db8:1::1", PEER, 0, error="no route"))
    world.pass_time(LOOKUP_AGAIN + 0.1)
    assert lookups(world) == 3


@pytest.mark.parametrize(
    "event",
    [None, ModeAsked(Mode.PAUSED, ("V2-1",)), NetnsLost("private", "missing"), ChildDown(1)],
)
def test_a_path_without_route_is_looked_up_whatever_becomes_of_its_first_user(
    event: Input | None,
) -> None:
    world = World().start([sa(1), sa(2, "V2-2", mark=4)])
    if event:
        world.tell(event)
    world.underlay_mtu = 0
    world.tell(UnderlayChanged())
    world.done.clear()
    for _ in range(4):
        world.pass_time(LOOKUP_AGAIN + 0.1)
    assert lookups(world) >= 3
    world.underlay_mtu = 1300
    world.pass_time(LOOKUP_AGAIN + 0.1)
    second = world.link("fixed0", "")
    assert second
    assert second.mtu < COMPUTED
