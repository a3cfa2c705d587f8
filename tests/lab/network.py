"""The lab's network: namespaces, and segments that are bridges in a namespace called `switch`.

Rules of this file:

* Addresses and links are what `figures` says; nothing of a tunnel is made here.
* A namespace costs one `ip -batch`, and all of them run at the same time.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import direct
from tests.lab.figures import ALL, SITES, Gateway, Router
from tests.lab.shell import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SWITCH = "switch"
PUBLIC = "public"
FORWARD4 = (("net/ipv4/ip_forward", "1"),)
FORWARD6 = (("net/ipv6/conf/all/forwarding", "1"),)
NO_DAD = (("net/ipv6/conf/all/accept_dad", "0"), ("net/ipv6/conf/default/accept_dad", "0"))
FORGET = (("net/ipv6/route/mtu_expires", "1"),)
"""A router learns the path MTU anew each second, so that it can be asked again after a change."""


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a host and the segment it is plugged into."""

    netns: str
    name: str
    segment: str

    @property
    def far_end(self) -> str:
        """Name of its other end, in the switch."""
        short = self.netns.removesuffix("-private")
        return f"{short}-{self.name}"


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace, what it forwards, and what `ip -batch` is told there."""

    netns: str
    settings: tuple[tuple[str, str], ...]
    batch: str


def ports(gateways: Sequence[Gateway] = ALL) -> list[Port]:
    """Return all interfaces that are plugged in somewhere."""
    found = [Port(gateway.public, "eth0", PUBLIC) for gateway in gateways]
    for gateway in gateways:
        found.append(Port(gateway.private, "eth1", f"between{gateway.site}"))
        found.append(Port(gateway.private, "eth2", f"site{gateway.site}"))
    return found + [Port(Router(site).netns, "eth0", f"site{site}") for site in SITES]


def hosts() -> list[Host]:
    """Return all namespaces but the switch."""
    found = [
        Host(Router(site).netns, FORWARD4 + FORWARD6 + FORGET, _router(site)) for site in SITES
    ]
    for gateway in ALL:
        found.append(Host(gateway.public, FORWARD6, _public(gateway)))
        found.append(Host(gateway.private, FORWARD4 + FORWARD6, _private(gateway)))
    return found


def _public(gateway: Gateway) -> str:
    return f"""
        link set lo up
        link add dummy0 type dummy
        link set dummy0 up
        address add {gateway.address}/128 dev dummy0
        link set eth0 up
    """


def _private(gateway: Gateway) -> str:
    host = gateway.number + 10
    return f"""
        link set lo up
        link add dummy0 type dummy
        link set dummy0 up
        link set eth1 up
        link set eth2 up
        address add 192.168.{gateway.site + 100}.{host}/24 dev eth1
        address add 192.168.{gateway.site}.{host}/24 dev eth2
    """


def _router(site: int) -> str:
    router = Router(site)
    return f"""
        link set lo up
        link add dummy0 type dummy
        link set dummy0 up
        address add {router.address6}/64 dev dummy0
        address add {router.address4}/24 dev dummy0
        link set eth0 up
        address add 192.168.{site}.1/24 dev eth0
    """


@contextmanager
def built() -> Iterator[None]:
    """Build all namespaces; remove them in the end, with all that is in them."""
    names = [SWITCH, *(host.netns for host in hosts())]
    try:
        _batch("", "".join(f"netns add {name}\n" for name in names))
        for host in hosts():
            _settings(host)
        _plug()
        _batches({host.netns: host.batch for host in hosts()})
        yield
    finally:
        _batch("", "".join(f"netns delete {name}\n" for name in names), force=True)


def _settings(host: Host) -> None:
    with direct.inside(host.netns):
        for name, value in (*NO_DAD, *host.settings):
            Path("/proc/sys", name).write_text(value)


def _plug() -> None:
    """Make the segments, and a pair of interfaces for every port."""
    segments = dict.fromkeys(port.segment for port in ports())
    bridge = "type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
    links = [
        f"link add {port.name} netns {port.netns} type veth "
        f"peer name {port.far_end} netns {SWITCH}\n"
        for port in ports()
    ]
    _batch("", "".join(links))
    up = [f"link add {name} {bridge}\nlink set {name} up\n" for name in segments]
    up += [f"link set {port.far_end} master {port.segment} up\n" for port in ports()]
    _batch(SWITCH, "".join(up))


def _batch(netns: str, text: str, *, force: bool = False) -> None:
    """Run lines of `ip`; with `force`, past those that fail."""
    command = ["ip", *(("-n", netns) if netns else ()), *(("-force",) if force else ())]
    result = subprocess.run(
        [*command, "-batch", "-"], input=text, capture_output=True, text=True, check=False
    )
    if result.returncode and not force:
        raise CheckError(f"{netns or 'ip'}: {' '.join(result.stderr.split())}")


def _batches(texts: Mapping[str, str]) -> None:
    """Run lines of `ip` in several namespaces at the same time."""
    running = []
    for netns, text in texts.items():
        command = ["ip", "-n", netns, "-batch", "-"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None
        running.append((netns, process))
    for netns, process in running:
        _, errors = process.communicate()
        if process.returncode:
            raise CheckError(f"{netns}: {' '.join(errors.split())}")
