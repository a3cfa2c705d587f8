"""Interfaces without SA: declared beforehand, or kept and set down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.core.world import CBC, World, sa
from vtid.config.keys import Config, ConfigLoaded
from vtid.config.load import load
from vtid.core.lifecycle import Life
from vtid.model.input import (
    AddressGone,
    ChildDown,
    ChildUp,
    FullPassDue,
    IkeDown,
    LinkGone,
    SaSnapshot,
    ViciLost,
)
from vtid.model.operation import CreateLink, DeleteLink, Op, ProbeUnderlay, SetLink, SetUp
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from vtid.model.sa import ChildSa

ALWAYS = load("""
[[tunnel]]
connection = "V2-1"
interface = "vti9"
presence = "always"
local = "2001:db8:1::1"
remote = "2001:db8:2::1"
mark = 3
esp = "aes256gcm16, aes256-sha512"
""")

LIKE_DOWN = """
[[tunnel]]
connection = "V2-1"
interface = "{interface}"
on_down = "down"
addresses = ["2001:db8:ff::/127", "169.254.1.0/31"]
"""
DOWN = load(LIKE_DOWN.format(interface="vti{mark}"))

HELD = load("""
[[tunnel]]
connection = "V2-1"
interface = "vti{mark}"
hold_time = "1m"
addresses = ["2001:db8:ff::/127", "169.254.1.0/31"]
routes = "remote-ts"
""")


def kinds(ops: list[Op]) -> list[type[Op]]:
    return [type(op) for op in ops]


def mtu_of(world: World) -> int:
    link = world.link("vti9", "")
    assert link
    assert link.up
    return link.mtu


def test_a_declared_interface_is_there_before_its_sa_with_the_least_mtu() -> None:
    world = World(config=ALWAYS).start()
    assert mtu_of(world) == 1390
    link = world.link("vti9", "")
    assert link
    assert (link.remote, link.ikey, link.okey) == ("2001:db8:2::1", 3, 3)
    tunnel = world.state.tunnels["vti9"]
    assert tunnel.state is TunnelState.DOWN
    assert tunnel.desired.reason.startswith("no CHILD_SA; the policy declares one: MTU 1390 from")


def test_an_sa_adopts_it_and_its_mtu_stays_when_it_goes() -> None:
    world = World(config=ALWAYS).start()
    index = world.index_of("", "vti9")
    assert SetLink in kinds(world.tell(ChildUp(sa(1))))
    assert mtu_of(world) == 1426
    assert world.state.tunnels["vti9"].state is TunnelState.UP
    assert world.tell(ChildDown(1)) == []
    assert world.pass_time(60) == []
    assert (mtu_of(world), world.index_of("", "vti9")) == (1426, index)


def test_without_sa_the_endpoints_are_those_that_were_declared() -> None:
    world = World(config=ALWAYS).start([sa(1, remote_host="2001:db8:7::7")])
    link = world.link("vti9", "")
    assert link
    assert link.remote == "2001:db8:7::7"
    assert SetLink in kinds(world.tell(ChildDown(1)))
    link = world.link("vti9", "")
    assert link
    assert link.remote == "2001:db8:2::1"


def test_nothing_is_declared_before_the_sas_are_known() -> None:
    world = World(config=ALWAYS).start([sa(1, remote_host="2001:db8:7::7", esp=CBC)])
    before = world.link("vti9", "")
    world.done.clear()
    world.start([sa(1, remote_host="2001:db8:7::7", esp=CBC)])
    assert set(kinds(world.done)) == {ProbeUnderlay}
    assert world.link("vti9", "") == before


def test_a_link_is_set_down_at_once_and_kept() -> None:
    world = World(config=DOWN).start([sa(1)])
    index = world.index_of("", "vti3")
    assert kinds(world.tell(ChildDown(1))) == [SetUp]
    tunnel = world.state.tunnels["vti3"]
    assert tunnel.state is TunnelState.DOWN
    assert world.pass_time(600) == []
    ops = kinds(world.tell(ChildUp(sa(2))))
    assert ops[0] is ProbeUnderlay
    assert ops[-1] is SetUp
    assert CreateLink not in ops
    link = world.link("vti3", "")
    assert link
    assert link.up
    assert world.index_of("", "vti3") == index
    assert len(world.addresses["", 11]) == 2


def test_a_link_that_is_down_stays_for_the_next_mark_only_while_it_serves() -> None:
    world = World(config=DOWN).start([sa(1)])
    world.tell(ChildDown(1))
    world.tell(ChildUp(sa(2, mark=4)))
    assert DeleteLink in kinds(world.pass_time(4))
    assert world.link("vti3", "") is None
    assert world.link("vti4", "")


def test_nothing_is_set_down_while_vici_is_lost() -> None:
    world = World(config=DOWN).start([sa(1)])
    assert world.tell(ViciLost("gone")) == []
    assert world.pass_time(60) == []
    assert kinds(world.tell(SaSnapshot(()))) == [SetUp]


def test_a_declaration_that_leaves_the_configuration_goes() -> None:
    world = World(config=ALWAYS).start()
    assert DeleteLink in kinds(world.tell(ConfigLoaded(Config())))


def remove_all(world: World, name: str, netns: str = "") -> None:
    """Somebody deletes an interface and flushes nftables."""
    index = world.index_of(netns, name)
    assert index
    world.clamps.clear()
    world.tell(world.clamps_in(netns))
    del world.links[netns, index]
    world.addresses.pop((netns, index), None)
    world.routes.pop((netns, index), None)
    world.tell(LinkGone(netns, index))


def test_what_another_program_deletes_comes_back_while_a_link_is_down_and_stays_down() -> None:
    world = World(config=DOWN).start([sa(1)])
    world.tell(ChildDown(1))
    before = world.link("vti3", ""), dict(world.clamps)
    remove_all(world, "vti3")
    assert (world.link("vti3", ""), world.clamps) == before
    # IPv6 addresses go with an interface that is set down, and come when it is up
    assert world.addresses_of("vti3") == {"169.254.1.0/31"}
    notes = [note.detail for note in world.state.take_notes() if "reverted" in note.event]
    assert notes == ["MSS clamp", "the interface, which was deleted; address 169.254.1.0/31"]
    world.tell(ChildUp(sa(2)))
    assert world.addresses_of("vti3") == {"169.254.1.0/31", "2001:db8:ff::/127"}


def test_a_clamp_comes_back_that_was_removed_while_vici_was_lost() -> None:
    world = World(config=DOWN).start([sa(1)])
    world.tell(ChildDown(1), ViciLost("gone"))
    before = dict(world.clamps)
    world.clamps.clear()
    world.tell(world.clamps_in(""))
    assert before
    assert world.clamps == before
    assert world.tell(SaSnapshot(())) == []


def test_what_a_new_vtid_finds_down_is_kept_and_put_back() -> None:
    static = load(LIKE_DOWN.format(interface="kept0"))
    world = World(config=static).start([sa(1)])
    world.tell(ChildDown(1))
    world.start()
    assert world.pass_time(60) == []
    before = world.link("kept0", ""), dict(world.clamps), world.addresses_of("kept0")
    remove_all(world, "kept0")
    assert (world.link("kept0", ""), world.clamps, world.addresses_of("kept0")) == before


def test_what_another_program_deletes_comes_back_during_the_hold_time_and_goes_after_it() -> None:
    world = World(config=HELD).start([sa(1, remote_ts=("10.2.0.0/16",))])
    world.tell(ChildDown(1))
    before = world.link("vti3", ""), dict(world.clamps), world.routes_of("vti3")
    remove_all(world, "vti3")
    assert (world.link("vti3", ""), world.clamps, world.routes_of("vti3")) == before
    assert len(world.addresses_of("vti3")) == 2
    assert DeleteLink in kinds(world.pass_time(60.1))
    assert world.tell(ViciLost("gone"), FullPassDue()) == []
    assert world.link("vti3", "") is None


def left_over(config: Config, *sas: ChildSa) -> World:
    """A vtid that started over interfaces whose SAs are gone."""
    world = World(config=config).start(sas)
    world.tell(*(ChildDown(one.unique_id) for one in sas))
    return world.start()


def test_a_new_vtid_keeps_what_is_down_under_the_name_of_its_sa() -> None:
    world = left_over(DOWN, sa(1))
    assert DeleteLink not in kinds(world.pass_time(3600))
    tunnel, link = world.state.tunnels["vti3"], world.link("vti3", "")
    assert (tunnel.label, tunnel.life, tunnel.state) == ("V2-1", Life.KEPT, TunnelState.DOWN)
    assert link
    assert not link.up
    world.tell(ChildUp(sa(2)))
    link = world.link("vti3", "")
    assert link
    assert link.up


def test_what_is_down_goes_once_its_policy_has_another_interface() -> None:
    world = left_over(DOWN, sa(1))
    ops = world.tell(ChildUp(sa(2, mark=4)))
    assert DeleteLink not in kinds(ops)
    assert [tunnel.label for tunnel in world.state.tunnels.values()] == ["", "V2-1"]
    world.pass_time(3.1)
    assert world.link("vti3", "") is None
    assert world.link("vti4", "")


def test_of_many_that_are_down_one_is_kept_for_its_policy() -> None:
    """Which of them comes back is not known, and none may stay for ever."""
    world = left_over(DOWN, sa(1), sa(2, mark=4, child="other"))
    world.pass_time(3.1)
    assert sum(world.link(name, "") is not None for name in ("vti3", "vti4")) == 1


@pytest.mark.parametrize("connection", ["V2-*", "V2-" + 300 * "1", "Vä"])
def test_a_name_that_an_alias_cannot_have_is_left_out(connection: str) -> None:
    text = LIKE_DOWN.format(interface="vti{mark}").replace("V2-1", connection)
    world = World(config=load(text)).start([sa(1, connection)])
    link = world.link("vti3", "")
    assert link
    assert link.alias == "vtid:vti3"


def test_both_directions_find_their_policies_again() -> None:
    text = LIKE_DOWN.format(interface="out{if_id}") + 'kind = "xfrm"\ninterface_in = "in{if_id}"'
    one = sa(1, mark=None, if_id_in=7, if_id_out=8)
    world = left_over(load(text), one)
    world.pass_time(3600)
    tunnels = world.state.tunnels
    kept = {name for name, tunnel in tunnels.items() if tunnel.life is Life.KEPT}
    assert kept == {"out8", "in7"}
    assert len({tunnel.label for tunnel in tunnels.values()}) == len(tunnels)


def test_routes_of_all_sas_stay_when_they_go_together() -> None:
    both = [sa(1, remote_ts=("10.2.0.0/16",)), sa(2, remote_ts=("10.3.0.0/16",))]
    world = World(config=HELD).start(both)
    assert world.tell(IkeDown(1)) == []
    assert {route.to for route in world.routes_of("vti3")} == {"10.2.0.0/16", "10.3.0.0/16"}


def test_what_another_program_added_is_not_restored() -> None:
    world = World(config=DOWN).start([sa(1)])
    index = world.index_of("", "vti3")
    assert index
    world.addresses["", index].add("192.0.2.1/32")
    world.tell(ChildDown(1))
    world.start()
    assert "192.0.2.1/32" in world.addresses["", index]
    world.addresses["", index].discard("192.0.2.1/32")
    assert world.tell(AddressGone("", index, "192.0.2.1/32")) == []
