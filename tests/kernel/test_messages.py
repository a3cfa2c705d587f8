import struct
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from vtid.kernel import messages, stats
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.model.counts import LinkCounters
from vtid.model.link import LINK_GROUP, Link
from vtid.model.sysctls import IPV4, IPV6

GOLDEN = [
    (label, int(kind), bytes.fromhex(data))
    for label, kind, data in (
        line.split()
        for line in (Path(__file__).parent / "golden/linux-6.1.txt").read_text().splitlines()
        if not line.startswith("#")
    )
]
ENDS = {"vti": ("203.0.113.1", "203.0.113.2"), "vti6": ("2001:db8:1::1", "2001:db8:2::1")}
PLACES = [(netns, kind) for netns in ("outer", "inner") for kind in ("vti", "vti6")]


def golden(label: str, kind: int) -> list[nl.Message]:
    found = [next(nl.split(data)) for name, k, data in GOLDEN if (name, k) == (label, kind)]
    assert found
    return found


def pyroute2_reads(data: bytes) -> Any:
    (message,) = MarshalRtnl().parse(data)  # type: ignore[no-untyped-call]
    return message


def made(netns: str, kind: str) -> Link:
    local, remote = ENDS[kind]
    return Link(
        netns=netns,
        name=f"{kind}-a",
        kind=kind,
        local=local,
        remote=remote,
        ikey=7,
        okey=0x1234,
        mtu=1406,
        alias=f"vtid:{netns}/{kind}-a",
        up=False,
    )


@pytest.mark.parametrize(("netns", "kind"), PLACES)
def test_a_dump_of_a_finished_link_is_the_link_asked_for(netns: str, kind: str) -> None:
    (message,) = golden(f"{netns}-{kind}-dump", nl.RTM_NEWLINK)
    info = messages.read_link(message)
    assert info.ours
    link = info.link(netns, 5 if netns == "inner" else None)
    assert replace(link, sysctls=()) == made(netns, kind)


@pytest.mark.parametrize(("netns", "kind"), PLACES)
def test_the_settings_of_a_link_are_read_by_name(netns: str, kind: str) -> None:
    (message,) = golden(f"{netns}-{kind}-dump", nl.RTM_NEWLINK)
    settings = dict(messages.read_link(message).sysctls)
    assert set(settings) == {
        *(f"ipv4.{name}" for name in IPV4),
        *(f"ipv6.{name}" for name in IPV6),
    }
    assert (settings["ipv6.hop_limit"], settings["ipv4.secure_redirects"]) == (64, 1)


@pytest.mark.parametrize(("netns", "kind"), PLACES)
def test_creation_knows_group_and_keys_but_no_alias_nor_settings(netns: str, kind: str) -> None:
    (message,) = golden(f"{netns}-{kind}-created", nl.RTM_NEWLINK)
    info = messages.read_link(message)
    assert (info.group, info.ikey, info.okey, info.mtu) == (LINK_GROUP, 7, 0x1234, 1406)
    assert (info.alias, info.disable_policy, info.up) == ("", False, False)
    assert info.netnsid == (5 if netns == "inner" else None)


@pytest.mark.parametrize(("netns", "kind"), PLACES)
def test_addresses_come_and_go(netns: str, kind: str) -> None:
    label = f"{netns}-{kind}"
    wanted = {"2001:db8:ff::/127", "169.254.1.0/31"}
    for part, number in (
        ("up", nl.RTM_NEWADDR),
        ("addresses", nl.RTM_NEWADDR),
        ("deleted", nl.RTM_DELADDR),
    ):
        found = [messages.read_address(message) for message in golden(f"{label}-{part}", number)]
        assert wanted <= {info.text for info in found}
        assert len({info.ifindex for info in found}) == 1
        assert not any(info.ours for info in found)


def test_routes_of_a_link_lead_to_it() -> None:
    (last,) = golden("outer-vti6-deleted", nl.RTM_DELLINK)
    ifindex = messages.read_link(last).ifindex
    for message in golden("outer-vti6-up", nl.RTM_NEWROUTE):
        assert messages.read_route(message) == messages.RouteInfo(False, frozenset({ifindex}), None)  # noqa: FBT003 - cached


def test_next_hops_of_a_multipath_route() -> None:
    hops = b"".join(struct.pack("=HBBi", 8, 0, 0, ifindex) for ifindex in (3, 4))
    body = struct.pack("=BBBBBBBBI", 10, 0, 0, 0, 254, 3, 0, 1, 0) + nl.attribute(9, hops)
    info = messages.read_route(only(nl.Request(24, 0, body).encode(1)))
    assert info == messages.RouteInfo(False, frozenset({3, 4}), None)  # noqa: FBT003 - cached


