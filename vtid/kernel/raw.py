"""Raw sockets for echo requests and their answers, with what IPv4 and IPv6 need. An edge.

Rules of this file:

* `open_raw` and `send` block, and belong into the thread of the namespace.
* A packet chooses its interface by its ancillary data: one socket serves all interfaces.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from vtid.kernel import icmp
from vtid.kernel.sockets import attach_filter, bpf

if TYPE_CHECKING:
    from collections.abc import Sequence

IPV4, IPV6 = 4, 6

# linux/in.h, linux/in6.h, linux/icmp.h, linux/icmpv6.h
_IP_PKTINFO = 8
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3
_IPV6_DONTFRAG = 62
_SOL_RAW, _ICMP_FILTER, _ICMPV6_FILTER = 255, 1, 1
_PKTINFO4, _PKTINFO6 = struct.Struct("=i4s4s"), struct.Struct("=16si")

# linux/bpf_common.h
_LOAD_HALF, _LOAD_HALF_BEHIND, _SKIP_IPV4_HEADER = 0x28, 0x48, 0xB1
_JUMP_IF_EQUAL, _RETURN = 0x15, 0x06
_IDENTIFIER_AT = 4
"""Offset in an ICMP message."""


def family_of(peer: str) -> int:
    """Return 4 or 6."""
    return IPV6 if ":" in peer else IPV4


def open_raw(family: int, identifier: int) -> socket.socket:
    """Open a raw socket that receives our echo replies and nothing else."""
    ipv6, kind = family == IPV6, socket.SOCK_RAW | socket.SOCK_NONBLOCK
    if ipv6:
        raw = socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6)
    else:
        raw = socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP)
    try:
        if ipv6:
            _prepare_ipv6(raw)
        else:
            _prepare_ipv4(raw)
        attach_filter(raw, _for_us(identifier, ipv6=ipv6))
    except OSError:
        raw.close()
        raise
    return raw


def _prepare_ipv4(raw: socket.socket) -> None:
    raw.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF ^ 1 << icmp.ECHO_REPLY4))
    raw.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
    raw.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _prepare_ipv6(raw: socket.socket) -> None:
    blocked = [0xFFFFFFFF] * 8
    blocked[icmp.ECHO_REPLY6 // 32] ^= 1 << icmp.ECHO_REPLY6 % 32
    raw.setsockopt(socket.IPPROTO_ICMPV6, _ICMPV6_FILTER, struct.pack("=8I", *blocked))
    raw.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
    raw.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def _for_us(identifier: int, *, ipv6: bool) -> tuple[bytes, ...]:
    """Return a filter for our identifier: other programs ping, too."""
    load = (
        (bpf(_LOAD_HALF, _IDENTIFIER_AT),)
        if ipv6
        else (bpf(_SKIP_IPV4_HEADER, 0), bpf(_LOAD_HALF_BEHIND, _IDENTIFIER_AT))
    )
    return (
        *load,
        bpf(_JUMP_IF_EQUAL, identifier, 0, 1),
        bpf(_RETURN, 0xFFFFFFFF),
        bpf(_RETURN, 0),
    )


def arrived_at(ancillary: Sequence[tuple[int, int, bytes]]) -> int:
    """Return the interface that a packet came through, 0 where nothing says it."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            return int(_PKTINFO4.unpack_from(data)[0])
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            return int(_PKTINFO6.unpack_from(data)[1])
    return 0


def send(raw: socket.socket, ifindex: int, peer: str, data: bytes) -> None:
    """Send an ICMP message through an interface. Raises OSError, EMSGSIZE above its MTU."""
    if family_of(peer) == IPV6:
        through = _PKTINFO6.pack(bytes(16), ifindex)
        info = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, through)
        raw.sendmsg([data], [info], 0, (peer, 0, 0, ifindex))
    else:
        through = _PKTINFO4.pack(ifindex, bytes(4), bytes(4))
        raw.sendmsg([data], [(socket.IPPROTO_IP, _IP_PKTINFO, through)], 0, (peer, 0))
