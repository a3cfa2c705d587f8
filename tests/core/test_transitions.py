"""Transitions: what is told of tunnels that come up, change and go down, and what is not."""

from __future__ import annotations

from dataclasses import replace

from tests.core.world import LAB, LAB_TEXT, World, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.transitions import Transition, Turn
from vtid.model.input import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    FlushAsked,
    LinkGone,
    UnderlaySeen,
)
from vtid.model.status import TunnelState

HOOKS = '[daemon]\nhooks = "/etc/vtid/hooks.d"\n'
WITH = load(HOOKS + LAB_TEXT)


def told(world: World) -> list[Transition]:
    return world.state.transitions.take()


def turns(world: World) -> list[tuple[Turn, str]]:
    return [(one.turn, one.facts.tunnel) for one in told(world)]


def started(*sas: int) -> World:
    return World(WITH).start([sa(one) for one in sas])


def test_nothing_is_kept_while_nobody_is_told() -> None:
    world = World(LAB).start([sa(1)])
    assert told(world) == []


def test_a_tunnel_that_comes_up_is_told_with_its_facts() -> None:
    world = started()
    world.tell(ChildUp(sa(1, remote_id="peer.example")))
    (up,) = told(world)
    assert (up.turn, up.initial, up.changed, up.state) == (Turn.UP, False, (), TunnelState.UP)
    facts = up.facts
    assert (facts.tunnel, facts.interface, facts.netns) == ("V2-1", "vti3", "private")
    assert (facts.connection, facts.child) == ("V2-1", "net")
    assert (facts.local, facts.peer) == ("2001:db8:1::1", "2001:db8:2::1")
    assert facts.peer_id == "peer.example"
    assert facts.addresses == ("169.254.1.0/31", "2001:db8:ff::/127")
    assert facts.mtu > 1280
    assert facts.mss6 == facts.mtu - 60
    assert facts.mss4 == facts.mtu - 40
    assert facts.ifindex > 0


def test_a_rekey_is_not_told() -> None:
    world = started(1)
    told(world)
    world.tell(ChildRekeyed(1, sa(2)), ChildDown(1))
    assert told(world) == []


def test_another_mtu_and_another_peer_are_changes() -> None:
    world = started(1)
    told(world)
    world.underlay_mtu = 1400
    world.tell(UnderlaySeen("2001:db8:1::1", "2001:db8:2::1", 1400, "eth0"))
    (change,) = told(world)
    assert (change.turn, change.changed) == (Turn.CHANGE, ("mtu", "mss4", "mss6"))
    moved = replace(sa(2), remote_host="2001:db8:2::9")
    world.tell(ChildRekeyed(1, moved), ChildDown(1))
    found = told(world)
    assert {one.turn for one in found} == {Turn.CHANGE}
    assert found[-1].facts.peer == "2001:db8:2::9"


def test_a_tunnel_that_goes_is_told_once_with_what_it_had() -> None:
    world = started()
    world.tell(ChildUp(sa(1)))
    (up,) = told(world)
    world.tell(ChildDown(1))
    (down,) = told(world)
    assert (down.turn, down.facts, down.state) == (Turn.DOWN, up.facts, TunnelState.HOLDING)
    assert down.reason
    world.pass_time(60)
    assert told(world) == []
    world.tell(ChildUp(sa(2)))
    assert turns(world) == [(Turn.UP, "V2-1")]


def test_those_that_are_up_when_vtid_begins_are_told_as_such() -> None:
    world = started()
    world.tell(ChildUp(sa(1)))
    again = world.start([sa(1)])
    assert [(one.turn, one.initial) for one in told(again)] == [(Turn.UP, True)]
    again.tell(ChildDown(1), ChildUp(sa(2)))
    assert [(one.turn, one.initial) for one in told(again)] == [
        (Turn.DOWN, False),
        (Turn.UP, False),
    ]


def test_hooks_that_a_reload_brings_are_told_of_all_and_then_no_more() -> None:
    world = World(LAB).start()
    world.tell(ChildUp(sa(1)))
    world.tell(ConfigLoaded(WITH))
    assert [(one.turn, one.initial) for one in told(world)] == [(Turn.UP, True)]
    world.tell(ConfigLoaded(LAB), ChildDown(1))
    assert told(world) == []


def test_a_flush_and_a_policy_that_is_gone_take_tunnels_down() -> None:
    world = started(1)
    told(world)
    world.tell(FlushAsked())
    assert turns(world) == [(Turn.DOWN, "V2-1")]
    world.tell(ConfigLoaded(WITH))
    assert turns(world) == [(Turn.UP, "V2-1")]
    world.tell(ConfigLoaded(load(HOOKS)))
    world.pass_time(60)
    assert turns(world) == [(Turn.DOWN, "V2-1")]
    assert world.state.tunnels == {}


def test_peers_that_share_an_interface_are_not_told_as_one() -> None:
    shared = LAB_TEXT.replace('"vti{mark}"', '"vti3"\nremote = "any"')
    world = World(load(HOOKS + shared)).start([sa(1), sa(2, remote_host="2001:db8:2::7")])
    (up,) = told(world)
    assert (up.facts.local, up.facts.peer, up.facts.peer_id) == ("", "", "")


def test_an_interface_that_somebody_deletes_and_vtid_makes_again_is_a_change() -> None:
    world = started(1)
    told(world)
    index = world.index_of("private", "vti3")
    assert index
    del world.links["private", index]
    world.addresses.pop(("private", index))
    world.routes.pop(("private", index), None)
    world.tell(LinkGone("private", index))
    (change,) = told(world)
    assert (change.turn, change.changed) == (Turn.CHANGE, ("ifindex",))
    assert change.facts.ifindex == world.index_of("private", "vti3")


def test_a_change_is_told_once_however_its_echoes_come() -> None:
    world = started(1)
    told(world)
    world.underlay_mtu = 1400
    world.inbox.append(UnderlaySeen("2001:db8:1::1", "2001:db8:2::1", 1400, "eth0"))
    while world.inbox:
        world.state.apply(world.inbox.popleft(), world.now)
        world.run(world.state.work(world.now))
    (change,) = told(world)
    assert change.changed == ("mtu", "mss4", "mss6")
