"""An interface that somebody else made: left alone, and vtid's own once the operator wants it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.core.world import World, sa
from vtid.core.adoption import adoption
from vtid.model.counts import LinkCounters
from vtid.model.input import AdoptAsked, ModeAsked
from vtid.model.mode import Mode
from vtid.model.operation import AdoptLink, CreateLink, Op, ProbeUnderlay, SetClamp, SetLink
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from vtid.model.link import Link

PLACE = ("private", 500)
NAME = "private/vti3"


def wanted() -> Link:
    """The interface as vtid makes it."""
    link = World().start([sa(1)]).link()
    assert link
    return link


def script(world: World, **facts: object) -> World:
    """Let a script make the interface that vtid wants, but for these facts."""
    as_scripts_do = replace(wanted(), alias="", mtu=1400, disable_policy=False)
    world.strangers[PLACE] = replace(as_scripts_do, **facts)  # type: ignore[arg-type]
    world.addresses[PLACE] = {"169.254.1.0/31", "10.9.9.9/32"}
    return world


def kinds(ops: list[Op]) -> list[str]:
    return [type(op).__name__ for op in ops]


def error(world: World) -> str:
    return world.state.error_of(world.state.tunnels[NAME])


def test_without_the_command_it_stays_as_it_is() -> None:
    world = script(World())
    before = dict(world.strangers)
    world.start([sa(1)])
    world.pass_time(600)
    assert world.state.tunnels[NAME].state is TunnelState.ERROR
    assert world.strangers == before
    assert not world.links


def test_adopted_only_what_differs_is_changed() -> None:
    world = script(World()).start([sa(1)])
    ops = world.tell(AdoptAsked((NAME,)))
    assert kinds(ops) == ["AdoptLink", "SetLink", "AddAddress", "SetClamp", "PutBird"]
    (changed,) = (op for op in ops if isinstance(op, SetLink))
    assert set(changed.changes) == {"mtu", "disable_policy"}
    assert world.links == {PLACE: wanted()}
    assert world.addresses[PLACE] == {"169.254.1.0/31", "2001:db8:ff::/127", "10.9.9.9/32"}
    assert world.state.adoptions.answers == {NAME: ""}
    assert world.state.tunnels[NAME].state is TunnelState.UP


def test_a_converged_one_costs_its_owner_only() -> None:
    world = script(World(), mtu=wanted().mtu, disable_policy=True)
    world.addresses[PLACE] |= {"2001:db8:ff::/127"}
    world.start([sa(1)])
    ops = world.tell(AdoptAsked((NAME,)))
    assert kinds(ops) == ["AdoptLink", "SetClamp", "PutBird"]


def test_an_address_of_the_script_goes_once_it_is_no_longer_configured() -> None:
    world = script(World()).start([sa(1)])
    world.tell(AdoptAsked((NAME,)))
    ours = world.state.tunnels[NAME].our_addresses
    assert "169.254.1.0/31" in ours
    assert "10.9.9.9/32" not in ours


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"kind": "dummy"}, "kind dummy instead of vti6"),
        ({"ikey": 7, "okey": 8}, "inbound mark (ikey) 7 instead of 3, outbound mark (okey) 8"),
        ({"remote": "2001:db8:9::9"}, "remote address 2001:db8:9::9 instead of 2001:db8:2::1"),
        ({"vrf": "red"}, "VRF red instead of none"),
        ({"outer_netns_ok": False}, "its outer side is in another namespace"),
    ],
)
def test_what_is_not_wanted_is_refused_with_each_difference(
    facts: dict[str, object], words: str
) -> None:
    world = script(World(), **facts)
    before = dict(world.strangers)
    world.start([sa(1)])
    world.tell(AdoptAsked((NAME,)))
    assert words in world.state.adoptions.answers[NAME]
    world.pass_time(600)
    assert world.strangers == before
    assert "belongs to someone else" in error(world), "the next try is to create, as before"


def test_all_takes_what_is_wanted_and_nothing_else() -> None:
    world = script(World())
    world.strangers["private", 501] = replace(wanted(), name="other")
    world.start([sa(1), sa(2, "V2-2", remote_host="2001:db8:2::2")])
    world.tell(AdoptAsked())
    assert set(world.strangers) == {("private", 501)}
    assert world.state.adoptions.answers == {NAME: ""}


def test_where_there_is_none_it_is_made() -> None:
    world = World(failing={CreateLink: "no"}).start([sa(1)])
    world.failing = {}
    ops = world.tell(AdoptAsked((NAME,)))
    assert kinds(ops)[:2] == ["AdoptLink", "CreateLink"]


def test_a_wish_does_not_wait_for_a_back_off() -> None:
    world = script(World()).start([sa(1)])
    assert world.pass_time(0.1) == []
    assert AdoptLink in map(type, world.tell(AdoptAsked((NAME,))))


def test_a_wish_ends_with_the_lookup_that_it_waits_for() -> None:
    world = script(World(failing={ProbeUnderlay: "no route"})).start([sa(1)])
    assert not world.tell(AdoptAsked((NAME,)))
    assert world.state.adoptions.answers == {NAME: "no route"}


@pytest.mark.parametrize("name", [NAME, "V2-1"])
def test_a_wish_for_a_paused_tunnel_ends_without_effect(name: str) -> None:
    world = script(World()).start([sa(1)])
    world.tell(ModeAsked(Mode.PAUSED))
    assert world.tell(AdoptAsked((name,))) == []
    world.tell(ModeAsked(Mode.MANAGED))
    assert set(world.strangers) == {PLACE}


def test_it_is_counted_from_then_on() -> None:
    world = script(World()).start([sa(1)])
    world.counted[500] = LinkCounters(1000)
    assert world.state.preview(world.now)
    world.tell(AdoptAsked((NAME,)))
    world.state.count_traffic("private", [(500, LinkCounters(1500))])
    tally = world.state.tunnels[NAME].tally
    assert tally
    assert tally.traffic
    assert tally.traffic.rx_bytes == 500


def test_what_is_under_way_is_one_operation() -> None:
    """Nothing is planned beside it: what there is on the interface is not known yet."""
    world = script(World()).start([sa(1)])
    tunnel = world.state.tunnels[NAME]
    (op,) = adoption(tunnel, tunnel.desired)
    assert op.link == wanted()
    assert set(op.addresses) == {"169.254.1.0/31", "2001:db8:ff::/127"}
    assert SetClamp not in map(type, (op,))
