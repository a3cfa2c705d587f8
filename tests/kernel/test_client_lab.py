from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, create, lab, shell, vti
from vtid.kernel import wire as nl
from vtid.kernel.dumps import split
from vtid.kernel.follow import MANY
from vtid.kernel.observe import Watch
from vtid.kernel.sockets import (
    LINK_EVENTS,
    ROUTE_EVENTS,
    SETTING_EVENTS,
    open_events,
    read_event,
)
from vtid.model.input import (
    LinkGone,
    LinkSeen,
    LinkSnapshot,
    NetnsLost,
    OpDone,
    OpFailed,
    UnderlayChanged,
    UnderlaySeen,
)
from vtid.model.link import LINK_GROUP
from vtid.model.operation import (
    AddAddress,
    DeleteAddress,
    DeleteLink,
    ProbeUnderlay,
    SetLink,
    SetUp,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtid.model.link import Link

pytestmark = pytest.mark.lab

V6, V4 = "2001:db8:ff::/127", "169.254.1.0/31"


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    async with lab() as found:
        yield found


def bridge(net: Lab, name: str = "br1") -> None:
    """Put a link of another kind into our group: it is watched like any."""
    shell(f"ip -n {net.inner} link add {name} group {LINK_GROUP} type bridge")


def address(netns: str, name: str, text: str) -> AddAddress:
    return AddAddress(tunnel="t", reason="test", netns=netns, interface=name, address=text)


def unaddress(netns: str, name: str, text: str) -> DeleteAddress:
    return DeleteAddress(tunnel="t", reason="test", netns=netns, interface=name, address=text)


def up(netns: str, name: str) -> SetUp:
    return SetUp(tunnel="t", reason="test", netns=netns, name=name)


def change(link: Link, ifindex: int, *changes: str) -> SetLink:
    return SetLink(tunnel="t", reason="test", link=link, ifindex=ifindex, changes=changes)


def delete(link: Link, ifindex: int) -> DeleteLink:
    return DeleteLink(tunnel="t", reason="test", netns=link.netns, name=link.name, ifindex=ifindex)


# --- links of ours --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["vti", "vti6"])
@pytest.mark.parametrize("across", [False, True])
async def test_the_life_of_a_vti(net: Lab, kind: str, across: bool) -> None:  # noqa: FBT001
    where = net.inner if across else ""
    await net.watch("", net.inner)
    link = vti(where, kind)
    results = await net.kernel.execute(
        [
            create(link),
            address(where, link.name, V6),
            address(where, link.name, V4),
            up(where, link.name),
        ]
    )
    assert [type(each) for each in results] == [OpDone] * 4, results
    ifindex, seen, addresses = net.only(where)
    assert (seen, addresses) == (replace(link, up=True), {V6, V4})
    assert not net.picture(net.inner if not across else "")
    assert not [each for each in net.of(LinkSeen, "") if across]

    writes = net.kernel.writes
    assert not await net.done(create(link))
    assert not await net.done(up(where, link.name))
    assert net.kernel.writes == writes

    moved = replace(link, ikey=9, okey=10, mtu=1400, alias="vtid:other", rp_filter=2, up=True)
    assert await net.done(change(moved, ifindex, "ikey", "okey", "mtu", "alias", "rp_filter"))
    assert net.only(where) == (ifindex, moved, {V6, V4})

    assert await net.done(delete(link, ifindex))
    assert not net.picture(where)
    assert not await net.done(delete(link, ifindex))


@pytest.mark.parametrize("kind", ["vti", "vti6"])
async def test_changes_without_an_event_are_told_as_well(net: Lab, kind: str) -> None:
    """Linux 6.1 sends no event for alias, settings and keys of a link that is down."""
    await net.watch(net.inner)
    link = vti(net.inner, kind)
    assert await net.done(create(link))
    ifindex, seen, _ = net.only(net.inner)
    assert seen == link
    for field, value in (("alias", "vtid:x"), ("rp_filter", 1), ("okey", 5)):
        link = replace(link, **{field: value})  # type: ignore[arg-type]
        assert await net.done(change(link, ifindex, field))
        assert net.only(net.inner) == (ifindex, link, set())


async def test_a_restarted_kernel_room_adopts_without_a_write(net: Lab) -> None:
    link = vti(net.inner)
    assert await net.done(create(link))
    assert await net.done(address(net.inner, link.name, V6))
    await net.watch("", net.inner)
    writes = net.kernel.writes
    assert net.only(net.inner)[1:] == (link, {V6})
    assert not await net.done(create(link))
    assert net.kernel.writes == writes


async def test_a_link_whose_outer_side_is_elsewhere_is_told_and_left_alone(net: Lab) -> None:
    shell(
        f"ip -n {net.inner} link add vti7 group {LINK_GROUP} type vti6 "
        "local 2001:db8:1::1 remote 2001:db8:2::1 key 7"
    )
    await net.watch(net.inner)
    _, seen, _ = net.only(net.inner)
    assert not seen.outer_netns_ok
    assert "belongs to another vtid" in await net.failed(create(vti(net.inner)))


# --- links of others ------------------------------------------------------------------------------


async def test_an_alternative_name_of_someone_else_is_told(net: Lab) -> None:
    shell(f"ip -n {net.inner} link add other type bridge")
    shell(f"ip -n {net.inner} link property add dev other altname vti7")
    error = await net.failed(create(vti(net.inner)))
    assert "vti7" in error
    assert "alternative name of other" in error


async def test_a_name_of_someone_else_is_left_alone(net: Lab) -> None:
    shell(f"ip -n {net.inner} link add vti7 type bridge")
    error = await net.failed(create(vti(net.inner)))
    assert error == (
        f"vti7 in namespace '{net.inner}' belongs to someone else (kind bridge) and is not what "
        "the policy wants: kind bridge instead of vti6; correct swanctl.conf or the policy, choose "
        "another `interface = `, or remove it, and vtid makes its own: "
        f"ip -n {net.inner} link delete vti7"
    )
    ifindex = int(shell(f"ip -n {net.inner} -o link show vti7").split(":")[0])
    assert not await net.done(delete(vti(net.inner), ifindex))
    for op in (up(net.inner, "vti7"), address(net.inner, "vti7", V4)):
        assert "belongs to someone else" in await net.failed(op)
    assert not await net.done(unaddress(net.inner, "vti7", V4))
    assert "state DOWN" in shell(f"ip -n {net.inner} link show vti7")


@pytest.mark.parametrize("kind", ["vti", "vti6"])
async def test_a_pair_of_addresses_that_another_link_has_names_it(net: Lab, kind: str) -> None:
    link = vti(net.inner, kind)
    assert await net.done(create(link))
    await net.watch("", net.inner)
    other = vti("", kind, name="vti8", ikey=8)
    error = await net.failed(create(other))
    assert "vti8 from" in error
    assert f"vti7 in namespace '{net.inner}' has this pair" in error


async def test_a_name_taken_where_the_kernel_makes_links_first_is_named(net: Lab) -> None:
    shell("ip link add vti7 type bridge")
    error = await net.failed(create(vti(net.inner)))
    assert "vtid's own namespace first, where vti7 is taken" in error


async def test_an_ifindex_that_another_link_of_ours_has_is_not_deleted(net: Lab) -> None:
    bridge(net)
    await net.watch(net.inner)
    ifindex, link, _ = net.only(net.inner)
    assert not await net.done(delete(replace(link, name="vti9"), ifindex))
    assert await net.done(delete(link, ifindex))


# --- addresses ------------------------------------------------------------------------------------


async def test_addresses_are_idempotent(net: Lab) -> None:
    bridge(net)
    await net.watch(net.inner)
    for text in (V6, V4):
        assert await net.done(address(net.inner, "br1", text))
        assert not await net.done(address(net.inner, "br1", text))
    assert net.only(net.inner)[2] == {V6, V4}
    error = await net.failed(address(net.inner, "br1", "2001:db8:ff::/64"))
    assert "another prefix length" in error
    for text in (V6, V4):
        assert await net.done(unaddress(net.inner, "br1", text))
        assert not await net.done(unaddress(net.inner, "br1", text))
    assert net.only(net.inner)[2] == set()


async def test_no_ipv6_on_a_link_with_a_small_mtu(net: Lab) -> None:
    bridge(net)
    shell(f"ip -n {net.inner} link set br1 mtu 1200")
    assert "needs an MTU of 1280 or more and it has 1200" in await net.failed(
        address(net.inner, "br1", V6)
    )
    assert await net.done(address(net.inner, "br1", V4))


async def test_no_ipv6_where_it_is_switched_off(net: Lab) -> None:
    bridge(net)
    shell(f"ip netns exec {net.inner} sysctl -qw net.ipv6.conf.br1.disable_ipv6=1")
    assert "net.ipv6.conf.br1.disable_ipv6=0" in await net.failed(address(net.inner, "br1", V6))


async def test_a_link_that_cannot_be_made_takes_the_rest_of_its_tunnel(net: Lab) -> None:
    bridge(net)
    refused = create(replace(vti(net.inner), vrf="none"))
    other = AddAddress(tunnel="good", reason="test", netns=net.inner, interface="br1", address=V4)
    first, second, third = await net.kernel.execute(
        [refused, replace(up(net.inner, "br1"), tunnel=refused.tunnel), other]
    )
    assert isinstance(first, OpFailed)
    assert isinstance(second, OpFailed)
    assert second.error == f"not tried after: {first.error}"
    assert isinstance(third, OpDone)
    assert "state DOWN" in shell(f"ip -n {net.inner} link show br1")


async def test_any_other_failure_takes_nothing_with_it(net: Lab) -> None:
    bridge(net)
    shell(f"ip -n {net.inner} link set br1 mtu 1200")
    first, second, third = await net.kernel.execute(
        [address(net.inner, "br1", V6), address(net.inner, "br1", V4), up(net.inner, "br1")]
    )
    assert isinstance(first, OpFailed)
    assert isinstance(second, OpDone)
    assert isinstance(third, OpDone)


# --- events ---------------------------------------------------------------------------------------


async def test_what_others_do_to_our_links_is_seen(net: Lab) -> None:
    await net.watch(net.inner)
    bridge(net)
    await net.until(lambda: net.picture(net.inner))
    shell(f"ip -n {net.inner} address add {V4} dev br1; ip -n {net.inner} link set br1 up")
    await net.until(lambda: net.only(net.inner)[1].up and net.only(net.inner)[2] == {V4})
    shell(f"ip -n {net.inner} link set br1 group default")
    await net.until(lambda: not net.picture(net.inner))
    shell(f"ip -n {net.inner} link set br1 group {LINK_GROUP}")
    await net.until(lambda: net.picture(net.inner) and net.only(net.inner)[2] == {V4})
    shell(f"ip -n {net.inner} link delete br1")
    await net.until(lambda: net.of(LinkGone, net.inner)[1:])


async def test_an_overrun_ends_in_one_snapshot(net: Lab) -> None:
    await net.watch(net.inner)
    await net.until(lambda: net.of(LinkSnapshot, net.inner))
    watch = net.kernel._watches[net.inner]
    assert watch._events
    watch._events.setsockopt(1, 8, 2304)  # SO_RCVBUF: room for hardly one event
    shell(
        f"seq 0 19 | sed 's/.*/link add br& group {LINK_GROUP} type bridge/'"
        f" | ip -n {net.inner} -batch -"
    )
    await net.until(lambda: len(net.of(LinkSnapshot, net.inner)) == 2)
    await net.until(lambda: len(net.picture(net.inner)) == 20)
    watch._events.setsockopt(1, 8, 1 << 16)  # a new link is several events
    bridge(net, "brlast")
    await net.until(lambda: len(net.picture(net.inner)) == 21)
    assert len(net.of(LinkSnapshot, net.inner)) == 2


async def test_echoes_come_before_the_results(net: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: Watch) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Watch, "_readable", never)  # the watch by itself would be too late
    bridge(net)
    await net.watch(net.inner)
    assert await net.done(up(net.inner, "br1"))
    assert net.only(net.inner)[1].up


