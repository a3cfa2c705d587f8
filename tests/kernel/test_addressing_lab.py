"""What comes with an interface, in the real kernel: VRF, addresses, routes, settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, create, lab, shell, vti, xfrm
from vtid.model.input import AddressSeen, LinkSnapshot, OpDone, OpFailed
from vtid.model.link import Route
from vtid.model.operation import AddAddress, AddRoute, DeleteAddress, DeleteRoute, SetLink, SetUp
from vtid.model.sysctls import IPV4, IPV6

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtid.model.link import Link

pytestmark = pytest.mark.lab

V4, V6 = Route("10.8.0.0/16", 0), Route("2001:db8:9::/48", 1024)


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    async with lab() as found:
        yield found


async def made(net: Lab, link: Link, *, up: bool = True) -> int:
    """Make a link in the inner namespace, watched, and return its index."""
    await net.watch("", net.inner)
    assert await net.done(create(link))
    if up:
        assert await net.done(SetUp(tunnel="t", reason="", netns=link.netns, name=link.name))
    return net.only(link.netns)[0]


def change(link: Link, ifindex: int, *changes: str) -> SetLink:
    return SetLink(tunnel="t", reason="test", link=link, ifindex=ifindex, changes=changes)


def add(link: Link, route: Route) -> AddRoute:
    return AddRoute(tunnel="t", reason="", netns=link.netns, interface=link.name, route=route)


def remove(link: Link, route: Route) -> DeleteRoute:
    return DeleteRoute(tunnel="t", reason="", netns=link.netns, interface=link.name, route=route)


def address(link: Link, text: str) -> AddAddress:
    return AddAddress(tunnel="t", reason="", netns=link.netns, interface=link.name, address=text)


def unaddress(link: Link, text: str) -> DeleteAddress:
    return DeleteAddress(tunnel="t", reason="", netns=link.netns, interface=link.name, address=text)


def blue(net: Lab, name: str = "blue", table: int = 100) -> None:
    shell(f"ip -n {net.inner} link add {name} type vrf table {table}")
    shell(f"ip -n {net.inner} link set {name} up")


# --- VRF ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [vti, xfrm])
async def test_a_link_is_made_in_its_vrf_and_leaves_it(net: Lab, make: object) -> None:
    blue(net)
    link = replace(make(net.inner), vrf="blue", table=100)  # type: ignore[operator]
    ifindex = await made(net, link)
    assert net.only(net.inner)[:2] == (ifindex, replace(link, up=True))
    free = replace(link, vrf="", table=254, up=True)
    assert await net.done(change(free, ifindex, "vrf"))
    assert net.only(net.inner)[:2] == (ifindex, free)
    assert not await net.done(change(free, ifindex, "vrf"))


async def test_a_link_that_someone_moves_to_another_vrf_is_seen_there(net: Lab) -> None:
    blue(net)
    blue(net, "red", 200)
    link = replace(xfrm(net.inner), vrf="blue", table=100)
    ifindex = await made(net, link)
    shell(f"ip -n {net.inner} link set {link.name} master red")
    await net.until(lambda: net.only(net.inner)[1].vrf == "red")
    assert net.only(net.inner)[1].table == 200
    assert await net.done(change(link, ifindex, "vrf"))
    assert net.only(net.inner)[1].vrf == "blue"
    shell(f"ip -n {net.inner} link set blue down")
    shell(f"ip -n {net.inner} link set blue name green")
    await net.until(lambda: net.only(net.inner)[1].vrf == "green")
    shell(f"ip -n {net.inner} link delete green")
    await net.until(lambda: net.only(net.inner)[1].vrf == "")


async def test_a_mistyped_vrf_makes_nothing(net: Lab) -> None:
    await net.watch("", net.inner)
    link = replace(xfrm(net.inner), vrf="bleu")
    error = await net.failed(create(link))
    assert f"vrf 'bleu' in namespace '{net.inner}' does not exist" in error
    assert f"`ip -n {net.inner} link add bleu type vrf table NUMBER`" in error
    shell(f"ip -n {net.inner} link add bleu type bridge")
    assert "is no VRF but a bridge; correct `vrf = `" in await net.failed(create(link))
    assert not net.picture(net.inner)


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1 peer 10.0.0.2/32",
        "10.0.0.1 peer 10.0.1.0/24",
        "2001:db8:ff::1 peer 2001:db8:ff::2/128",
        "fe80::1/64",
        "10.0.0.1/32",
        "2001:db8:ff::/127",
    ],
)
async def test_an_address_comes_back_as_it_was_written(net: Lab, text: str) -> None:
    link = replace(xfrm(net.inner), link_local=False)
    await made(net, link)
    assert await net.done(address(link, text))
    assert not await net.done(address(link, text))
    seen = [each for each in net.of(AddressSeen, net.inner) if each.ours]
    assert {each.address for each in seen} == {text}  # told again: it was there already
    await net.kernel.resync(net.inner)
    snapshot = net.of(LinkSnapshot, net.inner)[-1]
    assert [one for _, one in snapshot.marked] == [text]
    assert await net.done(unaddress(link, text))
    assert not await net.done(unaddress(link, text))
    assert text not in net.picture(net.inner)[net.only(net.inner)[0]][1]


async def test_another_peer_of_an_address_is_told(net: Lab) -> None:
    link = xfrm(net.inner)
    await made(net, link)
    shell(f"ip -n {net.inner} address add 2001:db8::1/64 dev {link.name} nodad")
    error = await net.failed(address(link, "2001:db8::1 peer 2001:db8::2/128"))
    assert "is there with another prefix length or peer" in error


async def test_no_link_local_address_without_ipv6(net: Lab) -> None:
    link = replace(xfrm(net.inner), link_local=False)
    ifindex = await made(net, link)
    assert net.only(net.inner)[1] == replace(link, up=True)
    assert net.picture(net.inner)[ifindex][1] == set()


# --- routes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [vti, xfrm])
async def test_routes_come_back_with_their_table(net: Lab, make: object) -> None:
    blue(net)
    link = replace(make(net.inner), vrf="blue")  # type: ignore[operator]
    ifindex = await made(net, link)
    wanted = [V4, V6, Route("0.0.0.0/0", 7, 254), Route("::/0", 7, 70000)]
    results = await net.kernel.execute([add(link, route) for route in wanted])
    assert [type(each) for each in results] == [OpDone] * 4, results
    here = {replace(route, table=route.table or 100) for route in wanted}
    assert net.routes(net.inner)[ifindex] == here
    writes = net.kernel.writes
    await net.kernel.resync(net.inner)
    assert net.routes(net.inner)[ifindex] == here
    assert net.kernel.writes == writes
    assert not await net.done(add(link, V4))
    for route in here:
        assert await net.done(remove(link, route))
        assert not await net.done(remove(link, route))
    assert net.routes(net.inner)[ifindex] == set()


async def test_routes_that_go_with_the_link_down_are_told(net: Lab) -> None:
    link = xfrm(net.inner)
    ifindex = await made(net, link)
    for route in (V4, V6):
        assert await net.done(add(link, route))
    shell(f"ip -n {net.inner} link set {link.name} down")
    await net.until(lambda: not net.only(net.inner)[1].up)
    assert net.routes(net.inner)[ifindex] == set()
    shell(f"ip -n {net.inner} link set {link.name} up")
    await net.until(lambda: net.only(net.inner)[1].up)
    for route in (V4, V6):
        assert await net.done(add(link, route))
    shell(f"ip -n {net.inner} route delete {V4.to}")
    await net.until(lambda: len(net.routes(net.inner)[ifindex]) == 1)


async def test_routes_of_others_are_neither_told_nor_touched(net: Lab) -> None:
    link = xfrm(net.inner)
    ifindex = await made(net, link)
    shell(f"ip -n {net.inner} route add {V4.to} dev {link.name} proto bird")
    error = await net.failed(add(link, V4))
    assert f"another route to {V4.to} with metric 0 is in table 254 already" in error
    assert not await net.done(remove(link, V4))
    first, second = await net.kernel.execute([add(link, V4), add(link, V6)])
    assert isinstance(first, OpFailed)
    assert isinstance(second, OpDone), "nothing builds on a route"
    assert net.routes(net.inner)[ifindex] == {replace(V6, table=254)}


async def test_a_route_that_another_program_replaces_is_seen_at_once(net: Lab) -> None:
    """The kernel has no event for the end of ours, only one for the other route."""
    link = xfrm(net.inner)
    ifindex = await made(net, link)
    for route in (V4, V6):
        assert await net.done(add(link, route))
    ours = {replace(route, table=254) for route in (V4, V6)}
    await net.until(lambda: net.routes(net.inner)[ifindex] == ours)
    shell(f"ip -n {net.inner} link set lo up")
    shell(f"ip -n {net.inner} route replace {V4.to} dev lo")
    left = {replace(V6, table=254)}
    await net.until(lambda: net.routes(net.inner)[ifindex] == left)
    shell(f"ip -n {net.inner} -6 route replace {V6.to} dev lo")
    await net.until(lambda: not net.routes(net.inner)[ifindex])


# --- settings -------------------------------------------------------------------------------------


async def test_settings_are_those_of_sysctl(net: Lab) -> None:
    """Each name of ours is the kernel's, and is read where the kernel writes it."""
    link = vti(net.inner)
    ifindex = await made(net, link)
    asked = tuple(sorted((f"{family}.{name}", value) for family, name, value in OTHER_VALUES))
    odd = replace(link, up=True, sysctls=asked)
    assert await net.done(change(odd, ifindex, "sysctls"))
    settings = dict(net.picture(net.inner)[ifindex][0].sysctls)
    assert {name: settings[name] for name, _ in asked} == dict(asked)
    for name, value in asked:
        family, _, key = name.partition(".")
        path = f"/proc/sys/net/{family}/conf/{link.name}/{key}"
        assert shell(f"ip netns exec {net.inner} cat {path}").strip() == str(value), name
    writes = net.kernel.writes
    assert not await net.done(change(odd, ifindex, "sysctls"))
    assert net.kernel.writes == writes


OTHER_VALUES = [
    *(("ipv4", name, 2 if name == "rp_filter" else 1) for name in IPV4),
    *(("ipv6", name, 77 if name == "hop_limit" else 1) for name in IPV6),
]


def test_the_kernel_here_has_them_all() -> None:
    for family, names in (("ipv4", IPV4), ("ipv6", IPV6)):
        there = {path.name for path in Path(f"/proc/sys/net/{family}/conf/lo").iterdir()}
        assert set(names) <= there
