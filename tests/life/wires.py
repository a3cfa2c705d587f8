"""Further wires of the two gateways: hosts behind them, and a NAT router between them.

Rules of this file: what is made is removed when the context ends, addresses of gateways included.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.charon import namespace, run
from tests.lab.machine.shell import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway, Pair

LISTEN = """import socket
server = socket.create_server(("::", 7), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    server.accept()[0].close()
"""

MASQUERADE = """
add table ip nat
add chain ip nat postrouting { type nat hook postrouting priority srcnat; }
add rule ip nat postrouting oifname two masquerade
"""


@contextmanager
def wire(gateway: Gateway, device: str, netns: str, peer: str, mtu: int = 1500) -> Iterator[None]:
    """Join a gateway's `device` and another namespace's `peer`; both are up."""
    ends = (device, "netns", gateway.netns, "type", "veth", "peer", peer, "netns", netns)
    run("ip", "link", "add", *ends)
    try:
        for where, name in ((gateway.netns, device), (netns, peer)):
            run("ip", "-n", where, "link", "set", name, "mtu", str(mtu), "up")
        yield
    finally:
        gateway.ip("link", "delete", device)


def add_address(netns: str, address: str, device: str) -> None:
    """Add an address that counts at once."""
    nodad = ("nodad",) if ":" in address else ()
    run("ip", "-n", netns, "address", "add", address, "dev", device, *nodad)


@contextmanager
def host(gateway: Gateway, *networks: str, vrf: str = "") -> Iterator[str]:
    """Put a host behind a gateway, which forwards for it; return its namespace.

    `networks` are prefixes that end with 0: the gateway has address 1 of each, the host 2. The
    host accepts TCP connections on port 7.
    """
    with ExitStack() as stack:
        netns = stack.enter_context(namespace(f"{gateway.netns}-host"))
        stack.enter_context(wire(gateway, "lan", netns, "eth0"))
        if vrf:
            gateway.ip("link", "set", "lan", "vrf", vrf)
        for network in networks:
            address, _, length = network.partition("/")
            for where, device, end in ((gateway.netns, "lan", "1"), (netns, "eth0", "2")):
                add_address(where, f"{address.removesuffix('0')}{end}/{length}", device)
            run(
                "ip", "-n", netns, "route", "add", "default", "via", address.removesuffix("0") + "1"
            )
        for family in ("ipv4", "ipv6"):
            forwarding = f"net.{family}.conf.all.forwarding=1"
            run("ip", "netns", "exec", gateway.netns, "sysctl", "-qw", forwarding)
        log = gateway.path("host.log")
        stack.enter_context(daemon(netns, "python3", "-S", "-c", LISTEN, log=log))
        yield netns


@dataclass(frozen=True, slots=True)
class Nat:
    """A way from `a` to `b` through a router that puts its own address in."""

    inside: str = "198.51.100.1"
    """Address of `a` on it, on eth1."""
    router: str = "203.0.113.1"
    """What `b` sees instead."""
    b: tuple[str, ...] = ("203.0.113.2", "203.0.113.3")
    """Addresses of `b` on it."""


@contextmanager
def nat(pair: Pair, mtu: int = 1500) -> Iterator[Nat]:
    """Give `a` a second way to `b`; it leads to the usual address where eth0 does not."""
    a, b = pair.both
    way = Nat()
    with ExitStack() as stack:
        router = stack.enter_context(namespace(f"{a.netns}-nat"))
        stack.enter_context(wire(a, "eth1", router, "one", mtu))
        stack.enter_context(wire(b, "eth1", router, "two", mtu))
        run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        add_address(a.netns, f"{way.inside}/24", "eth1")
        add_address(router, "198.51.100.254/24", "one")
        add_address(router, f"{way.router}/24", "two")
        for address in way.b:
            add_address(b.netns, f"{address}/24", "eth1")
        run("ip", "-n", router, "route", "add", b.end.outer4, "via", way.b[0])
        a.ip("route", "add", "203.0.113.0/24", "via", "198.51.100.254")
        a.ip("route", "add", "192.0.2.0/24", "via", "198.51.100.254", "metric", "100")
        run("ip", "netns", "exec", router, "nft", MASQUERADE)
        yield way


@contextmanager
def vrf(gateway: Gateway, name: str, table: int) -> Iterator[str]:
    """Make a VRF; return its name."""
    gateway.ip("link", "add", name, "type", "vrf", "table", str(table))
    try:
        gateway.ip("link", "set", name, "up")
        yield name
    finally:
        gateway.ip("link", "delete", name)