async def test_a_resync_sees_what_no_event_told(net: Lab) -> None:
    bridge(net)
    await net.watch(net.inner)
    shell(f"ip -n {net.inner} link set br1 alias silent")
    await net.kernel.resync(net.inner)
    assert net.only(net.inner)[1].alias == "silent"


# Linux 6.1 has no event for the IPv6 ignore_routes_with_linkdown of one link; 6.18 has
SETTINGS = (
    "ipv4.forwarding",
    "ipv4.rp_filter",
    "ipv4.ignore_routes_with_linkdown",
    "ipv6.forwarding",
    "ipv6.proxy_ndp",
)


@pytest.mark.any_kernel
@pytest.mark.parametrize("setting", SETTINGS)
async def test_a_changed_setting_is_seen_at_once(net: Lab, setting: str) -> None:
    bridge(net)
    await net.watch(net.inner)
    family, _, name = setting.partition(".")

    def seen() -> int:
        ((link, _),) = net.picture(net.inner).values()
        return {**dict(link.sysctls), "ipv4.rp_filter": link.rp_filter}[setting]

    for value in (1, 0):
        path = f"/proc/sys/net/{family}/conf/br1/{name}"
        shell(f"ip netns exec {net.inner} sh -c 'echo {value} >{path}'")
        await net.until(lambda value=value: seen() == value)  # type: ignore[misc]


