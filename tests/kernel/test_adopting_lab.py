"""A link that somebody else made becomes ours in the real kernel, and what is left as it is.

A bridge stands for the kinds that any kernel has: what is compared is the same for all.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, create, lab, shell, vti, xfrm
from vtid.kernel import adopting, links
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.dumps import split
from vtid.kernel.sockets import LINK_EVENTS, ROUTE_EVENTS, open_events, read_event
from vtid.model.input import LinkSnapshot
from vtid.model.link import LINK_GROUP, PROTOCOL, Link, Route
from vtid.model.operation import AdoptLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtid.kernel.messages import LinkInfo
    from vtid.kernel.sockets import Requests
    from vtid.kernel.wire import Request

pytestmark = pytest.mark.lab

V4, V6, OTHER = "169.254.1.0/31", "2001:db8:ff::/127", "10.9.9.9/32"
R4, R6 = Route("10.2.0.0/16", 100), Route("2001:db8:2::/48", 1024)


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    async with lab() as found:
        yield found


def bridge(netns: str = "") -> Link:
    """Return a bridge as if one could be wanted."""
    return replace(vti(netns), kind="bridge", local="", remote="", ikey=0, okey=0, name="br7")


def adopt(link: Link) -> AdoptLink:
    return AdoptLink(
        tunnel=f"{link.netns}/{link.name}",
        reason="test",
        link=link,
        addresses=(V4, V6),
        routes=(R4, R6),
    )


def by_script(link: Link, kind: str) -> int:
    """Make a link with addresses and routes as a script does; return its index."""
    name = link.name
    lines = (
        f"link add {name} type {kind}",
        f"address add {V4} dev {name}",
        f"address add {OTHER} dev {name}",
        f"-6 address add {V6} dev {name} nodad",
        f"link set {name} up",
        f"route add {R4.to} dev {name} metric {R4.metric}",
        f"route add 10.3.0.0/16 dev {name}",
        f"route add 10.4.0.0/16 dev {name} metric 100 proto bird",
        f"-6 route add {R6.to} dev {name}",
    )
    for line in lines:
        shell(f"ip {line}")
    return index_of(link)


def index_of(link: Link) -> int:
    return int(shell(f"ip -o link show {link.name}").split(":")[0])


def ours(what: str) -> set[str]:
    """First words of what has our protocol number."""
    found = shell(f"ip {what} proto {PROTOCOL}")
    return {line.split()[0] for line in found.splitlines()}


@pytest.mark.any_kernel
async def test_it_becomes_ours_with_what_is_wanted_on_it(net: Lab) -> None:
    link = bridge()
    ifindex = by_script(link, "bridge")
    await net.watch("")
    assert not net.picture("")
    events = len(net.of(LinkSnapshot, ""))

    assert await net.done(adopt(link))

    assert len(net.of(LinkSnapshot, "")) == events + 1
    index, seen, addresses = net.only("")
    assert (index, seen.alias, seen.up, seen.mtu) == (ifindex, link.alias, True, 1500)
    assert addresses == {V4, V6, OTHER}
    # Linux 6.1 changes the protocol of IPv6 addresses in place, 6.18 of both
    assert {*net.of(LinkSnapshot, "")[-1].marked} - {(index, V4)} == {(index, V6)}
    assert net.routes("")[index] == {replace(R4, table=254), replace(R6, table=254)}
    assert ours("route show") == {R4.to}
    assert ours("-6 route show") == {R6.to}
    left = shell("ip route show dev br7")
    assert "10.3.0.0/16" in left
    assert "10.4.0.0/16 proto bird" in left
    assert not await net.done(adopt(link)), "once is enough"


@pytest.mark.any_kernel
async def test_neither_address_nor_route_is_away_for_a_moment(net: Lab) -> None:
    link = bridge()
    by_script(link, "bridge")
    with open_events(LINK_EVENTS | ROUTE_EVENTS) as events:
        assert await net.done(adopt(link))
        seen = [
            each.kind for data in iter(lambda: read_event(events), None) for each in split(data)
        ]
    assert {nl.RTM_NEWLINK, nl.RTM_NEWADDR, nl.RTM_NEWROUTE} <= set(seen)
    assert not {nl.RTM_DELADDR, nl.RTM_DELROUTE} & set(seen)


@pytest.mark.any_kernel
async def test_one_that_differs_is_left_as_it_is(net: Lab) -> None:
    link = bridge()
    by_script(link, "bridge")
    before = look(link)
    error = await net.failed(adopt(replace(link, kind="vti", vrf="red")))
    assert error.startswith("br7 belongs to someone else")
    assert "kind bridge instead of vti" in error
    assert "ip link delete br7" in error
    assert "VRF none instead of red" in await net.failed(adopt(replace(link, vrf="red")))
    assert look(link) == before


@pytest.mark.any_kernel
async def test_one_whose_name_is_an_alternative_one_is_left_as_it_is(net: Lab) -> None:
    link = bridge()
    by_script(link, "bridge")
    shell("ip link property add dev br7 altname other7")
    assert "alternative name of br7" in await net.failed(adopt(replace(link, name="other7")))
    assert "group default" in look(link)


@pytest.mark.any_kernel
async def test_where_there_is_none_there_is_nothing_to_do(net: Lab) -> None:
    assert not await net.done(adopt(bridge()))


@pytest.mark.any_kernel
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_one_that_is_renamed_at_this_moment_gets_all_back(
    net: Lab, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just before it is marked, or just after: group and alias are as they were in the end."""
    link = bridge()
    by_script(link, "bridge")
    shell("ip link set br7 alias mine group 5")
    shell("ip link set br7 down")
    await net.watch("")

    def set_owner(ifindex: int, group: int, alias: str) -> Request:
        if group == LINK_GROUP and moment == "before":
            shell("ip link set br7 name new7")
        return original(ifindex, group, alias)

    def find(requests: Requests, ifindex: int = 0, name: str = "") -> LinkInfo | None:
        if ifindex and moment == "after":
            shell("ip link set br7 name new7")
        return found(requests, ifindex, name)

    original, found = asks.set_owner, links.find
    monkeypatch.setattr(asks, "set_owner", set_owner)
    monkeypatch.setattr(adopting, "find", find)
    assert "renamed or changed by someone else" in await net.failed(adopt(link))
    there = look(replace(link, name="new7"))
    assert "group 5" in there
    assert "alias mine" in there
    assert ours("route show") == set()
    await net.until(lambda: not net.picture(""))


