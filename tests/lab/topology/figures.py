"""The labs' figures: gateways, their addresses and tunnels.

The topology is that of Vincent Bernat's route-based VPN lab: three sites with two gateways each,
`V{site}-{n}`, and a router per site behind them. A `Plan` says how a lab numbers it: that of the
document has IPv6 outside and a private namespace on each gateway; its older version has IPv4 only
and keeps public and private apart by routing tables and rules.

Rules of this file: no I/O, and nothing here is asked for from a running system.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv6Address
from itertools import combinations, permutations
from pathlib import Path

SITES = (1, 2, 3)
RUN = Path("/run/lab")
METRICS_PORT = 14814
PSK = "lab-0123456789abcdef"
GCM = "aes256gcm16-prfsha384-ecp384"
CBC = "aes128-sha256"


@dataclass(frozen=True, slots=True)
class Size:
    """An ESP proposal and the MTU that follows from it where the outside MTU is 1500."""

    esp: str
    mtu: int

    @property
    def mss(self) -> dict[int, int]:
        """MSS of TCP connections, by the IP version of their packets."""
        return {4: self.mtu - 40, 6: self.mtu - 60}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a lab numbers its hosts: IP versions outside and inside, and what tells it apart."""

    name: str
    outside: int
    inside: tuple[int, ...]
    split: bool
    """Whether a gateway's private side is a namespace of its own."""
    size: Size
    other_size: Size

    @property
    def gateways(self) -> tuple[Gateway, ...]:
        """All gateways."""
        return tuple(Gateway(site, number, self) for site in SITES for number in (1, 2))

    @property
    def routers(self) -> tuple[Router, ...]:
        """All routers."""
        return tuple(Router(site, self) for site in SITES)

    @property
    def pairs(self) -> tuple[tuple[Gateway, Gateway], ...]:
        """Gateways that have a tunnel between them, the lower site's first."""
        return tuple((a, b) for a, b in combinations(self.gateways, 2) if a.site != b.site)

    @property
    def ways(self) -> tuple[Way, ...]:
        """From each router to each other, in each IP version inside."""
        return tuple(
            Way(here, there, version, source, target)
            for here, there in permutations(self.routers, 2)
            for version, source, target in zip(
                self.inside, here.addresses, there.addresses, strict=True
            )
        )


MESH = Plan("mesh", 6, (6, 4), split=True, size=Size(GCM, 1426), other_size=Size(CBC, 1406))
IPV4 = Plan("ipv4", 4, (4,), split=False, size=Size(CBC, 1438), other_size=Size(GCM, 1446))
PLANS = (MESH, IPV4)
PUBLIC_TABLE = 10
"""Routing table of a gateway's public side where that is no namespace of its own."""
TRANSFER = "198.51.100.0/24"
"""The public segment where it has IPv4."""
SMALL_OUTSIDE, SMALL_INSIDE = 1400, 1326
"""An outside MTU, and what is left of it inside: the same for the ciphers of both plans."""


