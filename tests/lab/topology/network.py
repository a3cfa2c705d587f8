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

from tests.lab.checks import direct
from tests.lab.machine.shell import CheckError
from tests.lab.topology.figures import PUBLIC_TABLE, TRANSFER, Gateway, Plan, Router

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SWITCH = "switch"
PUBLIC = "public"
FORWARD4 = (("net/ipv4/ip_forward", "1"),)
FORWARD6 = (("net/ipv6/conf/all/forwarding", "1"),)
NO_DAD = (("net/ipv6/conf/all/accept_dad", "0"), ("net/ipv6/conf/default/accept_dad", "0"))
FORGET = (("net/ipv6/route/mtu_expires", "1"),)
"""A router learns the path MTU anew each second, so that it can be asked again after a change."""
LOCAL = """
        link set lo up
        link add dummy0 type dummy
        link set dummy0 up
    """


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
    """A namespace, what it forwards, and its lines for `ip -batch`."""

    netns: str
    settings: tuple[tuple[str, str], ...]
    batch: str


def ports(plan: Plan) -> list[Port]:
    """Return all interfaces that are plugged in somewhere."""
    found = []
    for gateway in plan.gateways:
        found.append(Port(gateway.public, "eth0", PUBLIC))
        found.append(Port(gateway.private, "eth1", f"between{gateway.site}"))
        found.append(Port(gateway.private, "eth2", f"site{gateway.site}"))
    return found + [Port(router.netns, "eth0", f"site{router.site}") for router in plan.routers]


def hosts(plan: Plan) -> list[Host]:
    """Return all namespaces but the switch."""
    found = [
        Host(router.netns, FORWARD4 + FORWARD6 + FORGET, _router(router)) for router in plan.routers
    ]
    for gateway in plan.gateways:
        if plan.split:
            found.append(Host(gateway.public, FORWARD6, LOCAL + _public6(gateway)))
            found.append(Host(gateway.private, FORWARD4 + FORWARD6, LOCAL + _private(gateway)))
        else:
            text = LOCAL + _public4(gateway) + _private(gateway)
            found.append(Host(gateway.public, FORWARD4, text))
    return found


def _public6(gateway: Gateway) -> str:
    return f"""
        address add {gateway.address}/128 dev dummy0
        link set eth0 up
    """


def _public4(gateway: Gateway) -> str:
    """Public routes are in a table of their own, which never ends in the private one.

    Rules send there what comes from outside, and of the gateway's own packets those that have a
    public address: charon's and ESP. BIRD puts the routes into it.
    """
    _, _, length = gateway.network.partition("/")
    rules = (
        "from 203.0.113.0/24",
        f"from {TRANSFER}",
        "to 203.0.113.0/24 iif lo",
        f"to {TRANSFER} iif lo",
        "iif eth0",
    )
    lines = "\n".join(
        f"rule add priority {100 + number} {rule} lookup {PUBLIC_TABLE}"
        for number, rule in enumerate(rules)
    )
    return f"""
        address add {gateway.address}/{length} dev dummy0 noprefixroute
        link set eth0 up
        address add {gateway.transfer}/24 dev eth0 noprefixroute
        route add unreachable default table {PUBLIC_TABLE}
        {lines}
    """


def _private(gateway: Gateway) -> str:
    return f"""
        link set eth1 up
        link set eth2 up
        address add 192.168.{gateway.site + 100}.{gateway.number + 10}/24 dev eth1
        address add {gateway.private_address} dev eth2
    """


def _router(router: Router) -> str:
    """Its private networks are behind it, on dummy0, or the segment itself."""
    behind = f"""
        address add {router.address6}/64 dev dummy0
        address add {router.address4}/24 dev dummy0
    """
    return f"""
        {LOCAL}
        link set eth0 up
        address add {router.segment(1)} dev eth0
        {behind if router.plan.split else ""}
    """


@contextmanager
def built(plan: Plan) -> Iterator[None]:
    """Build all namespaces; remove them in the end, with all that is in them."""
    names = [SWITCH, *(host.netns for host in hosts(plan))]
    try:
        _batch("", "".join(f"netns add {name}\n" for name in names))
        for host in hosts(plan):
            _settings(host)
        _plug(plan)
        _batches({host.netns: host.batch for host in hosts(plan)})
        yield
    finally:
        _batch("", "".join(f"netns delete {name}\n" for name in names), force=True)


def _settings(host: Host) -> None:
    with direct.inside(host.netns):
        for name, value in (*NO_DAD, *host.settings):
            Path("/proc/sys", name).write_text(value)


def _plug(plan: Plan) -> None:
    """Make the segments, and a pair of interfaces for every port."""
    plugs = ports(plan)
    segments = dict.fromkeys(port.segment for port in plugs)
    bridge = "type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
    links = [
        f"link add {port.name} netns {port.netns} type veth "
        f"peer name {port.far_end} netns {SWITCH}\n"
        for port in plugs
    ]
    _batch("", "".join(links))
    up = [f"link add {name} {bridge}\nlink set {name} up\n" for name in segments]
    up += [f"link set {port.far_end} master {port.segment} up\n" for port in plugs]
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
