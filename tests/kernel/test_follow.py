from dataclasses import replace
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.kernel import messages
from vtid.kernel import wire as nl
from vtid.kernel.dumps import Dump
from vtid.kernel.follow import MANY, Follower
from vtid.model.counts import LinkCounters
from vtid.model.input import (
    AddressGone,
    AddressSeen,
    Input,
    LinkGone,
    LinkSeen,
    RouteGone,
    RouteSeen,
)
from vtid.model.link import LEAVING_GROUP, LINK_GROUP, PROTOCOL


def event(
    ifindex: int,
    group: int = LINK_GROUP,
    *,
    kind: int = nl.RTM_NEWLINK,
    name: str = "vti1",
    alias: str = "",
    mtu: int = 1406,
    up: bool = True,
    packets: int = 0,
) -> bytes:
    body = (
        nl.LINK.pack(0, 0, ifindex, nl.IFF_UP if up else 0, 0)
        + nl.string(nl.IFLA_IFNAME, name)
        + nl.attribute(nl.IFLA_MTU, nl.U32.pack(mtu))
        + nl.attribute(nl.IFLA_GROUP, nl.U32.pack(group))
        + (nl.string(nl.IFLA_IFALIAS, alias) if alias else b"")
        + nl.attribute(nl.IFLA_STATS64, nl.LINK_STATS.pack(packets, *[0] * 8))
    )
    return nl.Request(kind, 0, body).encode(0)


def gone(ifindex: int, group: int = LINK_GROUP) -> bytes:
    return event(ifindex, group, kind=nl.RTM_DELLINK)


def address(ifindex: int, *, kind: int = nl.RTM_NEWADDR, metric: int = 0) -> bytes:
    body = (
        nl.ADDRESS.pack(2, 31, 0, 0, ifindex)
        + nl.attribute(nl.IFA_LOCAL, bytes((169, 254, 1, 0)))
        + (nl.attribute(nl.IFA_RT_PRIORITY, nl.U32.pack(metric)) if metric else b"")
    )
    return nl.Request(kind, 0, body).encode(0)


def route(*ifindexes: int, flags: int = 0, protocol: int = 3, asked: int = 0) -> bytes:
    hops = b"".join(nl.NEXTHOP.pack(8, 0, 0, ifindex) for ifindex in ifindexes)
    body = nl.ROUTE.pack(10, 0, 0, 0, 254, protocol, 0, 1, flags) + (
        nl.attribute(nl.RTA_MULTIPATH, hops) if hops else b""
    )
    return nl.Request(nl.RTM_NEWROUTE, asked, body).encode(0)


def setting(ifindex: int, rp_filter: int | None = None) -> bytes:
    body = nl.NETCONF.pack(nl.AF_INET) + nl.attribute(nl.NETCONFA_IFINDEX, nl.S32.pack(ifindex))
    if rp_filter is not None:
        body += nl.attribute(nl.NETCONFA_RP_FILTER, nl.S32.pack(rp_filter))
    return nl.Request(nl.RTM_NEWNETCONF, 0, body).encode(0)


def kinds(inputs: list[Input]) -> list[type[Input]]:
    return [type(each) for each in inputs]


def test_a_link_on_its_way_out_is_told_when_it_is_gone() -> None:
    follower = Follower("p")
    follower.feed(event(2))
    assert not follower.feed(event(2, LEAVING_GROUP))
    assert kinds(follower.feed(event(2))) == [LinkSeen], "it stays after all"
    assert not follower.feed(event(2, LEAVING_GROUP))
    assert kinds(follower.feed(gone(2, LEAVING_GROUP))) == [LinkGone]


