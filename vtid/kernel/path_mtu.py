"""What the kernel says of the way to a peer: its route, and the path MTU that it learnt. Pure.

A router that cannot forward a packet answers with Packet Too Big (RFC 1191, RFC 8201). The kernel
keeps that MTU as an exception to the route of the peer, for `mtu_expires` (IPv4: ten minutes), and
IPsec sends nothing larger meanwhile. No event tells of one.

Rules of this file: a malformed message raises `MessageError`, nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

from vtid.kernel import wire as nl
from vtid.kernel.wire import Request

USER_HZ = 100
"""Ticks per second of times in rtnetlink, on every architecture that vtid runs on."""

DUMP_LEARNT = tuple(
    Request(
        nl.RTM_GETROUTE,
        nl.NLM_F_DUMP,
        nl.ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, nl.RTM_F_CLONED),
    )
    for family in (nl.AF_INET, nl.AF_INET6)
)
"""The exceptions alone, whatever routes there are (`ip route show cache`; Linux 5.3)."""


class Path(NamedTuple):
    """What the answer to a route lookup says of the way to a peer."""

    ifindex: int
    mtu: int = 0
    """In bytes: that of the route; 0 where it has none of its own."""
    learnt: int = 0
    """In bytes; 0 where nothing was learnt."""
    expires: float = 0.0
    """Seconds until what was learnt is forgotten."""


def read_path(message: nl.Message) -> Path:
    """RTM_NEWROUTE as an answer to RTM_GETROUTE.

    A route that a router advertised expires as well, and its MTU is its own: it is no copy.
    """
    flags, found = _read(message)
    data = message.data
    ifindex = nl.number(data, found.get(nl.RTA_OIF), nl.S32)
    mtu, expires = _mtu(data, found), _expires(data, found)
    if mtu and expires and flags & nl.RTM_F_CLONED:
        return Path(ifindex, learnt=mtu, expires=expires)
    return Path(ifindex, mtu)


def read_learnt(message: nl.Message) -> tuple[str, int]:
    """Peer and MTU of an exception (RTM_NEWROUTE); 0 for one that is about something else."""
    flags, found = _read(message)
    data = message.data
    peer = nl.ip(data, found.get(nl.RTA_DST))
    return peer, _mtu(data, found) if flags & nl.RTM_F_CLONED else 0


def _read(message: nl.Message) -> tuple[int, dict[int, nl.Span]]:
    *_, flags = nl.unpack(nl.ROUTE, message)
    return flags, nl.attributes(message.data, message.start + nl.ROUTE.size, message.end)


def _mtu(data: bytes, found: dict[int, nl.Span]) -> int:
    metrics = nl.nested(data, found.get(nl.RTA_METRICS))
    return nl.number(data, metrics.get(nl.RTAX_MTU), nl.U32)


def _expires(data: bytes, found: dict[int, nl.Span]) -> float:
    return max(0, nl.number(data, found.get(nl.RTA_CACHEINFO), nl.CACHEINFO)) / USER_HZ
