"""Interfaces without SA: declared beforehand, or kept and set down."""

from __future__ import annotations

from tests.core.world import CBC, World, sa
from vtid.config import Config, ConfigLoaded, load
from vtid.model import (
    ChildDown,
    ChildUp,
    CreateLink,
    DeleteLink,
    Op,
    ProbeUnderlay,
    SaSnapshot,
    SetLink,
    SetUp,
    TunnelState,
    ViciLost,
)

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

DOWN = load("""
[[tunnel]]
connection = "V2-1"
interface = "vti{mark}"
on_down = "down"
addresses = ["2001:db8:ff::/127", "169.254.1.0/31"]
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
    record = world.state.tunnels["vti9"]
    assert record.state is TunnelState.DOWN
    assert record.desired.reason.startswith("no CHILD_SA; the policy declares one: MTU 1390 from")


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
    record = world.state.tunnels["vti3"]
    assert record.state is TunnelState.DOWN
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


def test_a_clamp_that_somebody_removes_comes_back_while_a_link_is_down() -> None:
    world = World(config=DOWN).start([sa(1)])
    world.tell(ChildDown(1))
    before = dict(world.clamps)
    world.clamps.clear()
    world.tell(world.clamps_in(""))
    assert world.clamps == before
    assert before