def test_counters() -> None:
    (message,) = golden("inner-vti6-stats", nl.RTM_NEWSTATS)
    _, counters = stats.read_stats(message)
    assert_counts(counters, pyroute2_reads(message.data).get_attr("IFLA_STATS_LINK_64"))


def test_a_link_that_is_gone_tells_what_it_counted() -> None:
    (message,) = golden("outer-vti6-deleted", nl.RTM_DELLINK)
    counters = stats.read_link_stats(message)
    assert counters
    assert_counts(counters, pyroute2_reads(message.data).get_attr("IFLA_STATS64"))


def assert_counts(counters: LinkCounters, oracle: dict[str, int]) -> None:
    assert counters == LinkCounters(
        **{name: oracle[name] for name in LinkCounters.__dataclass_fields__}
    )


def test_pyroute2_reads_the_same_from_every_golden_link() -> None:
    for _, kind, data in GOLDEN:
        if kind not in {nl.RTM_NEWLINK, nl.RTM_DELLINK}:
            continue
        oracle = pyroute2_reads(data)
        info = messages.read_link(next(nl.split(data)))
        assert info.ifindex == oracle["index"]
        assert info.name == oracle.get_attr("IFLA_IFNAME")
        assert info.mtu == oracle.get_attr("IFLA_MTU")
        assert info.alias == (oracle.get_attr("IFLA_IFALIAS") or "")
        assert info.netnsid == oracle.get_attr("IFLA_LINK_NETNSID")
        assert info.kind == oracle.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
        where = ("IFLA_LINKINFO", "IFLA_INFO_DATA")
        assert info.local == oracle.get_nested(*where, "IFLA_VTI_LOCAL")
        assert info.remote == oracle.get_nested(*where, "IFLA_VTI_REMOTE")
        assert info.ikey == oracle.get_nested(*where, "IFLA_VTI_IKEY")
        assert info.okey == oracle.get_nested(*where, "IFLA_VTI_OKEY")


@pytest.mark.parametrize(("netns", "kind"), PLACES)
def test_pyroute2_reads_our_request_as_meant(netns: str, kind: str) -> None:
    link = made(netns, kind)
    data = asks.new_link(link, 5).encode(9)
    message = pyroute2_reads(data)
    assert message["header"]["flags"] == 0x1 | 0x4 | 0x200 | 0x400
    assert message.get_attr("IFLA_IFNAME") == link.name
    assert message.get_attr("IFLA_GROUP") == LINK_GROUP
    assert message.get_attr("IFLA_LINK_NETNSID") == 5
    where = ("IFLA_LINKINFO", "IFLA_INFO_DATA")
    assert message.get_nested(*where, "IFLA_VTI_REMOTE") == link.remote
    assert message.get_nested(*where, "IFLA_VTI_OKEY") == link.okey


def test_a_change_carries_the_named_fields_and_all_of_the_data() -> None:
    link = made("", "vti6")
    one = messages.read_link(only(asks.set_link(3, link, frozenset({"mtu"})).encode(1)))
    assert (one.ifindex, one.mtu, one.kind) == (3, 1406, "")
    keys = messages.read_link(only(asks.set_link(3, link, frozenset({"ikey"})).encode(1)))
    assert (keys.mtu, keys.local, keys.remote) == (1406, link.local, link.remote)
    assert (keys.ikey, keys.okey) == (7, 0x1234)


@given(st.integers(1, 0xFFFFFFFF), st.none() | st.integers(0, 0x7FFFFFFF))
def test_an_xfrm_interface_is_asked_for_by_its_if_id(if_id: int, nsid: int | None) -> None:
    link = Link("", "xfrm0", "xfrm", "", "", 0, 0, 1400, "", up=False, if_id=if_id)
    data = asks.new_link(link, nsid).encode(1)
    where = ("IFLA_LINKINFO", "IFLA_INFO_DATA")
    assert pyroute2_reads(data).get_nested(*where, "IFLA_XFRM_IF_ID") == if_id
    info = messages.read_link(only(data))
    assert (info.kind, info.if_id, info.local, info.ikey) == ("xfrm", if_id, "", 0)
    change = asks.set_link(3, link, frozenset({"if_id"})).encode(1)
    assert messages.read_link(only(change)).if_id == if_id