@pytest.mark.any_kernel
async def test_settings_of_ipv6_that_come_back_with_the_mtu_are_seen_at_once(net: Lab) -> None:
    """The interface had none meanwhile, and has the kernel's own now."""
    bridge(net)
    path = "/proc/sys/net/ipv6/conf/br1/accept_ra"
    shell(f"ip netns exec {net.inner} sh -c 'echo 0 >{path}'")
    await net.watch(net.inner)

    def seen() -> int | None:
        ((link, _),) = net.picture(net.inner).values()
        return dict(link.sysctls).get("ipv6.accept_ra")

    assert seen() == 0
    shell(f"ip -n {net.inner} link set br1 mtu 1200; ip -n {net.inner} link set br1 mtu 1400")
    await net.until(lambda: seen() == 1)


async def test_strict_filtering_on_all_links_is_seen_at_once(net: Lab) -> None:
    bridge(net)

    def filter_all(value: int) -> None:
        path = "/proc/sys/net/ipv4/conf/all/rp_filter"
        shell(f"ip netns exec {net.inner} sh -c 'echo {value} >{path}'")

    filter_all(1)
    await net.watch(net.inner)
    assert net.only(net.inner)[1].strict_all
    filter_all(2)
    await net.until(lambda: not net.only(net.inner)[1].strict_all)
    filter_all(1)
    await net.until(lambda: net.only(net.inner)[1].strict_all)