@dataclass(frozen=True, slots=True, order=True)
class Gateway:
    """A VPN gateway, by site and number within it."""

    site: int
    number: int
    plan: Plan = field(default=MESH, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Name, as in `V1-1`; charon's connections to it are called so."""
        return f"V{self.site}-{self.number}"

    @property
    def public(self) -> str:
        """Namespace of the public side."""
        return self.name.lower()

    @property
    def private(self) -> str:
        """Namespace of the private side."""
        return f"{self.public}-private" if self.plan.split else self.public

    @property
    def address(self) -> str:
        """Public address."""
        if self.plan.outside == 6:
            return f"2001:db8:{self.site}::{self.number}"
        return f"203.0.113.{32 * self._index + 1}"

    @property
    def network(self) -> str:
        """Public prefix: the address alone, or the gateway's part of 203.0.113.0/24."""
        if self.plan.outside == 6:
            return f"{self.address}/128"
        return f"203.0.113.{32 * self._index}/27"

    @property
    def transfer(self) -> str:
        """Address on the public segment where that has IPv4; IPv6 has link-local ones."""
        return f"198.51.100.{self._index + 1}"

    @property
    def _index(self) -> int:
        return (self.site - 1) * 2 + self.number - 1

    @property
    def asn(self) -> int:
        """AS number: of the site, or of all where they are one AS."""
        return 65000 + self.site if self.plan is MESH else 65100

    @property
    def private_address(self) -> str:
        """Address on the site's segment, with prefix length."""
        return Router(self.site, self.plan).segment(10 + self.number)

    @property
    def folder(self) -> Path:
        """Where its daemons have their configuration and sockets."""
        return RUN / self.public

    def path(self, name: str) -> Path:
        """Path of one of its files."""
        return self.folder / name


@dataclass(frozen=True, slots=True)
class Router:
    """The host behind the gateways of a site."""

    site: int
    plan: Plan = field(default=MESH, compare=False, repr=False)

    @property
    def netns(self) -> str:
        """Its namespace."""
        return f"r{self.site}"

    def segment(self, host: int) -> str:
        """Address of a host on the segment of the site, with prefix length; the router is 1."""
        if self.plan is MESH:
            return f"192.168.{self.site}.{host}/24"
        return f"192.168.1.{(self.site - 1) * 64 + host}/26"

    @property
    def address4(self) -> str:
        """Address in the site's private IPv4 network."""
        return f"10.0.{self.site}.1" if self.plan is MESH else self.segment(1).partition("/")[0]

    @property
    def address6(self) -> str:
        """Address in the site's private IPv6 network."""
        return f"2001:db8:a{self.site}::1"

    @property
    def network4(self) -> str:
        """The site's private IPv4 network: in the older version, the segment itself."""
        return f"10.0.{self.site}.0/24" if self.plan is MESH else self.segment(0)

    @property
    def network6(self) -> str:
        """The site's private IPv6 network."""
        return f"2001:db8:a{self.site}::/64"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Private addresses, one for each IP version inside."""
        return tuple({4: self.address4, 6: self.address6}[version] for version in self.plan.inside)

    @property
    def networks(self) -> tuple[str, ...]:
        """Private networks, one for each IP version inside."""
        return tuple({4: self.network4, 6: self.network6}[version] for version in self.plan.inside)


@dataclass(frozen=True, slots=True)
class Way:
    """From one router to another in one IP version."""

    here: Router
    there: Router
    version: int
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The tunnel from one gateway to another, as the first of them has it."""

    here: Gateway
    there: Gateway

    @property
    def mark(self) -> int:
        """Mark in and out, and so the key of the VTI."""
        return (self.there.site - 1) * 2 + self.there.number

    @property
    def interface(self) -> str:
        """Name of the VTI."""
        return f"vti{self.mark}"

    def _inner(self, gateway: Gateway) -> int:
        pair = (min(self.here, self.there), max(self.here, self.there))
        return 2 * gateway.plan.pairs.index(pair) + (gateway == pair[1])

    def _address6(self, gateway: Gateway) -> str:
        """Inner IPv6 address: its number is written in decimal, as that of the IPv4 one is."""
        return str(IPv6Address(f"2001:db8:ff::{self._inner(gateway)}"))

    def _address4(self, gateway: Gateway) -> str:
        network = "169.254.1" if gateway.plan is MESH else "172.22.15"
        return f"{network}.{self._inner(gateway)}"

    @property
    def inner6(self) -> str:
        """Our inner IPv6 address."""
        return self._address6(self.here)

    @property
    def inner4(self) -> str:
        """Our inner IPv4 address."""
        return self._address4(self.here)

    @property
    def peer6(self) -> str:
        """The peer's inner IPv6 address."""
        return self._address6(self.there)

    @property
    def peer4(self) -> str:
        """The peer's inner IPv4 address."""
        return self._address4(self.there)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Our inner addresses with prefix length, one for each IP version inside."""
        found = {6: f"{self.inner6}/127", 4: f"{self.inner4}/31"}
        return tuple(found[version] for version in self.here.plan.inside)

    @property
    def peers(self) -> tuple[str, ...]:
        """The peer's inner addresses, one for each IP version inside."""
        found = {6: self.peer6, 4: self.peer4}
        return tuple(found[version] for version in self.here.plan.inside)

    @property
    def bgp(self) -> str:
        """Name of the BGP protocol."""
        return f"IBGP_{self.there.name.replace('-', '_')}"
