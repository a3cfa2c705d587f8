"""Many peers on one interface: what is counted is what there is, whatever came and went before."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.core.world import CBC, GCM, World, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.crowd import Crowd, members_for
from vtid.core.hosts import Hosts, Networks
from vtid.core.members import Members
from vtid.core.route_book import RouteBook
from vtid.core.underlay import Underlay
from vtid.model.input import ChildDown, ChildUp, IkeUpdated, UnderlayChanged, UnderlaySeen
from vtid.model.operation import ProbeUnderlay

if TYPE_CHECKING:
    from vtid.core.underlay import Path
    from vtid.model.sa import ChildSa

(POLICY,) = load(
    '[[tunnel]]\nconnection = "rw"\ninterface = "vti0"\nremote = "any"\n'
    'routes = [{to = "remote-ts"}, {to = "10.9.0.0/16"}]\n'
).policies

HOSTS = ("192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8:9::1")
SELECTORS = (
    "10.1.0.0/16",
    "10.9.0.0/16",
    "192.0.2.0/24",
    "192.0.2.2/32",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "0.0.0.0/0",
    "2001:db8::/32",
    "198.51.100.0..198.51.100.9",
)

sas = st.builds(
    lambda number, peer, host, selectors, esp, encap: sa(
        number,
        "rw",
        remote_id=f"peer{peer}",
        remote_host=host,
        remote_ts=tuple(selectors),
        esp=esp,
        encap=encap,
    ),
    st.integers(1, 6),
    st.integers(1, 3),
    st.sampled_from(HOSTS),
    st.lists(st.sampled_from(SELECTORS), max_size=4, unique=True),
    st.sampled_from([GCM, CBC]),
    st.booleans(),
)
found = st.builds(
    lambda host, mtu: ((sa(1).local_host, host), Underlay(mtu)),
    st.sampled_from(HOSTS),
    st.sampled_from([0, 1400, 1500]),
)
steps = st.lists(st.one_of(sas, st.integers(1, 6), found, st.just("sync")), max_size=25)


@given(steps)
def test_what_is_counted_does_not_depend_on_what_came_before(
    steps: list[ChildSa | int | tuple[Path, Underlay] | str],
) -> None:
    known: dict[Path, Underlay] = {}
    crowd, book = Crowd(POLICY, (), known), RouteBook()
    crowd.moved(frozenset())
    have = set[tuple[str, str]]()
    for step in steps:
        match step:
            case str():
                crowd.sync(book, POLICY)
            case int():
                crowd.leave(step, known)
            case (path, underlay):
                before, known[path] = known.get(path), underlay
                crowd.path_changed(path, before, underlay)
            case _:
                crowd.join(step, known)
        for path in crowd.moved(have):
            (have.add if path in crowd.paths else have.discard)(path)
        for path in known.keys() - have:
            del known[path]  # as `Paths` does with the last user
    crowd.sync(book, POLICY)
    fresh, expected = Crowd(POLICY, crowd.sas.values(), known), RouteBook()
    fresh.sync(expected, POLICY)
    assert set(book.wanted) == set(expected.wanted)
    assert bool(book.why) == bool(expected.why)
    assert book.wants_ipv6 == expected.wants_ipv6
    assert have == crowd.paths == fresh.paths
    assert set(crowd.unknown(known)) == set(fresh.unknown(known))
    assert crowd.ways(known) == fresh.ways(known)
    if crowd.sas:
        assert crowd.newest.unique_id == max(crowd.sas)


@given(st.lists(sas, max_size=8, unique_by=lambda one: one.unique_id))
def test_the_main_table_gets_what_its_rules_allow(peers: list[ChildSa]) -> None:
    book = RouteBook()
    members_for(POLICY, peers, {}).sync(book, POLICY)
    for route in book.wanted:
        network = ip_network(route.to)
        if route.to == "10.9.0.0/16":
            continue
        assert network.prefixlen
        assert not any(ip_address(one.remote_host) in network for one in peers)
        asked = [one for one in peers if any(route.to in _all(text) for text in one.remote_ts)]
        assert asked


def _all(selector: str) -> tuple[str, ...]:
    if ".." in selector:
        return ("198.51.100.0/29", "198.51.100.8/31")
    return (selector,)


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(st.lists(addresses), addresses, st.integers(0, 32))
def test_hosts_and_networks_find_each_other(all_: list[str], one: str, length: int) -> None:
    network = ip_network(f"{one}/{length}", strict=False)
    inside = [host for host in all_ if ip_address(host) in network]
    hosts, networks = Hosts(), Networks()
    networks.add("it", network)
    for host in all_:
        hosts.add(host)
        assert networks.around(host) == (["it"] if host in inside else [])
    assert hosts.inside(network) == (min(inside, key=ip_address) if inside else "")
    for host in inside:
        hosts.remove(host)
    assert hosts.inside(network) == ""
    networks.remove(network)
    assert networks.around(one) == []


def test_of_one_peer_the_path_of_the_newest_sa_counts() -> None:
    old, new = sa(1, remote_host="192.0.2.1"), sa(2, remote_host="192.0.2.2")
    members = Members((new, old))
    assert members.newest is new
    assert members.paths == {(new.local_host, "192.0.2.2")}


SHARED = load(
    '[[tunnel]]\nconnection = "rw"\ninterface = "vti0"\nremote = "any"\nroutes = "remote-ts"\n'
)


def rw(number: int) -> ChildSa:
    return sa(
        number,
        "rw",
        ike_unique_id=number,
        remote_id=f"peer{number}",
        remote_host=f"2001:db8:9::{number}",
        remote_ts=(f"10.7.0.{number}/32",),
    )


def test_a_gateway_that_moves_takes_all_its_peers_along() -> None:
    peers = [rw(number) for number in range(1, 6)]
    world = World(config=SHARED).start(peers)
    for peer in (peers[3], *peers[:3], peers[4]):
        world.tell(IkeUpdated(peer.ike_unique_id, "2001:db8:1::99", peer.remote_host))
    assert not world.state.problems
    assert sorted(world.state.tunnels["vti0"].sas) == [1, 2, 3, 4, 5]
    link = world.link("vti0", "")
    assert link
    assert link.local == "2001:db8:1::99"
    assert len(world.routes_of("vti0")) == len(peers)


def test_an_interface_that_loses_all_peers_keeps_its_routes_for_the_hold_time() -> None:
    world = World(config=SHARED).start([rw(1), rw(2)])
    assert world.tell(ChildDown(1)) != []
    kept = world.routes_of("vti0")
    assert world.tell(ChildDown(2)) == []
    assert world.routes_of("vti0") == kept
    world.tell(ChildUp(rw(3)))
    assert {route.to for route in world.routes_of("vti0")} == {"10.7.0.3/32"}


def test_a_reload_counts_anew() -> None:
    world = World(config=SHARED).start([rw(1)])
    one = '[[tunnel]]\nconnection = "rw"\ninterface = "vti0"\nroutes = [{to = "10.8.0.0/16"}]\n'
    world.tell(ConfigLoaded(load(one)))
    link = world.link("vti0", "")
    assert link
    assert link.remote == rw(1).remote_host
    assert {route.to for route in world.routes_of("vti0")} == {"10.8.0.0/16"}
    world.tell(ConfigLoaded(SHARED), ChildUp(rw(2)))
    assert not world.state.problems
    assert {route.to for route in world.routes_of("vti0")} == {"10.7.0.1/32", "10.7.0.2/32"}


def test_only_the_path_without_a_route_is_looked_up_again() -> None:
    world = World(config=SHARED).start([rw(number) for number in range(1, 6)])
    local, remote = rw(1).local_host, rw(1).remote_host
    world.underlay_mtu = 0
    world.tell(UnderlaySeen(local, remote, 0, "", "no route"))
    for _ in range(3):
        looked_up = [op for op in world.pass_time(5.1) if isinstance(op, ProbeUnderlay)]
        assert [op.remote for op in looked_up] == [remote]
    world.underlay_mtu = 1500
    world.tell(UnderlayChanged())
    assert len([op for op in world.done if isinstance(op, ProbeUnderlay)]) >= 5 + 3 + 5