async def test_settings_of_all_links_are_seen_at_once(net: Lab) -> None:
    names = [f"br{number}" for number in range(MANY + 1)]
    for name in names:
        bridge(net, name)
    await net.watch(net.inner)
    shell(f"ip netns exec {net.inner} sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/forwarding'")

    def forwarding() -> int:
        found = net.picture(net.inner).values()
        return sum(dict(link.sysctls)["ipv4.forwarding"] for link, _ in found)

    await net.until(lambda: forwarding() == len(names))


async def test_counters_of_our_links(net: Lab) -> None:
    shell(
        f"ip link add a0 group {LINK_GROUP} type veth peer name a1 netns {net.inner};"
        f"ip address add 192.0.2.1/30 dev a0; ip link set a0 up; ip -n {net.inner} link set a1 up;"
        f"ip -n {net.inner} address add 192.0.2.2/30 dev a1; ping -c 2 -q 192.0.2.2"
    )
    await net.watch("")
    ifindex, _, _ = net.only("")
    counters = await net.kernel.counters("")
    assert set(counters) == {ifindex}
    assert counters[ifindex].tx_packets >= 2
    assert counters[ifindex].rx_bytes >= 2 * 84
    assert await net.kernel.counters(net.inner) == {}


# --- namespaces -----------------------------------------------------------------------------------


