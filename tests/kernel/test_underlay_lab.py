"""Lookups of paths on the real kernel: the answer is that of a packet which this host sends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, lab, shell
from vtid.model.input import UnderlaySeen
from vtid.model.operation import ProbeUnderlay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

LOCAL, OTHER_LOCAL = "2001:db8:1::1", "2001:db8:1::2"

ROUTES = """
link set eth0 mtu 1450
link set eth1 up
-6 address add 2001:db8:1::2/32 dev eth0 nodad
-6 route add 2001:db9::/64 via 2001:db8:1::9
-6 route add 2001:db9:1::/64 via 2001:db8:1::9 mtu 1380
-6 route add 2001:db9:2::/64 nexthop via 2001:db8:1::9 nexthop via 2001:db8:1::8
-6 route add unreachable 2001:db9:3::/64
-6 route add blackhole 2001:db9:4::/64
-6 route add 2001:db9:5::/64 dev eth1 metric 2000
-6 route add 2001:db9:5::/64 via 2001:db8:1::9 metric 1000
-6 route add 2001:db9::/64 via 2001:db8:1::9 mtu 1300 table 100
-6 route add 2001:db9:1::/64 via 2001:db8:1::9 mtu 1290 table 101
-6 rule add from 2001:db8:1::2 lookup 100
-6 rule add iif lo to 2001:db9:1:1::/64 lookup 101
"""

PEERS = (
    "2001:db9::2",
    "2001:db9:1::2",
    "2001:db9:1:1::2",
    "2001:db9:2::2",
    "2001:db9:3::2",
    "2001:db9:4::2",
    "2001:db9:5::2",
    "2001:db8:7::1",
    "2001:db8:1::1",
    "2a00::1",
    "fe80::1",
    "febf::1",
)


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    """A lab with a route of each kind."""
    async with lab() as found:
        for line in ROUTES.strip().splitlines():
            shell(f"ip {line}")
        yield found


async def look_up(net: Lab, local: str, peer: str) -> UnderlaySeen:
    await net.done(ProbeUnderlay(tunnel="t", reason="test", local=local, remote=peer))
    seen = net.inputs[-1]
    assert isinstance(seen, UnderlaySeen)
    return seen


def sent(local: str, peer: str) -> tuple[str, int]:
    """Return by which interface a packet of this host leaves, and the MTU of its route."""
    told = shell(f"ip -6 -o route get {peer} from {local} || true")
    interface, mtu = re.search(r" dev (\S+)", told), re.search(r" mtu (\d+)", told)
    if not interface or told.startswith(("unreachable", "blackhole")):
        return "", 0
    return interface[1], int(mtu[1]) if mtu else 0


@pytest.mark.parametrize("local", [LOCAL, OTHER_LOCAL])
@pytest.mark.parametrize("peer", PEERS)
async def test_the_answer_is_that_of_a_packet_of_this_host(net: Lab, local: str, peer: str) -> None:
    interface, mtu = sent(local, peer)
    seen = await look_up(net, local, peer)
    assert seen.interface == interface
    assert bool(seen.error) is not bool(interface)
    if mtu:
        assert seen.mtu == min(mtu, seen.device or mtu)
