"""Which messages the kernel queues for us: its own filter decides, on a socket of any kind."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_network

import pytest

from tests.kernel.test_follow import address, event, gone, route, setting
from vtid.kernel import wire as nl
from vtid.kernel.sockets import OUR_ROUTES, PATHS, attach_filter
from vtid.model.link import PROTOCOL

NEW = nl.attribute(1, bytes(4)) * 5
"""As many settings as the kernel tells of a new interface, of IPv6."""


def passes(program: tuple[bytes, ...], data: bytes) -> bool:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.settimeout(0)
        attach_filter(ours, program)
        with suppress(BlockingIOError):
            theirs.send(data)
            return ours.recv(1 << 16) == data
    return False


def kernel_route(
    kind: int = nl.RTN_UNICAST,
    to: str = "2001:db8::/64",
    *,
    protocol: int = nl.RTPROT_KERNEL,
    port: int = 0,
) -> bytes:
    prefix = ip_network(to)
    family = nl.AF_INET if prefix.version == 4 else nl.AF_INET6
    body = nl.ROUTE.pack(family, prefix.prefixlen, 0, 0, 254, protocol, 0, kind, 0)
    body += nl.u32(nl.RTA_TABLE, 254) + nl.attribute(nl.RTA_DST, prefix.network_address.packed)
    return nl.HEADER.pack(16 + len(body), nl.RTM_NEWROUTE, 0, 0, port) + body


CASES = {
    "a link": (event(2), True, True),
    "a link that is gone": (gone(2), True, True),
    "an address": (address(2), True, True),
    "an address that is gone": (address(2, kind=nl.RTM_DELADDR), True, True),
    "an error": (nl.Request(nl.NLMSG_ERROR, 0, bytes(20)).encode(1), True, True),
    "a changed setting": (setting(2, 1), True, True),
    "the settings of a new interface": (
        nl.Request(nl.RTM_NEWNETCONF, 0, nl.NETCONF.pack(10) + NEW).encode(0),
        False,
        False,
    ),
    "the end of an interface's settings": (
        nl.Request(nl.RTM_DELNETCONF, 0, nl.NETCONF.pack(10)).encode(0),
        False,
        False,
    ),
    "a route of ours": (route(2, protocol=PROTOCOL), True, True),
    "a route of others": (route(2), False, True),
    "a route that replaces one": (route(2, asked=nl.NLM_F_REPLACE), True, True),
    "a route to an own address": (kernel_route(nl.RTN_LOCAL), False, False),
    "a route that an address brings": (kernel_route(to="192.0.2.0/24"), False, False),
    "that of a tunnel's address": (kernel_route(to="fd00::/127"), False, False),
    "that of a link-local address": (kernel_route(to="fe80::/64"), False, False),
    "the same by a program": (kernel_route(to="192.0.2.0/24", port=7), False, True),
    "a prefix that a router advertises": (kernel_route(), False, True),
    "the router itself": (kernel_route(protocol=9), False, True),
    "a multicast route": (kernel_route(nl.RTN_MULTICAST, protocol=3), False, False),
    "an anycast route": (kernel_route(nl.RTN_ANYCAST, protocol=3), False, False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_passes_the_filters(case: str) -> None:
    data, ours, paths = CASES[case]
    assert (passes(OUR_ROUTES, data), passes(PATHS, data)) == (ours, paths)