async def test_a_missing_namespace_is_told_and_found_later(net: Lab) -> None:
    shell(f"ip netns delete {net.inner}")
    task = asyncio.create_task(net.kernel.watch(net.inner))
    net._watches[net.inner] = task
    await net.until(lambda: net.of(NetnsLost, net.inner))
    assert f"`ip netns add {net.inner}`" in net.of(NetnsLost, net.inner)[0].reason
    assert f"`ip netns add {net.inner}`" in await net.failed(up(net.inner, "br1"))
    shell(f"ip netns add {net.inner}")
    await net.until(lambda: net.of(LinkSnapshot, net.inner))
    assert len(net.of(NetnsLost, net.inner)) == 1


async def test_a_namespace_made_anew_is_watched_anew(net: Lab) -> None:
    bridge(net)
    await net.watch(net.inner)
    assert net.picture(net.inner)
    shell(f"ip netns delete {net.inner}; ip netns add {net.inner}")
    await net.until(lambda: len(net.of(LinkSnapshot, net.inner)) == 2)
    assert not net.picture(net.inner)
    bridge(net, "br2")
    await net.until(lambda: net.picture(net.inner))
    assert await net.done(up(net.inner, "br2"))


async def test_one_namespace_in_trouble_leaves_the_others(net: Lab) -> None:
    bridge(net)
    lost, fine = await net.kernel.execute([up("vtid-none", "br1"), up(net.inner, "br1")])
    assert isinstance(lost, OpFailed)
    assert isinstance(fine, OpDone)


# --- the underlay ---------------------------------------------------------------------------------


async def probe(net: Lab, local: str, remote: str) -> UnderlaySeen:
    assert not await net.done(ProbeUnderlay(tunnel="t", reason="test", local=local, remote=remote))
    seen = net.inputs[-1]
    assert isinstance(seen, UnderlaySeen)
    assert (seen.local, seen.remote) == (local, remote)
    return seen


async def test_the_mtu_towards_a_peer(net: Lab) -> None:
    shell("ip link set eth0 mtu 1450")
    for local, remote in (("203.0.113.1", "203.0.113.2"), ("2001:db8:1::1", "2001:db8:2::1")):
        seen = await probe(net, local, remote)
        assert (seen.mtu, seen.interface, seen.error) == (1450, "eth0", "")
    shell("ip route add 203.0.113.2 dev eth0 mtu 1400")
    shell("ip route add 2001:db8:2::1 dev eth0 mtu 1380")
    assert (await probe(net, "203.0.113.1", "203.0.113.2")).mtu == 1400
    assert (await probe(net, "2001:db8:1::1", "2001:db8:2::1")).mtu == 1380


async def test_no_route_to_a_peer(net: Lab) -> None:
    shell("ip route add unreachable 198.51.100.0/24; ip route add blackhole 192.0.2.0/24")
    for remote in ("192.0.2.1", "198.51.100.1", "100.64.0.1"):
        seen = await probe(net, "203.0.113.1", remote)
        assert seen.mtu == 0
        assert seen.error.startswith(f"no route from 203.0.113.1 to {remote}: ")
    assert (await probe(net, "203.0.113.77", "203.0.113.2")).mtu == 0


