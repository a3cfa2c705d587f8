"""The lab's figures: gateways, their addresses and tunnels, and the daemons' configuration.

The topology is that of Vincent Bernat's route-based VPN lab: sites (AS 65001 to 65003) with two
gateways each, `V{site}-{n}`, and a router per site behind them. A gateway has a public namespace
and a private one; only IPsec leads from one to the other.

Rules of this file: no I/O, and nothing here is asked for from a running system.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from itertools import combinations
from pathlib import Path

from tests.lab.speakers import SPEAKERS

SITES = (1, 2, 3)
RUN = Path("/run/lab")
METRICS_PORT = 14814
HOLD_SECONDS = 10
"""Hold time of tunnels: longer than a new IKE_SA takes where the processor is emulated."""
PSK = "lab-0123456789abcdef"
GCM = "aes256gcm16-prfsha384-ecp384"
CBC = "aes128-sha256"


@dataclass(frozen=True, slots=True, order=True)
class Gateway:
    """A VPN gateway, by site and number within it."""

    site: int
    number: int

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
        return f"{self.public}-private"

    @property
    def address(self) -> str:
        """Public address."""
        return f"2001:db8:{self.site}::{self.number}"

    @property
    def asn(self) -> int:
        """AS number of the site."""
        return 65000 + self.site

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

    @property
    def netns(self) -> str:
        """Its namespace."""
        return f"r{self.site}"

    @property
    def address4(self) -> str:
        """Address in the site's private IPv4 network."""
        return f"10.0.{self.site}.1"

    @property
    def address6(self) -> str:
        """Address in the site's private IPv6 network."""
        return f"2001:db8:a{self.site}::1"

    @property
    def network4(self) -> str:
        """The site's private IPv4 network."""
        return f"10.0.{self.site}.0/24"

    @property
    def network6(self) -> str:
        """The site's private IPv6 network."""
        return f"2001:db8:a{self.site}::/64"


ALL = tuple(Gateway(site, number) for site in SITES for number in (1, 2))
PAIRS = tuple((a, b) for a, b in combinations(ALL, 2) if a.site != b.site)


def inner_address6(number: int) -> str:
    """Inner IPv6 address with this number; written in decimal, as 169.254.1.x is."""
    return str(IPv6Address(f"2001:db8:ff::{number}"))


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
        return 2 * PAIRS.index(pair) + (gateway == pair[1])

    @property
    def inner6(self) -> str:
        """Our inner IPv6 address."""
        return inner_address6(self._inner(self.here))

    @property
    def inner4(self) -> str:
        """Our inner IPv4 address."""
        return f"169.254.1.{self._inner(self.here)}"

    @property
    def peer6(self) -> str:
        """The peer's inner IPv6 address."""
        return inner_address6(self._inner(self.there))

    @property
    def peer4(self) -> str:
        """The peer's inner IPv4 address."""
        return f"169.254.1.{self._inner(self.there)}"

    @property
    def bgp(self) -> str:
        """Name of the BGP protocol."""
        return f"IBGP_{self.there.name.replace('-', '_')}"


def strongswan_conf(gateway: Gateway) -> str:
    """strongswan.conf: VICI on a socket of its own, no routes, no virtual addresses."""
    return f"""
charon-systemd {{
  load = random nonce openssl kdf kernel-netlink socket-default vici
  install_routes = no
  install_virtual_ip = no
  journal {{
    default = -1
  }}
  filelog {{
    lab {{
      path = {gateway.path("charon.log")}
      flush_line = yes
    }}
  }}
  plugins {{
    vici {{
      socket = unix://{gateway.path("charon.vici")}
    }}
  }}
}}
"""


def swanctl_conf(gateway: Gateway, peers: tuple[Gateway, ...], esp: str = GCM) -> str:
    """swanctl.conf with a connection for each peer.

    Of two gateways the lower one starts the tunnel, so the higher one has to be loaded first.
    """
    connections = "".join(_connection(Tunnel(gateway, peer), esp) for peer in peers)
    names = "".join(f"    id-{peer.public} = {peer.address}\n" for peer in (gateway, *peers))
    return f"""
connections {{{connections}}}
secrets {{
  ike-lab {{
{names}    secret = "{PSK}"
  }}
}}
"""


def _connection(tunnel: Tunnel, esp: str) -> str:
    starts = tunnel.here < tunnel.there
    return f"""
  {tunnel.there.name} {{
    version = 2
    mobike = no
    keyingtries = 0
    dpd_delay = 30s
    local_addrs = {tunnel.here.address}
    remote_addrs = {tunnel.there.address}
    proposals = {GCM}
    local {{
      auth = psk
      id = {tunnel.here.address}
    }}
    remote {{
      auth = psk
      id = {tunnel.there.address}
    }}
    children {{
      {tunnel.there.name} {{
        local_ts = ::/0,0.0.0.0/0
        remote_ts = ::/0,0.0.0.0/0
        mark_in = {tunnel.mark}
        mark_out = {tunnel.mark}
        esp_proposals = {esp}
        start_action = {"start" if starts else "none"}
        close_action = {"start" if starts else "none"}
        dpd_action = {"restart" if starts else "clear"}
      }}
    }}
  }}
"""


def vtid_toml(gateway: Gateway, peers: tuple[Gateway, ...]) -> str:
    """vtid.toml: a tunnel for each peer, with a BGP session for each BIRD."""
    tunnels = "".join(_policy(Tunnel(gateway, peer)) for peer in peers)
    return f"""
[daemon]
control_socket = "{gateway.path("vtid.sock")}"
metrics = ["127.0.0.1:{METRICS_PORT}"]

[vici]
socket = "{gateway.path("charon.vici")}"

[defaults]
netns = "{gateway.private}"
interface = "vti{{mark}}"
hold_time = "{HOLD_SECONDS}s"

[defaults.bgp]
local_as = {gateway.asn}
import = "all"
export = "site"
preference = 160
hold_time = "6s"
{"".join(speaker.table(gateway) for speaker in SPEAKERS)}{tunnels}"""


def _policy(tunnel: Tunnel) -> str:
    sessions = "".join(
        f"""
[[tunnel.bgp]]
bird = "{speaker.name}"
name = "{tunnel.bgp}"
neighbor = "{tunnel.peer6 if "ipv6" in speaker.families else tunnel.peer4}"
remote_as = {tunnel.there.asn}
"""
        for speaker in SPEAKERS
    )
    return f"""
[[tunnel]]
connection = "{tunnel.there.name}"
addresses = ["{tunnel.inner6}/127", "{tunnel.inner4}/31"]{sessions}"""
