"""The BIRDs of a gateway's private side, by what `make lab BIRD=…` has chosen.

BIRD 2 and 3 are one daemon with a channel for each address family. BIRD 1.6 is two daemons of one
family each, `bird` and `bird6`, which have no channels: what the others say of one is said there of
the protocol. Each has its own control socket and `[[bird]]`.

Rules of this file: text only, as an administrator would write it; nothing about tunnels and their
sessions, which vtid writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.figures import Gateway

CHOICE = os.environ.get("VTID_LAB_BIRD", "2")


@dataclass(frozen=True, slots=True)
class Speaker:
    """A BIRD: the name of its program, which its files have too, and of its `[[bird]]`."""

    program: str
    name: str
    families: tuple[str, ...]
    template: str

    def socket(self, gateway: Gateway) -> Path:
        """Return the path of its control socket."""
        return gateway.path(f"{self.program}.ctl")

    def conf(self, gateway: Gateway) -> Path:
        """Return the path of its configuration."""
        return gateway.path(f"{self.program}.conf")

    def log(self, gateway: Gateway) -> Path:
        """Return the path of its log."""
        return gateway.path(f"{self.program}.log")

    def include(self, gateway: Gateway) -> Path:
        """Return the path of the file that vtid writes."""
        return gateway.path(f"vtid.{self.name}.conf")

    def command(self, gateway: Gateway) -> tuple[str, ...]:
        """Return its command line."""
        files = ("-c", str(self.conf(gateway)), "-s", str(self.socket(gateway)))
        return self.program, "-f", *files

    def configuration(self, gateway: Gateway) -> str:
        """All but the sessions over tunnels; the wildcard lets it start before there are any."""
        kernels = "".join(self._kernel(family) for family in self.families)
        return f"""
router id 1.0.{gateway.site}.{gateway.number};
log "{self.log(gateway)}" all;
filter site {{
  if ifname ~ "eth*" then accept;
  reject;
}}
protocol device {{ }}
{kernels}include "{gateway.path(f"vtid.{self.name}*.conf")}";
"""

    def _kernel(self, family: str) -> str:
        policy = "import all; export all;"
        channel = policy if self.template == "bgp-1.6" else f"{family} {{ {policy} }};"
        return f"""protocol kernel kernel_{family} {{
  learn;
  merge paths;
  {channel}
}}
"""

    def table(self, gateway: Gateway) -> str:
        """Its table in vtid.toml."""
        return f"""
[[bird]]
name = "{self.name}"
socket = "{self.socket(gateway)}"
include = "{self.include(gateway)}"
template = "{self.template}"
"""


SPEAKERS = (
    (
        Speaker("bird6", "private6", ("ipv6",), "bgp-1.6"),
        Speaker("bird", "private4", ("ipv4",), "bgp-1.6"),
    )
    if CHOICE == "1.6"
    else (Speaker("bird", "private", ("ipv6", "ipv4"), "bgp"),)
)
