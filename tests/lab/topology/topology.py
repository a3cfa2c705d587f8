"""The lab's namespaces, links and addresses: two gateways, each with a router behind it.

Static routes stand for the OSPF of the original: it is not what is being tried here.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.lab.topology.figures import Gateway, Router

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def built(gateways: tuple[Gateway, Gateway]) -> Iterator[None]:
    """Build all namespaces; remove them in the end, with all that is in them."""
    names = [name for gateway in gateways for name in (gateway.public, gateway.private)]
    names += [Router(gateway.site).netns for gateway in gateways]
    try:
        for name in names:
            _ip("netns", "add", name)
        _settings(gateways)
        _public_segment(*gateways)
        for gateway in gateways:
            _site(gateway, Router(gateway.site))
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _batch(netns: str, text: str) -> None:
    subprocess.run(["ip", "-n", netns, "-batch", "-"], input=text, text=True, check=True)


def _settings(gateways: tuple[Gateway, Gateway]) -> None:
    """Addresses usable at once everywhere; gateways forward, the public side only IPv6."""
    for gateway in gateways:
        _sysctl(gateway.public, "net.ipv6.conf.all.forwarding=1")
        _sysctl(gateway.private, "net.ipv6.conf.all.forwarding=1", "net.ipv4.ip_forward=1")
        _sysctl(Router(gateway.site).netns)


def _sysctl(netns: str, *settings: str) -> None:
    nodad = ("net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")
    command = ["nsenter", f"--net=/run/netns/{netns}", "--", "sysctl", "-qw", *nodad, *settings]
    subprocess.run(command, check=True)


def _public_segment(a: Gateway, b: Gateway) -> None:
    _ip(*f"link add eth0 netns {a.public} type veth peer name eth0 netns {b.public}".split())
    for here, there in ((a, b), (b, a)):
        _batch(
            here.public,
            f"""
            link set lo up
            link add dummy0 type dummy
            link set dummy0 up
            address add {here.address}/128 dev dummy0
            link set eth0 up
            address add {_link_local(here)}/64 dev eth0
            route add {there.address} via {_link_local(there)} dev eth0 src {here.address}
            """,
        )


def _link_local(gateway: Gateway) -> str:
    return f"fe80::{gateway.site}:{gateway.number}"


def _site(gateway: Gateway, router: Router) -> None:
    """The private side of a gateway and the router behind it."""
    segment = f"192.168.{gateway.site}"
    inner = f"{segment}.{gateway.number + 10}"
    ends = (f"eth2 netns {gateway.private}", f"eth0 netns {router.netns}")
    _ip(*f"link add {ends[0]} type veth peer name {ends[1]}".split())
    _batch(
        gateway.private,
        f"""
        link set lo up
        link add dummy0 type dummy
        link set dummy0 up
        link set eth2 up
        address add {inner}/24 dev eth2
        address add fe80::11/64 dev eth2
        route add {router.network4} via {segment}.1 dev eth2
        route add {router.network6} via fe80::1 dev eth2
        """,
    )
    _batch(
        router.netns,
        f"""
        link set lo up
        link add dummy0 type dummy
        link set dummy0 up
        address add {router.address4}/24 dev dummy0
        address add {router.address6}/64 dev dummy0
        link set eth0 up
        address add {segment}.1/24 dev eth0
        address add fe80::1/64 dev eth0
        route add default via {inner} dev eth0 src {router.address4}
        route add default via fe80::11 dev eth0 src {router.address6}
        """,
    )
