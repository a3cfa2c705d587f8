"""What charon's connections turn into when selectors are narrowed, or swanctl loads others."""

from __future__ import annotations

from tests.core.world import CBC, World, sa
from vtid.config.load import load
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp, IkeDown
from vtid.model.operation import (
    AddRoute,
    DeleteLink,
    DeleteRoute,
    Op,
    ProbeUnderlay,
    SetClamp,
    SetLink,
)
from vtid.model.sa import Mark
from vtid.model.status import TunnelState

POLICIES = load("""
[[tunnel]]
connection = "V2-1"
child = "net"
interface = "vti0"
routes = "remote-ts"

[[tunnel]]
connection = "V2-1"
child = "voice"
interface = "vti{mark}"
routes = "remote-ts"
""")


def kinds(ops: list[Op]) -> list[type[Op]]:
    return [type(op) for op in ops if not isinstance(op, ProbeUnderlay)]


def prefixes(world: World, name: str = "vti0") -> set[str]:
    return {route.to for route in world.routes_of(name)}


def test_routes_are_those_that_the_peer_agreed_to() -> None:
    world = World(config=POLICIES).start()
    world.tell(ChildUp(sa(1, remote_ts=("10.2.7.0/24", "10.2.9.0/24[udp]"))))
    assert prefixes(world) == {"10.2.7.0/24", "10.2.9.0/24"}


def test_a_rekey_that_narrows_or_widens_changes_routes_and_nothing_else() -> None:
    world = World(config=POLICIES).start([sa(1, remote_ts=("10.2.0.0/16",))])
    ops = world.tell(ChildRekeyed(1, sa(2, remote_ts=("10.2.7.0/24",))))
    assert kinds(ops) == [AddRoute, DeleteRoute]
    assert prefixes(world) == {"10.2.7.0/24"}
    assert kinds(world.tell(ChildRekeyed(2, sa(3, remote_ts=("10.2.0.0/16",))))) == [
        AddRoute,
        DeleteRoute,
    ]
    assert prefixes(world) == {"10.2.0.0/16"}


def test_a_route_of_two_sas_goes_with_the_second() -> None:
    world = World(config=POLICIES).start([sa(1, remote_ts=("10.2.0.0/16", "10.3.0.0/16"))])
    world.tell(ChildUp(sa(2, remote_ts=("10.2.0.0/16",))))
    assert kinds(world.tell(ChildDown(1))) == [DeleteRoute]
    assert prefixes(world) == {"10.2.0.0/16"}


def test_a_connection_that_is_loaded_anew_with_other_ciphers_marks_and_selectors() -> None:
    """charon ends the IKE_SA of a connection that it unloads, and starts that of the new one."""
    world = World(config=POLICIES).start([sa(1, remote_ts=("10.2.0.0/16",))])
    index = world.index_of("", "vti0")
    assert world.tell(IkeDown(1)) == []
    world.pass_time(1)
    new = sa(2, mark=8, esp=CBC, remote_ts=("10.4.0.0/16",), ike_unique_id=2)
    assert kinds(world.tell(ChildUp(new))) == [SetLink, SetClamp, AddRoute, DeleteRoute]
    link = world.link("vti0", "")
    assert link
    assert (link.ikey, link.mtu) == (8, 1406)
    assert world.index_of("", "vti0") == index


def test_an_sa_that_outlives_its_unloaded_connection_keeps_its_tunnel() -> None:
    """`swanctl --load-conns` leaves the SAs of a removed connection until they end."""
    world = World(config=POLICIES).start([sa(1)])
    assert world.pass_time(3600) == []
    assert world.tell(ChildDown(1)) == []
    assert DeleteLink in kinds(world.pass_time(3.1))
    assert world.state.tunnels["vti0"].state is TunnelState.DOWN


def test_a_child_that_is_renamed_moves_to_the_interface_of_its_policy() -> None:
    world = World(config=POLICIES).start([sa(1, remote_ts=("10.2.0.0/16",))])
    world.tell(IkeDown(1))
    world.tell(ChildUp(sa(2, child="voice", remote_ts=("10.2.0.0/16",), ike_unique_id=2)))
    assert prefixes(world, "vti3") == {"10.2.0.0/16"}
    assert world.index_of("", "vti0"), "the other child may come back within the hold time"
    world.pass_time(3.1)
    assert world.index_of("", "vti0") is None
    assert world.index_of("", "vti3")


def test_a_child_that_lost_its_mark_is_a_problem_and_its_interface_goes() -> None:
    world = World(config=POLICIES).start([sa(1)])
    world.tell(IkeDown(1))
    world.tell(ChildUp(sa(2, mark=None, ike_unique_id=2)))
    (problem,) = world.state.problems.values()
    assert "V2-1/net{2} has no mark" in problem
    world.pass_time(3.1)
    assert world.index_of("", "vti0") is None
    world.tell(ChildUp(sa(3, mark_in=Mark(5), mark_out=Mark(6), ike_unique_id=3)), IkeDown(2))
    assert not world.state.problems
    link = world.link("vti0", "")
    assert link
    assert (link.ikey, link.okey) == (5, 6)
