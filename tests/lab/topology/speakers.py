"""The BIRDs of a lab, by what `make lab BIRD=…` has chosen.

BIRD 2 and 3 are one daemon with a channel for each address family. BIRD 1.6 is two daemons of one
family each, `bird` and `bird6`, which have no channels: what the others say of one is said there of
the protocol. Each has its own control socket and, on a gateway's private side, its `[[bird]]`.

Rules of this file: no I/O except for the environment; their configuration is in `birds`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.topology.figures import MESH

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.topology.figures import Gateway, Plan

CHOICE = os.environ.get("VTID_LAB_BIRD", "2")
OLD = CHOICE == "1.6"


@dataclass(frozen=True, slots=True)
class Speaker:
    """A BIRD: the name of its program, which its files have too, and of its `[[bird]]`."""

    program: str
    name: str
    families: tuple[str, ...]

    def socket(self, gateway: Gateway) -> Path:
        """Return the path of its control socket."""
        return gateway.path(f"{self.program}.ctl")

    def log(self, gateway: Gateway) -> Path:
        """Return the path of its log."""
        return gateway.path(f"{self.program}.log")

    def include(self, gateway: Gateway) -> Path:
        """Return the path of the file that vtid writes."""
        return gateway.path(f"vtid.{self.name}.conf")

    def table(self, gateway: Gateway) -> str:
        """Its table in vtid.toml."""
        return f"""
[[bird]]
name = "{self.name}"
socket = "{self.socket(gateway)}"
include = "{self.include(gateway)}"
template = "{"bgp-1.6" if OLD else "bgp"}"
"""


def speakers(plan: Plan) -> tuple[Speaker, ...]:
    """Return the BIRDs of a gateway's private side, and of a router."""
    families = tuple(f"ipv{version}" for version in plan.inside)
    if not OLD:
        return (Speaker("bird", "private", families),)
    return tuple(Speaker(program(one), f"private{one[-1]}", (one,)) for one in families)


def program(family: str) -> str:
    """Return the BIRD that speaks a family."""
    return "bird6" if OLD and family == "ipv6" else "bird"


def command(program: str, folder: Path, name: str) -> tuple[str, ...]:
    """Return a BIRD's command line; its files in the folder have this name."""
    return program, "-f", "-c", str(folder / f"{name}.conf"), "-s", str(folder / f"{name}.ctl")


SPEAKERS = speakers(MESH)
"""Those of a plan with both families inside."""