def test_of_a_link_on_its_way_out_its_addresses_are_not_told() -> None:
    follower = Follower("p")
    follower.feed(event(2) + address(2) + event(2, LEAVING_GROUP))
    assert not follower.feed(address(2, kind=nl.RTM_DELADDR))
    assert not follower.stale
    follower.feed(event(2))
    assert follower.stale, "it stays after all, and a dump tells what addresses it has"
    follower.snapshot(Dump([event(2)], []))
    assert kinds(follower.feed(address(2, kind=nl.RTM_DELADDR))) == [AddressGone]
    assert kinds(follower.feed(event(2, LEAVING_GROUP) + gone(2, LEAVING_GROUP))) == [LinkGone]
    follower.feed(event(2))
    assert not follower.stale, "another link has its index"


def test_a_link_that_was_left_on_its_way_out_is_ours_and_followed() -> None:
    follower = Follower("p")
    snapshot = follower.snapshot(Dump([event(2, LEAVING_GROUP)], []))
    assert [ifindex for ifindex, _ in snapshot.links] == [2]
    assert kinds(follower.feed(event(2, LEAVING_GROUP, mtu=1400))) == [LinkSeen]


def test_a_link_that_joins_us_tells_what_it_had_counted() -> None:
    """Each of its later events costs no more than it did."""
    follower = Follower("p")
    (seen,) = follower.feed(event(2, packets=7))
    assert isinstance(seen, LinkSeen)
    assert seen.counters == LinkCounters(rx_packets=7)
    (again,) = follower.feed(event(2, packets=8))
    assert again == replace(seen, counters=None)
    follower.feed(event(2, 0))
    (back,) = follower.feed(event(2, packets=9))
    assert isinstance(back, LinkSeen)
    assert back.counters == LinkCounters(rx_packets=9)


def test_a_snapshot_has_our_links_and_their_addresses_only() -> None:
    follower = Follower("p")
    snapshot = follower.snapshot(
        Dump([event(2) + event(3, 0, name="eth0"), event(4)], [address(2) + address(3)])
    )
    assert [ifindex for ifindex, _ in snapshot.links] == [2, 4]
    assert snapshot.addresses == ((2, "169.254.1.0/31"),)
    assert (snapshot.netns, follower.ours) == ("p", {2, 4})


def test_what_cannot_be_read_is_skipped_and_nothing_else() -> None:
    broken = nl.Request(nl.RTM_NEWLINK, 0, b"\0").encode(0) + bytes(3)
    snapshot = Follower("p").snapshot(Dump([broken + event(2) + b"\x01", event(4)], [b"\x07"]))
    assert [ifindex for ifindex, _ in snapshot.links] == [2, 4]
    assert kinds(Follower("p").feed(broken + event(2))) == [LinkSeen]


def test_the_life_of_a_link() -> None:
    follower = Follower("p")
    story = [event(2), address(2), address(2, kind=nl.RTM_DELADDR), gone(2), address(2)]
    inputs = [each for data in story for each in follower.feed(data)]
    assert kinds(inputs) == [LinkSeen, AddressSeen, AddressGone, LinkGone]
    assert not follower.stale


def test_links_of_others_are_ignored() -> None:
    follower = Follower("p")
    story = [event(2, 0), address(2), gone(2, 0), gone(9)]
    assert [each for data in story for each in follower.feed(data)] == []


def test_a_changed_setting_makes_a_link_of_ours_doubtful_and_no_other() -> None:
    follower = Follower("p")
    follower.snapshot(Dump([event(2) + event(3, 0) + event(4)], []))
    all_, default = -1, -2
    for ifindex in (all_, default, 3, 9, 2, 4, 2):
        assert follower.feed(setting(ifindex)) == []
    follower.feed(gone(4))
    assert follower.doubtful == {2, 4}
    assert follower.take_doubtful() == {2}
    assert not follower.doubtful
    follower.feed(setting(2))
    follower.snapshot(Dump([event(2)], []))
    assert not follower.doubtful, "a dump tells"


