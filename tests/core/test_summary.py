"""The summary: counts that are kept, and what is wrong since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.bench_core import world_of
from tests.core.world import LAB, World, sa, status_of
from tests.counting import bytecodes
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.summary import TROUBLES_SHOWN, summary
from vtid.model.bgp import BgpState
from vtid.model.input import BirdGone, BirdState, ChildDown, ChildUp, NetnsLost, ViciLost
from vtid.model.operation import CreateLink
from vtid.model.status import Trouble, TunnelState

if TYPE_CHECKING:
    from vtid.core.state import State
    from vtid.model.status import Summary


def of(state: State, *troubles: Trouble, last: tuple[Trouble, ...] = ()) -> Summary:
    return summary(
        state,
        version="1",
        started_at=0,
        config_loaded_at=0,
        waiting_for=(),
        clock_offset=1e6,
        troubles=troubles,
        last=last,
    )


def said(world: World) -> list[tuple[str, str, float]]:
    return [(one.subject, one.error, one.since) for one in of(world.state).troubles]


def counts(world: World) -> dict[str, int]:
    found = dict.fromkeys(map(str, TunnelState), 0)
    for one in status_of(world).tunnels:
        found[one.state] += 1
    return found


def test_the_counts_are_those_of_the_whole_status() -> None:
    world = World().start([sa(1), sa(2, "V2-2", 4)])
    seen = [of(world.state).tunnels]
    for event in (ChildDown(1), ViciLost("gone"), NetnsLost("private", "missing")):
        world.tell(event)
        assert of(world.state).tunnels == counts(world)
        seen.append(of(world.state).tunnels)
    assert seen[0]["up"] == 2
    assert len({tuple(one.values()) for one in seen}) > 1


def test_what_never_came_up_counts_as_down_or_as_error() -> None:
    assert of(World().start().state).tunnels["down"] == 2
    refused = World().start([sa(1, mark=None)])
    assert of(refused.state).tunnels == counts(refused)
    assert of(refused.state).tunnels["error"] == 1


def test_each_trouble_has_its_time_until_it_is_over() -> None:
    world = World().start([sa(1)])
    assert said(world) == []
    world.now = 2000.0
    world.tell(BirdState("main", connected=False, error="refused"))
    world.now = 2010.0
    world.tell(BirdState("main", connected=False, error="refused again"))
    world.tell(ViciLost("gone"), ViciLost("refused"))
    world.now = 2020.0
    world.tell(NetnsLost("private", "missing"), ChildUp(sa(9, "V2-1", None)))
    assert said(world)[:3] == [
        ("charon", "refused", 1e6 + 2010),
        ("namespace private", "missing", 1e6 + 2020),
        ("bird main", "refused again", 1e6 + 2000),
    ]
    assert "has no mark" in said(world)[3][1]
    assert said(world)[3][2] == 1e6 + 2020
    world.tell(BirdState("main", connected=True), ChildDown(9))
    world.tell(world.links_in("private"), world.clamps_in("private"))
    assert [subject for subject, _, _ in said(world)] == ["charon"]
    world.tell(BirdState("main", connected=False), BirdGone("main"))
    assert [subject for subject, _, _ in said(world)] == ["charon"]


def test_a_lost_namespace_is_told_once_and_not_for_each_tunnel() -> None:
    world = World().start([sa(1)])
    world.tell(NetnsLost("private", "missing"))
    assert of(world.state).tunnels["error"] == 1
    assert [subject for subject, _, _ in said(world)] == ["namespace private"]


def test_a_tunnel_in_error_says_why_since_when_until_it_is_well() -> None:
    world = World(failing={CreateLink: "no"}).start()
    world.now = 3000.0
    world.tell(ChildUp(sa(1)))
    assert said(world) == [("V2-1", "no", 1e6 + 3000)]
    world.failing.clear()
    world.pass_time(61)
    assert said(world) == []


def test_what_no_tunnel_suffers_from_comes_last() -> None:
    world = World(failing={CreateLink: "no"}).start()
    world.tell(ChildUp(sa(1)), ViciLost("gone"))
    found = of(world.state, last=(Trouble("hooks", "refused", 5.0),))
    assert [one.subject for one in found.troubles] == ["charon", "V2-1", "hooks"]


def test_what_the_daemon_adds_comes_first_and_only_some_are_shown() -> None:
    text = '[[tunnel]]\nconnection = "c*"\ninterface = "vti{mark}"\n'
    world = World(config=load(text), failing={CreateLink: "no"}).start()
    for number in range(1, 31):
        world.tell(ChildUp(sa(number, f"c{number}", number)))
    own = Trouble("configuration", "refused", 5.0)
    found = of(world.state, own)
    assert found.troubles[0] == own
    assert len(found.troubles) == TROUBLES_SHOWN
    assert found.more_troubles + TROUBLES_SHOWN == 31


def test_a_bird_is_told_in_a_few_words() -> None:
    world = World().start()
    sessions = (
        BgpState("a", "up", "Established", ""),
        BgpState("b", "start", "Active", ""),
    )
    world.tell(BirdState("main", connected=True, version="2.0.12", protocols=sessions))
    (bird,) = of(world.state).birds
    assert (bird.instance, bird.sessions, bird.established) == ("main", 2, 1)


def test_synced_is_when_nothing_is_left_to_do() -> None:
    world = World().start([sa(1)])
    assert of(world.state).synced
    world.state.apply(ChildDown(1), world.now)
    assert not of(world.state).synced
    world.state.work(world.now)
    assert of(world.state).synced, "a hold time is no work"
    ops = world.state.work(world.now + 60)
    assert ops
    assert not of(world.state).synced
    assert not of(World(failing={CreateLink: "no"}).start([sa(1)]).state).synced
    world.tell(ViciLost("gone"))
    assert not of(world.state).synced


def cost(tunnels: int) -> int:
    world = world_of(tunnels)
    with bytecodes() as counter:
        of(world.state)
    return counter.count


def test_it_costs_the_same_with_many_tunnels() -> None:
    assert cost(200) <= 1.05 * cost(10)


def test_what_is_under_way_counts_until_it_is_answered() -> None:
    world = World().start([sa(1)])
    assert of(world.state).under_way == 0
    world.state.apply(ConfigLoaded(LAB), world.now)
    due = of(world.state).under_way
    assert due == len(world.state.tunnels) > 0
    world.settle()
    world.state.apply(ChildUp(sa(2, "V2-2", 4)), world.now)
    ops = world.state.work(world.now)
    assert (of(world.state).under_way, bool(ops)) == (1, True)
    world.run(ops)
    while world.inbox:
        world.state.apply(world.inbox.popleft(), world.now)
    world.settle()
    assert of(world.state).under_way == 0
