"""Which VTIs and XFRM interfaces there are, in vtid's own namespace and in others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, lab, shell, vti, xfrm
from vtid.kernel.present import present
from vtid.model.link import Route
from vtid.model.present import FoundRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.lab


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    async with lab() as found:
        yield found


async def test_whoever_made_them(net: Lab) -> None:
    shell(f"ip -n {net.inner} link add other type vti local 192.0.2.1 remote 192.0.2.2 key 1")
    one, two = vti("", "vti"), xfrm(net.inner)
    shell(f"ip link add {one.name} type vti local {one.local} remote {one.remote} ikey 7 okey 4660")
    shell(f"ip address add 169.254.1.2 peer 169.254.1.1/30 dev {one.name}")
    shell(f"ip link set {one.name} addrgenmode none")
    shell(f"ip link set {one.name} up")
    shell(f"ip route add 10.7.0.0/16 dev {one.name} proto bird")
    shell(f"ip route add 10.8.0.0/16 dev {one.name} src 169.254.1.2")
    shell(f"ip route add 10.9.0.0/16 dev {one.name} metric 5 table 220")
    shell(f"ip -6 route add 2001:db8:9::/48 dev {one.name}")
    shell(f"ip link add {two.name} type xfrm if_id {two.if_id}")
    shell(f"ip link set {two.name} netns {net.inner}")
    writes = net.kernel.writes

    found = {each.link.name: each for each in await present()}

    assert found.keys() >= {one.name, two.name}
    assert "other" not in found, "its outer side is where no SA of this charon is"
    assert found[one.name].addresses == {"169.254.1.2 peer 169.254.1.1/30"}
    assert set(found[one.name].routes) == {
        FoundRoute(Route("10.7.0.0/16", 0, 254), daemon=True),
        FoundRoute(Route("10.8.0.0/16", 0, 254), unlike="a source address (`src`)"),
        FoundRoute(Route("10.9.0.0/16", 5, 220)),
        FoundRoute(Route("2001:db8:9::/48", 1024, 254)),
    }, "those of the kernel are nobody's"
    for link in (one, two):
        seen = found[link.name].link
        same = replace(link, mtu=seen.mtu, alias="", disable_policy=seen.disable_policy)
        assert replace(seen, sysctls=(), link_local=True, up=link.up) == same
    assert net.kernel.writes == writes