def test_a_link_that_gets_ipv6_back_is_doubtful() -> None:
    """The kernel gives it settings behind the event, which are not ours."""
    follower = Follower("p")
    follower.snapshot(Dump([event(2) + event(3, mtu=1200)], []))
    for data, doubtful in (
        (event(2, mtu=1280), set()),
        (event(2, mtu=1279), set()),
        (event(2, mtu=1200), set()),
        (event(2), {2}),
        (event(2), set()),
        (event(3), {3}),
        (event(3, mtu=1200) + gone(3) + event(3), set()),
    ):
        follower.feed(data)
        assert follower.take_doubtful() == doubtful


def test_a_small_link_whose_mtu_is_raised_for_a_probe_is_not_doubtful() -> None:
    raised = {(2, 1400)}
    follower = Follower("p", raised=raised)
    follower.feed(event(2, mtu=1200))
    assert follower.feed(event(2, mtu=1400)) == []
    assert not follower.doubtful


def test_strict_filtering_on_all_links_is_told_with_each() -> None:
    follower = Follower("p")
    strict = follower.snapshot(Dump([event(2)], strict_all=True))
    assert [link.strict_all for _, link in strict.links] == [True]
    (seen,) = follower.feed(event(2))
    assert isinstance(seen, LinkSeen)
    assert seen.link.strict_all
    for rp_filter, stale in ((1, False), (2, True)):
        follower.feed(setting(nl.NETCONFA_IFINDEX_ALL, rp_filter))
        assert follower.stale is stale


def test_changed_settings_of_many_links_make_a_dump_due() -> None:
    follower = Follower("p")
    follower.snapshot(Dump([event(ifindex) for ifindex in range(1, MANY + 2)], []))
    for ifindex in range(1, MANY + 1):
        follower.feed(setting(ifindex))
    assert not follower.stale
    follower.feed(setting(MANY + 1))
    assert follower.stale


def test_a_link_that_leaves_our_group_is_gone() -> None:
    follower = Follower("p")
    follower.feed(event(2))
    assert follower.feed(event(2, 0)) == [LinkGone(netns="p", ifindex=2)]
    assert follower.feed(gone(2, 0)) == []


def test_a_link_that_enters_our_group_makes_a_dump_due_for_its_addresses() -> None:
    follower = Follower("p")
    follower.snapshot(Dump([event(2, 0)], [address(2)]))
    assert kinds(follower.feed(event(2))) == [LinkSeen]
    assert follower.stale
    follower.snapshot(Dump([event(2)], [address(2)]))
    assert not follower.stale


def test_a_link_on_its_way_to_another_namespace_is_overlooked() -> None:
    passing = ["vti1"]
    follower = Follower("", passing=passing)
    assert follower.feed(event(7)) == []
    assert follower.feed(gone(7)) == []
    assert kinds(follower.feed(event(8, alias="vtid:vti1"))) == [LinkSeen]
    passing.clear()
    assert kinds(follower.feed(event(9))) == [LinkSeen]
    assert not follower.underlay_changed


def test_the_outer_namespace_is_right_where_its_id_is_ours() -> None:
    data = nl.Request(
        nl.RTM_NEWLINK,
        0,
        next(nl.split(event(2))).data[16:] + nl.attribute(nl.IFLA_LINK_NETNSID, nl.S32.pack(3)),
    ).encode(0)
    for own, right in ((3, True), (4, False), (None, False)):
        (seen,) = Follower("p", own).feed(data)
        assert isinstance(seen, LinkSeen)
        assert seen.link.outer_netns_ok is right


def test_the_underlay_changes_with_foreign_links() -> None:
    follower = Follower("")
    follower.snapshot(Dump([event(1, 0, mtu=1500), event(2)], []))
    for data, changed in (
        (event(1, 0, mtu=1500), False),
        (event(1, 0, mtu=1400), True),
        (event(1, 0, mtu=1400, up=False), True),
        (event(2, mtu=1300), False),
        (gone(2), False),
        (gone(1, 0), True),
    ):
        follower.underlay_changed = False
        follower.feed(data)
        assert follower.underlay_changed is changed


