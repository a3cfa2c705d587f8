"""What the lab can run on: which Debian with its kernel and strongSwan, and which BIRD on it.

All BIRDs of a Debian are in one tree: `bird2` installed, the others, which cannot be installed
beside it, unpacked under `/opt/bird-VERSION`. The chosen one comes first in PATH.

Rules of this file: the standard library only, like all that runs on the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.machine.tree import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Bird:
    """A BIRD: `make lab BIRD=choice`, the beginning of its version, its package if unpacked."""

    choice: str
    version: str
    unpacked: str = ""

    @property
    def folder(self) -> str:
        """Folder of its programs in the tree."""
        return f"/opt/bird-{self.choice}/usr/sbin" if self.unpacked else "/usr/sbin"


@dataclass(frozen=True, slots=True)
class System:
    """A Debian: `make lab OS=suite`, the release's number, its Python, its BIRDs."""

    suite: str
    release: str
    python: str
    birds: tuple[Bird, ...]
    more: tuple[str, ...] = ()
    """Further packages of its tree, for other trials than the lab."""

    @property
    def name(self) -> str:
        """Name of its builds: the suite, and the first further package."""
        return "+".join((self.suite, *self.more[:1]))


SYSTEMS = (
    System("bookworm", "12", "3.11", (Bird("2", "2.0"), Bird("1.6", "1.6", "bird"))),
    System("trixie", "13", "3.13", (Bird("2", "2.17"), Bird("3", "3.1", "bird3"))),
)


def chosen(suite: str, bird: str) -> tuple[System, Bird]:
    """Return what these names stand for; raises `LabError` with those there are."""
    names = ", ".join(system.suite for system in SYSTEMS)
    system = next((system for system in SYSTEMS if system.suite == suite), None)
    if system is None:
        raise LabError(f"OS={suite} is unknown: choose one of {names}")
    for found in system.birds:
        if found.choice == bird:
            return system, found
    pairs = [f"OS={one.suite} BIRD={two.choice}" for one in SYSTEMS for two in one.birds]
    raise LabError(f"there is no BIRD={bird} with OS={suite}: choose {' or '.join(pairs)}")


def environment(system: System, bird: Bird, basis: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of what runs there: `basis` with the chosen BIRD first in PATH.

    `VTID_LAB_BIRD` is the choice, `VTID_BIRDS` all that there are (`tests/birds.py`).
    """
    return {
        **basis,
        "PATH": f"{bird.folder}:{basis['PATH']}",
        "VTID_BIRDS": " ".join(f"{one.version}={one.folder}" for one in system.birds),
        "VTID_LAB_BIRD": bird.choice,
    }
