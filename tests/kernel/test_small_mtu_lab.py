"""An MTU that crosses 1280, in the real kernel: IPv6 leaves an interface and comes back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, create, lab, shell, vti, xfrm
from vtid.model.operation import AddAddress, SetLink, SetUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from vtid.model.link import Link

    Make = Callable[[str], Link]

pytestmark = pytest.mark.lab

EVERY_KIND = pytest.mark.parametrize(
    "make", [partial(vti, kind="vti"), partial(vti, kind="vti6"), xfrm], ids=["vti", "vti6", "xfrm"]
)

V4, V6 = "10.0.0.1/31", "2001:db8:ff::/127"


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    async with lab() as found:
        yield found


def address(link: Link, text: str) -> AddAddress:
    return AddAddress(tunnel="t", reason="", netns=link.netns, interface=link.name, address=text)


async def made(net: Lab, link: Link) -> int:
    """Make a link, up, with an address of each family; return its index."""
    await net.watch("", net.inner)
    assert await net.done(create(link))
    for text in (V4, V6):
        assert await net.done(address(link, text))
    assert await net.done(SetUp(tunnel="t", reason="", netns=link.netns, name=link.name))
    return net.only(net.inner)[0]


@EVERY_KIND
async def test_ipv6_comes_back_with_the_mtu(net: Lab, make: Make) -> None:
    link = make(net.inner)
    ifindex = await made(net, link)
    shell(f"ip -n {net.inner} link set {link.name} mtu 1246")
    await net.until(lambda: net.only(net.inner)[2] == {V4})
    assert net.only(net.inner)[1].mtu == 1246

    wanted = replace(link, up=True, mtu=1280)
    changes = ("mtu", "link_local")
    assert await net.done(
        SetLink(tunnel="t", reason="", link=wanted, ifindex=ifindex, changes=changes)
    )
    assert await net.done(address(link, V6))
    assert net.only(net.inner) == (ifindex, wanted, {V4, V6})


@EVERY_KIND
async def test_what_is_refused_takes_nothing_with_it(net: Lab, make: Make) -> None:
    link = make(net.inner)
    ifindex = await made(net, link)
    shell(f"ip -n {net.inner} link set {link.name} mtu 1246")
    small = replace(link, up=True, mtu=1200, alias="vtid:other", rp_filter=1)
    changes = ("mtu", "alias", "rp_filter", "link_local")
    error = await net.failed(
        SetLink(tunnel="t", reason="", link=small, ifindex=ifindex, changes=changes)
    )
    assert "no IPv6" in error
    seen = net.only(net.inner)[1]
    assert (seen.mtu, seen.alias, seen.rp_filter) == (1200, "vtid:other", 1)
    assert not seen.link_local


@EVERY_KIND
async def test_an_interface_found_without_ipv6_is_repaired(net: Lab, make: Make) -> None:
    link = make(net.inner)
    small = replace(link, mtu=1246, link_local=False)
    await net.watch("", net.inner)
    assert await net.done(create(small))
    assert await net.done(create(link))
    assert await net.done(address(link, V6))
    assert net.only(net.inner)[1:] == (link, {V6})