def test_the_underlay_changes_with_routes_that_are_not_through_our_links() -> None:
    follower = Follower("")
    follower.snapshot(Dump([event(1, 0), event(2), event(3)], []))
    for data, changed in (
        (route(2), False),
        (route(2, 3), False),
        (route(1), True),
        (route(1, 2), True),
        (route(), True),
        (route(1, flags=nl.RTM_F_CLONED), False),
    ):
        follower.underlay_changed = False
        follower.feed(data)
        assert follower.underlay_changed is changed


def test_a_dump_tells_of_a_changed_underlay_as_well() -> None:
    """Events that came while it was made say nothing new afterwards."""
    follower = Follower("")
    for links, addresses, changed in (
        ([event(1, 0)], [address(1)], False),
        ([event(1, 0)], [address(1)], False),
        ([event(1, 0, mtu=1300)], [address(1)], True),
        ([event(1, 0, mtu=1300), event(2)], [address(1), address(2), address(3)], False),
        ([event(1, 0, mtu=1300), event(2)], [], True),
    ):
        follower.underlay_changed = False
        follower.snapshot(Dump(links, addresses))
        assert follower.underlay_changed is changed


def test_the_underlay_changes_with_foreign_addresses() -> None:
    """The routes that come with them are not told, not even when their metric changes."""
    follower = Follower("")
    follower.snapshot(Dump([event(1, 0), event(2)], [address(1)]))
    for data, changed in (
        (address(1), False),
        (address(2), False),
        (address(2, kind=nl.RTM_DELADDR), False),
        (address(1, kind=nl.RTM_DELADDR), True),
        (address(1), True),
        (address(1, metric=50), True),
        (address(1, metric=50), False),
        (address(1), True),
        (address(2, metric=50), False),
    ):
        follower.underlay_changed = False
        follower.feed(data)
        assert follower.underlay_changed is changed


REPLACED = route(1, asked=nl.NLM_F_REPLACE)


def test_a_route_of_ours_that_another_program_replaces_is_gone() -> None:
    follower = Follower("")
    follower.snapshot(Dump([event(1, 0), event(2)], [], [route(2, protocol=PROTOCOL)]))
    follower.underlay_changed = True
    (gone,) = follower.feed(REPLACED)
    assert isinstance(gone, RouteGone)
    assert gone.ifindex == 2
    assert follower.feed(REPLACED) == []


def test_a_route_of_ours_that_comes_again_is_told_again() -> None:
    """It may have gone with the last IPv4 address, of which there is no event."""
    follower = Follower("")
    follower.snapshot(Dump([event(2)], [], [route(2, protocol=PROTOCOL)]))
    (seen,) = follower.feed(route(2, protocol=PROTOCOL))
    assert isinstance(seen, RouteSeen)


def test_a_full_table_of_others_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read_route = Mock(wraps=messages.read_route)
    monkeypatch.setattr(messages, "read_route", read_route)
    follower = Follower("")
    follower.snapshot(Dump([event(1, 0), event(2)], []))
    for _ in range(3):
        follower.feed(REPLACED)
    assert (read_route.call_count, follower.underlay_changed) == (1, True)


EVENTS = st.lists(
    st.one_of(
        st.builds(
            event,
            st.integers(1, 3),
            st.sampled_from([0, LINK_GROUP]),
            kind=st.sampled_from([nl.RTM_NEWLINK, nl.RTM_DELLINK]),
        ),
        st.builds(
            address, st.integers(1, 3), kind=st.sampled_from([nl.RTM_NEWADDR, nl.RTM_DELADDR])
        ),
        st.binary(max_size=40),
    )
)


@given(EVENTS)
def test_links_seen_and_not_gone_are_ours(story: list[bytes]) -> None:
    follower, there = Follower("p"), set[int]()
    for data in story:
        for each in follower.feed(data):
            if isinstance(each, LinkSeen):
                there.add(each.ifindex)
            elif isinstance(each, LinkGone):
                there.remove(each.ifindex)
            elif isinstance(each, AddressSeen | AddressGone):
                assert each.ifindex in there
    assert there == follower.ours