async def test_a_route_into_our_own_tunnel_is_none(net: Lab) -> None:
    shell(
        f"ip link add vti7 group {LINK_GROUP} type bridge; ip link set vti7 up;"
        "ip route add 203.0.113.2 dev vti7"
    )
    seen = await probe(net, "203.0.113.1", "203.0.113.2")
    assert seen.mtu == 0
    assert "into our own tunnel vti7" in seen.error


@pytest.mark.any_kernel
@pytest.mark.parametrize(
    "event",
    [
        "ip link set eth0 mtu 1400",
        "ip link set eth0 down",
        "ip address change 203.0.113.1/24 dev eth0 metric 50",
        "ip address add 198.51.100.1/32 dev eth0",
        "ip address add 2001:db8:9::1/128 dev eth0 nodad",
        "ip route add 198.51.100.0/24 via 203.0.113.9",
        "ip route add 198.51.100.0/24 dev eth0 proto kernel",
        "ip -6 route add 2001:db8:9::/48 dev eth0 mtu 1400",
        "ip link delete eth0",
    ],
)
async def test_a_changed_underlay_is_told(net: Lab, event: str) -> None:
    await net.watch("", net.inner)
    shell(event)
    await net.until(lambda: net.inputs[-1:] == [UnderlayChanged()])


@pytest.mark.any_kernel
async def test_a_prefix_that_a_router_advertises_is_told(net: Lab) -> None:
    """There is no address in it: RFC 4861, section 4.6.2, L=1 and A=0."""
    shell("echo 2 >/proc/sys/net/ipv6/conf/eth0/accept_ra")
    shell("ip address add fe80::1/64 dev eth1 nodad")
    await net.watch("")
    prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0x80, 60, 60, 0, nl.packed("2001:db8:5::"))
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as router:
        router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        advertised = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0) + prefix
        router.sendto(advertised, ("ff02::1", 0, 0, socket.if_nametoindex("eth1")))
    await net.until(lambda: net.inputs[-1:] == [UnderlayChanged()])


async def test_a_route_to_no_peer_is_no_underlay(net: Lab) -> None:
    await net.watch("")
    shell("ip route add multicast 239.1.0.0/16 dev eth0")
    shell("ip -6 route add multicast ff15::/16 dev eth0 table local")
    await net.kernel.resync("")
    assert not net.kernel._watches[""]._follower.underlay_changed
    shell("ip route add 198.51.100.0/24 via 203.0.113.9")
    await net.until(lambda: net.inputs[-1:] == [UnderlayChanged()])


@pytest.mark.any_kernel
@pytest.mark.usefixtures("net")
async def test_of_a_new_link_only_what_counts_is_told() -> None:
    """Its settings and the routes that the kernel makes would be as many messages again."""
    shell("echo 0 >/proc/sys/net/ipv6/conf/default/dad_transmits")
    groups = LINK_EVENTS | SETTING_EVENTS | ROUTE_EVENTS
    with open_events(groups) as events, open_events(groups, only_our_routes=True) as inner:
        shell(
            f"ip link add br7 group {LINK_GROUP} address 02:00:00:00:00:07 type bridge;"
            f"ip address add {V6} dev br7; ip address add {V4} dev br7; ip link set br7 up;"
            "ip link delete br7"
        )
        for told in (events, inner):
            kinds = set()
            while data := read_event(told):
                kinds |= {each.kind for each in split(data)}
            assert kinds == {nl.RTM_NEWLINK, nl.RTM_NEWADDR, nl.RTM_DELADDR, nl.RTM_DELLINK}


@pytest.mark.any_kernel
async def test_our_own_links_are_no_underlay(net: Lab) -> None:
    shell(f"ip link add br1 group {LINK_GROUP} type bridge")
    await net.watch("")
    shell(
        "ip link set br1 up mtu 1300; ip address add 192.0.2.1/24 dev br1;"
        "ip route add 198.51.100.0/24 dev br1; ip link delete br1"
    )
    await net.until(lambda: not net.picture(""))
    assert not net.kernel._watches[""]._follower.underlay_changed
    assert UnderlayChanged() not in net.inputs