def test_an_error_has_the_words_of_the_kernel() -> None:
    # Linux 6.1, RTM_NEWLINK of an unknown kind, NETLINK_EXT_ACK and NETLINK_CAP_ACK set
    words = b"\x18\x00\x01\x00Unknown device type\x00"
    body = struct.pack("=i", -95) + bytes(16) + words
    message = only(nl.Request(nl.NLMSG_ERROR, nl.NLM_F_ACK_TLVS, body).encode(1))
    assert messages.read_error(message) == (95, "Unknown device type")


@pytest.mark.parametrize("number", [1, -4096, -(1 << 31)])
def test_an_error_that_no_kernel_has_is_no_message(number: int) -> None:
    body = struct.pack("=i", number) + bytes(16)
    with pytest.raises(nl.MessageError, match="error of number"):
        messages.read_error(only(nl.Request(nl.NLMSG_ERROR, 0, body).encode(1)))


def test_text_of_others_does_not_reach_a_terminal() -> None:
    body = nl.LINK.pack(0, 0, 1, 0, 0) + nl.string(nl.IFLA_IFALIAS, "a\x1b[2Jb\n")
    assert messages.read_link(only(nl.Request(16, 0, body).encode(1))).alias == "a?[2Jb?"


def only(data: bytes) -> nl.Message:
    (message,) = nl.split(data)
    return message


READERS = {
    nl.RTM_NEWLINK: messages.read_link,
    nl.RTM_DELLINK: messages.read_link,
    nl.RTM_NEWADDR: messages.read_address,
    nl.RTM_DELADDR: messages.read_address,
    nl.RTM_NEWROUTE: messages.read_route,
    nl.RTM_DELROUTE: messages.read_route,
    nl.RTM_NEWSTATS: stats.read_stats,
    nl.NLMSG_ERROR: messages.read_error,
}


def read_all(data: bytes) -> None:
    try:
        for message in nl.split(data):
            reader = READERS.get(message.kind)
            if reader:
                reader(message)
    except nl.MessageError:
        pass


@given(st.sampled_from(sorted(READERS)), st.integers(0, 0xFFFF), st.binary(max_size=200))
def test_any_body_is_read_or_refused(kind: int, flags: int, body: bytes) -> None:
    read_all(nl.Request(kind, flags, body).encode(1))


@given(st.binary(max_size=200))
def test_any_datagram_is_read_or_refused(data: bytes) -> None:
    read_all(data)


@given(st.sampled_from(GOLDEN), st.data())
def test_a_damaged_message_is_read_or_refused(
    sample: tuple[str, int, bytes], data: st.DataObject
) -> None:
    damaged = bytearray(sample[2])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    read_all(bytes(damaged))


@given(st.sampled_from(GOLDEN), st.data())
def test_a_cut_message_is_refused(sample: tuple[str, int, bytes], data: st.DataObject) -> None:
    cut = sample[2][: data.draw(st.integers(1, len(sample[2]) - 1))]
    with pytest.raises(nl.MessageError):
        list(nl.split(cut))


@given(
    st.sampled_from(["vti", "vti6"]),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(68, 65535),
    st.none() | st.integers(0, 0x7FFFFFFF),
)
def test_what_is_asked_for_reads_back(
    kind: str, ikey: int, okey: int, mtu: int, nsid: int | None
) -> None:
    local, remote = ENDS[kind]
    link = Link("", "vti0", kind, local, remote, ikey, okey, mtu, "")
    info = messages.read_link(only(asks.new_link(link, nsid).encode(1)))
    assert (info.kind, info.local, info.remote) == (kind, local, remote)
    assert (info.ikey, info.okey, info.mtu, info.netnsid) == (ikey, okey, mtu, nsid)


@given(
    st.one_of(
        st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32)),
        st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6), st.integers(0, 128)),
    ),
    st.booleans(),
)
def test_an_address_is_written_as_it_is_read(ends: tuple[Any, Any, int], peer: bool) -> None:  # noqa: FBT001
    local, other, length = ends
    text = f"{local} peer {other}/{length}" if peer and local != other else f"{local}/{length}"
    (message,) = nl.split(asks.new_address(3, text).encode(1))
    assert messages.read_address(message) == messages.AddressInfo(3, text, ours=True, metric=0)
    interface = ip_interface(text.rpartition(" ")[2])
    head = nl.ADDRESS.unpack_from(message.data, message.start)
    assert head == (
        nl.AF_INET if interface.version == 4 else nl.AF_INET6,
        interface.network.prefixlen,
        nl.IFA_F_NODAD if interface.version == 6 else 0,
        0,
        3,
    )