@pytest.mark.parametrize("kind", ["vti", "vti6", "xfrm"])
@pytest.mark.parametrize("across", [False, True], ids=["here", "across"])
async def test_each_kind_as_scripts_make_it(net: Lab, kind: str, across: bool) -> None:  # noqa: FBT001
    """Made in vtid's own namespace, and moved into another with `ip link set netns`."""
    where = net.inner if across else ""
    link = xfrm(where) if kind == "xfrm" else vti(where, kind)
    keys = f"if_id {link.if_id}" if kind == "xfrm" else ""
    if kind != "xfrm":
        keys = f"local {link.local} remote {link.remote} ikey {link.ikey} okey {link.okey}"
    shell(f"ip link add {link.name} type {kind} {keys}")
    if across:
        shell(f"ip link set {link.name} netns {net.inner}")
    await net.watch("", net.inner)
    assert await net.done(adopt(link))
    _, seen, _ = net.only(where)
    assert replace(seen, mtu=0, disable_policy=True, link_local=True) == replace(link, mtu=0)

    other = replace(link, ikey=8, okey=9) if kind != "xfrm" else replace(link, if_id=8)
    shell(f"ip{f' -n {where}' if where else ''} link set {link.name} group 0")
    error = await net.failed(adopt(other))
    assert "instead of 8" in error


async def test_a_name_that_is_taken_names_the_command(net: Lab) -> None:
    link = xfrm(net.inner)
    shell(f"ip link add {link.name} type xfrm if_id {link.if_id}")
    shell(f"ip link set {link.name} netns {net.inner}")
    error = await net.failed(create(link))
    assert f"`vtictl adopt {net.inner}/{link.name}`" in error
    other = await net.failed(create(replace(link, name="xfrm8")))
    assert f"`vtictl adopt {net.inner}/{link.name}`" in other
    assert f'`interface = "{link.name}"`' in other


def look(link: Link) -> str:
    """Return all that ip says of a link, without what time changes."""
    shown = [shell(f"ip -d {what} show dev {link.name}") for what in LOOKS]
    return re.sub(r"(hello|tcn|topology|gc)_timer +[\d.]+| tentative", "", "".join(shown))


LOOKS = ("link", "address", "route", "-6 route")
