"""What the real kernel learns of a path from a router, and how vtid sees it come and go."""

from __future__ import annotations

import os
import shlex
import socket
from typing import TYPE_CHECKING

import pytest

from tests.kernel.lab import Lab, ip, lab, shell
from vtid.model.input import UnderlaySeen
from vtid.model.operation import ProbeUnderlay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

NEAR = {4: "203.0.113.1", 6: "2001:db8:1::1"}
FAR = {4: "198.51.100.2", 6: "2001:db9::2"}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
MTU_DISCOVER, DO = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}, 2
DISCARD = 9


@pytest.fixture
async def net() -> AsyncIterator[Lab]:
    """A lab whose far end is a router with a narrow link behind it."""
    router = f"vtid-r{os.getpid()}"
    async with lab() as found:
        ip(f"netns add {router}", f"link set eth1 netns {router}")
        shell(
            f"ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1 "
            "net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0"
        )
        inside = f"ip -n {router}"
        shell(
            f"{inside} link add narrow mtu 1400 type veth peer name end; {inside} link set end up;"
            f"{inside} link set narrow up; {inside} link set eth1 up;"
            f"{inside} address add 203.0.113.9/24 dev eth1;"
            f"{inside} address add 2001:db8:1::9/32 dev eth1 nodad;"
            f"{inside} route add 198.51.100.0/24 dev narrow;"
            f"{inside} -6 route add 2001:db9::/64 dev narrow;"
            "ip route add 198.51.100.0/24 via 203.0.113.9;"
            "ip -6 route add 2001:db9::/64 via 2001:db8:1::9;"
            "until ip link show eth0 | grep -q LOWER_UP; do sleep 0.05; done"
        )
        try:
            yield found
        finally:
            shell(f"ip netns delete {router}")


def send_large(family: int) -> None:
    """Send until the kernel refuses what no longer fits: then it has learnt."""
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    level, option = MTU_DISCOVER[family]
    with socket.socket(kind, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(level, option, DO)
        sender.connect((FAR[family], DISCARD))
        send_until_refused(sender)


def send_until_refused(sender: socket.socket) -> None:
    with pytest.raises(OSError, match="Message too long"):  # noqa: PT012 - the answer takes its time
        for _ in range(1000):
            sender.send(bytes(1440))
            shell("sleep 0.01")


async def look_up(net: Lab, family: int) -> UnderlaySeen:
    local, remote = NEAR[family], FAR[family]
    assert not await net.done(ProbeUnderlay(tunnel="t", reason="test", local=local, remote=remote))
    seen = net.inputs[-1]
    assert isinstance(seen, UnderlaySeen)
    return seen


@FAMILIES
async def test_what_a_router_tells_is_learnt_listed_and_forgotten(net: Lab, family: int) -> None:
    before = await look_up(net, family)
    assert (before.mtu, before.learnt, before.error) == (1500, 0, "")
    assert FAR[family] not in await net.kernel.learnt()
    send_large(family)
    seen = await look_up(net, family)
    assert (seen.mtu, seen.learnt, seen.interface) == (1500, 1400, "eth0")
    assert 500 < seen.expires <= 600
    assert (await net.kernel.learnt())[FAR[family]] == {1400}
    shell(f"ip -{family} route flush cache")
    assert (await look_up(net, family)).learnt == 0
    assert FAR[family] not in await net.kernel.learnt()


async def test_it_expires_as_the_kernel_says(net: Lab) -> None:
    shell("sysctl -qw net.ipv4.route.mtu_expires=2")
    send_large(4)
    seen = await look_up(net, 4)
    assert (seen.learnt, 0 < seen.expires <= 2) == (1400, True)
    shell(f"sleep {seen.expires + 0.2}")
    assert (await look_up(net, 4)).learnt == 0


async def test_a_route_with_a_locked_mtu_learns_nothing(net: Lab) -> None:
    shell("ip route replace 198.51.100.0/24 via 203.0.113.9 mtu lock 1500")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(*MTU_DISCOVER[4], DO)
        sender.connect((FAR[4], DISCARD))
        send_until_refused(sender)  # by the router's word, as it came
    assert (await look_up(net, 4)).learnt == 0


FORGE = """
import socket, struct, sys
quoted = int(sys.argv[1])
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
near, far = socket.inet_aton("203.0.113.1"), socket.inet_aton("198.51.100.2")
header = struct.pack("!BBHHHBBH4s4s", 69, 0, 1500, 0, 0x4000, 64, 1, 0, near, far)
echo = struct.pack("!BBHHH", quoted, 0, 0, 1, 1)
body = struct.pack("!HH", 0, 68) + header + echo
error = struct.pack("!BBH", 3, 4, checksum(b"\\3\\4\\0\\0" + body)) + body
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.sendto(error, ("203.0.113.1", 0))
"""
ECHO_REPLY = 0


async def test_a_forged_word_is_learnt_and_goes_no_lower_than_the_kernel_says(net: Lab) -> None:
    """docs/security.md: it quotes what nobody sent, and claims 68 bytes."""
    forge = f"ip netns exec vtid-r{os.getpid()} python3 -S -c {shlex.quote(FORGE)}"
    shell(f"{forge} {ECHO_REPLY}")
    seen = await look_up(net, 4)
    assert (seen.mtu, seen.learnt) == (1500, 552)
    shell("ip route flush cache")
    shell("ip route replace 198.51.100.0/24 via 203.0.113.9 mtu lock 1500")
    shell(f"{forge} {ECHO_REPLY}")
    assert (await look_up(net, 4)).learnt == 0
