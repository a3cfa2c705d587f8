"""Routes and settings of a policy, and that what someone changes of them is put back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.world import World, sa
from vtid.config.load import load
from vtid.core.crowd import members_for
from vtid.core.route_book import RouteBook
from vtid.core.selectors import SELECTED_MAX, prefixes
from vtid.model.input import AddressGone, AddressSeen, ChildRekeyed, ChildUp, LinkSeen, RoutesSeen
from vtid.model.link import Route
from vtid.model.operation import AddAddress, AddRoute, DeleteAddress, DeleteRoute, SetLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.config.keys import Config, Policy
    from vtid.model.sa import ChildSa


def policy(*keys: str, addresses: str = "[]") -> Config:
    return load(
        f'[[tunnel]]\nconnection = "V2-1"\ninterface = "vti3"\naddresses = {addresses}\n'
        + "\n".join(keys)
    )


def routes(policy: Policy, sas: Sequence[ChildSa]) -> tuple[tuple[Route, ...], str]:
    """The routes that are wanted for these SAs, and why some selectors have none."""
    book = RouteBook()
    members_for(policy, sas, {}).sync(book, policy)
    return tuple(book.wanted), book.why


def wanted(keys: str, *selectors: str) -> list[Route]:
    return list(routes(policy(keys).policies[0], [sa(1, remote_ts=selectors)])[0])


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("10.1.0.0/16", ["10.1.0.0/16"]),
        ("10.1.0.0/16[tcp/443]", ["10.1.0.0/16"]),
        ("2001:db8::/32[ipv6-icmp]", ["2001:db8::/32"]),
        ("192.0.2.7..192.0.2.9", ["192.0.2.7/32", "192.0.2.8/31"]),
        ("192.0.2.9..192.0.2.7", []),
        ("192.0.2.7..2001:db8::1", []),
        ("dynamic", []),
        ("", []),
    ],
)
def test_prefixes_of_a_traffic_selector(selector: str, found: list[str]) -> None:
    assert list(prefixes(selector)) == found


@given(st.text(max_size=30))
def test_any_text_is_a_selector_or_none(text: str) -> None:
    prefixes(text)


def test_static_routes_have_the_metric_that_the_kernel_would_give() -> None:
    default = '{to = "0.0.0.0/0", metric = 7, table = 9}'
    keys = f'routes = [{{to = "10.1.0.0/16"}}, {{to = "2001:db8::/32"}}, {default}]'
    assert wanted(keys) == [
        Route("10.1.0.0/16", 0),
        Route("2001:db8::/32", 1024),
        Route("0.0.0.0/0", 7, 9),
    ]


@pytest.mark.parametrize(
    ("keys", "defaults"),
    [
        ('routes = "remote-ts"', False),
        ('routes = [{to = "remote-ts", table = 254}]', False),
        ('routes = [{to = "remote-ts", table = 7}]', True),
        ('routes = "remote-ts"\nvrf = "blue"', True),
    ],
)
def test_a_default_route_of_remote_ts_needs_a_table_of_its_own(
    keys: str,
    defaults: bool,  # noqa: FBT001 - a column of the table
) -> None:
    found = wanted(keys, "0.0.0.0/0", "::/0", "10.1.0.0/16")
    assert {route.to for route in found} == {"10.1.0.0/16"} | (
        {"0.0.0.0/0", "::/0"} if defaults else set()
    )


IN_PARTS = [
    ("0.0.0.0/1", "128.0.0.0/1"),
    ("0.0.0.1..255.255.255.255",),
    ("10.0.0.0/8", *(f"{first}.0.0.0/8" for first in range(64, 192))),
    ("::/1", "8000::/1"),
    ("2000::/4", "3000::/4"),
]


@pytest.mark.parametrize("selectors", IN_PARTS)
def test_a_default_route_in_parts_is_one(selectors: tuple[str, ...]) -> None:
    one = policy('routes = "remote-ts"').policies[0]
    found, why = routes(one, [sa(1, remote_ts=selectors)])
    assert not found
    assert "a default route needs a `table` or a `vrf` of its own" in why
    assert wanted('routes = "remote-ts"\nvrf = "blue"', *selectors)
    assert not wanted('routes = [{to = "remote-ts", table = 254}]\nvrf = "blue"', *selectors)


def test_a_peer_that_has_too_much_takes_no_route_from_another() -> None:
    one = policy('remote = "any"\nroutes = "remote-ts"').policies[0]
    greedy = sa(1, remote_id="a", remote_ts=(*IN_PARTS[0], "10.1.0.0/16"))
    modest = sa(2, remote_id="b", remote_ts=("10.1.0.0/16", "10.2.0.1/32"))
    found, why = routes(one, [greedy, modest])
    assert [route.to for route in found] == ["10.1.0.0/16", "10.2.0.1/32"]
    assert "a default route needs" in why


def test_what_organisations_have_is_no_default_route() -> None:
    large = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "2001:db8:7::/48")
    assert {route.to for route in wanted('routes = "remote-ts"', *large)} == set(large)


def test_the_way_to_the_peer_does_not_lead_into_its_tunnel() -> None:
    selectors = ("2001:db8:2::/48", "10.1.0.0/16")
    one = policy('routes = "remote-ts"').policies[0]
    found, why = routes(one, [sa(1, remote_ts=selectors)])
    assert [route.to for route in found] == ["10.1.0.0/16"]
    assert why == (
        "no route to the traffic selector 2001:db8:2::/48: the peer itself is there, 2001:db8:2::1"
    )
    for elsewhere in ('netns = "private"', 'vrf = "blue"'):
        assert len(wanted(f'routes = "remote-ts"\n{elsewhere}', *selectors)) == len(selectors)


def test_a_peer_cannot_fill_the_table() -> None:
    ranges = [f"2001:db8:{low:x}::1..2001:db8:{low:x}:ffff::" for low in range(255)]
    one = policy('netns = "private"\nroutes = "remote-ts"').policies[0]
    found, why = routes(one, [sa(number, remote_ts=tuple(ranges)) for number in range(9)])
    assert len(found) == SELECTED_MAX
    assert why == f"only the first {SELECTED_MAX} prefixes of the traffic selectors have a route"


def test_of_too_many_prefixes_a_rekey_changes_none() -> None:
    world = World(config=policy('netns = "private"\nroutes = "remote-ts"'))
    many = [
        sa(
            number,
            child=f"net{number}",
            remote_ts=tuple(f"10.{number}.{x}.0/24" for x in range(200)),
        )
        for number in (1, 2)
    ]
    world.start(many)
    before = set(world.routes_of("vti3", "private"))
    assert len(before) == SELECTED_MAX
    assert world.tell(ChildRekeyed(1, replace(many[0], unique_id=9))) == []
    assert world.routes_of("vti3", "private") == before


def test_each_of_many_peers_has_its_routes() -> None:
    shared = policy('remote = "any"\nroutes = "remote-ts"').policies[0]
    peers = [
        sa(
            number,
            remote_id=f"peer{number}",
            remote_host=f"192.0.2.{number % 250}",
            remote_ts=(f"10.7.{number // 256}.{number % 256}/32",),
        )
        for number in range(3 * SELECTED_MAX)
    ]
    found, why = routes(shared, peers)
    assert (len(found), why) == (len(peers), "")
    greedy = sa(10**6, remote_id="eve", remote_host="192.0.2.254", remote_ts=("192.0.2.128/25",))
    found, why = routes(shared, [*peers, greedy])
    assert len(found) == len(peers)
    assert "192.0.2.128/25: the peer itself is there, 192.0.2." in why


def test_a_default_route_that_is_written_down_is_made() -> None:
    assert wanted('routes = [{to = "0.0.0.0/0"}]') == [Route("0.0.0.0/0", 0)]


def test_routes_follow_a_narrowing_and_add_comes_before_remove() -> None:
    world = World(config=policy('routes = "remote-ts"')).start()
    world.tell(ChildUp(sa(1, remote_ts=("10.1.0.0/16",))))
    assert world.routes_of("vti3") == {Route("10.1.0.0/16", 0, 254)}
    ops = world.tell(ChildRekeyed(1, sa(2, remote_ts=("10.1.2.0/24",))))
    assert [type(op) for op in ops] == [AddRoute, DeleteRoute]
    assert world.routes_of("vti3") == {Route("10.1.2.0/24", 0, 254)}


def test_of_our_routes_those_that_left_the_configuration_go_after_a_restart() -> None:
    keys = 'routes = [{to = "10.1.0.0/16"}, {to = "10.2.0.0/16"}]'
    world = World(config=policy(keys, addresses='["10.0.0.1/32", "10.0.0.3/32"]'))
    world.start([sa(1)])
    world.config = policy('routes = [{to = "10.1.0.0/16"}]', addresses='["10.0.0.1/32"]')
    before = len(world.done)
    world.start([sa(1)])
    gone = world.done[before:]
    assert {type(op) for op in gone} >= {DeleteAddress, DeleteRoute}
    assert world.routes_of("vti3") == {Route("10.1.0.0/16", 0, 254)}
    assert world.addresses_of("vti3") == {"10.0.0.1/32"}
    before = len(world.done)
    world.start([sa(1)])
    assert [op for op in world.done[before:] if op.stage != 0] == []


def test_what_someone_changes_is_put_back_and_said() -> None:
    keys = 'routes = [{to = "10.1.0.0/16"}]\nsysctls = {ipv4 = {send_redirects = 0}}'
    world = World(config=policy(keys, addresses='["10.0.0.1/32"]')).start([sa(1)])
    index = world.index_of("", "vti3")
    link = world.link("vti3", "")
    assert link
    assert index
    world.state.take_notes()
    for event, kind, words in (
        (AddressGone("", index, "10.0.0.1/32"), AddAddress, "address 10.0.0.1/32"),
        (RoutesSeen("", index, ()), AddRoute, "route to 10.1.0.0/16"),
        (LinkSeen(replace(link, mtu=1300), index), SetLink, "mtu of the interface"),
        (LinkSeen(replace(link, vrf="red"), index), SetLink, "vrf of the interface"),
        (
            LinkSeen(replace(link, sysctls=(("ipv4.send_redirects", 1),)), index),
            SetLink,
            "sysctls of the interface",
        ),
    ):
        world.forget(event)
        ops = world.tell(event)
        assert kind in {type(op) for op in ops}
        notes = [note for note in world.state.take_notes() if "reverted" in note.event]
        assert [(note.tunnel, note.level) for note in notes] == [("vti3", "warning")], event
        assert words in notes[0].detail


def test_the_last_ipv4_address_takes_the_ipv4_routes_along() -> None:
    """The kernel has no event for those."""
    keys = 'routes = [{to = "10.1.0.0/16"}, {to = "2001:db8:1::/48"}]'
    addresses = '["10.0.0.1/32", "2001:db8::1/64"]'
    world = World(config=policy(keys, addresses=addresses)).start([sa(1)])
    index = world.index_of("", "vti3")
    assert index

    def gone(address: str) -> set[str]:
        event = AddressGone("", index, address)
        world.forget(event)
        return {op.route.to for op in world.tell(event) if isinstance(op, AddRoute)}

    assert gone("2001:db8::1/64") == set(), "of the other family"
    assert gone("10.0.0.1/32") == {"10.1.0.0/16"}
    world.tell(AddressSeen("", index, "10.9.9.9/32"))
    assert gone("10.0.0.1/32") == set(), "another is left"


def test_what_someone_adds_stays_and_is_not_said() -> None:
    world = World(config=policy()).start([sa(1)])
    index = world.index_of("", "vti3")
    assert index
    world.state.take_notes()
    assert world.tell(AddressSeen("", index, "10.9.9.9/32")) == []
    more = (("ipv4.log_martians", 1),)
    link = world.link("vti3", "")
    assert link
    assert world.tell(LinkSeen(replace(link, sysctls=more), index)) == []
    assert world.state.take_notes() == []


def test_a_link_without_ipv6_has_no_link_local_address() -> None:
    for addresses, link_local in (('["10.0.0.1/32"]', False), ('["fe80::1/64"]', True)):
        world = World(config=policy(addresses=addresses)).start([sa(1)])
        link = world.link("vti3", "")
        assert link
        assert link.link_local is link_local


def test_routes_that_stay_the_same_are_no_change() -> None:
    """Else each look at them would end a back-off, and a failure be retried without pause."""
    (found,) = policy('routes = "remote-ts"').policies
    book, members = RouteBook(), members_for(found, [sa(1, remote_ts=("10.2.0.0/16",))], {})
    members.sync(book, found)
    before = book.revision
    members.sync(book, found)
    assert book.revision == before
