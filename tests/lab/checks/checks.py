"""What the lab's checks are: a running pair of gateways, and functions that look at it.

A check returns what it saw, for the table, or raises `CheckError` with what is there instead. The
checks of `holds` only look, so that they can be asked again and again; those of `events` do
something to the running lab.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.machine.shell import CheckError
from tests.lab.topology.figures import Router, Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.machine.shell import Daemon
    from tests.lab.topology.figures import Gateway


@dataclass(frozen=True, slots=True)
class Daemons:
    """The daemons of a gateway."""

    charon: Daemon
    birds: tuple[Daemon, ...]
    vtid: Daemon


@dataclass(frozen=True, slots=True)
class Lab:
    """A running pair of gateways; of the two, `a` starts the tunnel."""

    a: Gateway
    b: Gateway
    daemons: dict[Gateway, Daemons]
    out: Path

    @property
    def tunnels(self) -> tuple[Tunnel, Tunnel]:
        """The tunnel as either end has it."""
        return Tunnel(self.a, self.b), Tunnel(self.b, self.a)

    @property
    def routers(self) -> tuple[Router, Router]:
        """The hosts behind the gateways."""
        return Router(self.a.site), Router(self.b.site)


def expect(what: str, seen: object, wanted: object) -> None:
    """Raise `CheckError` where something is not what was wanted."""
    if seen != wanted:
        raise CheckError(f"{what} is {seen!r}, not {wanted!r}")


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table."""

    name: str
    look: Callable[[Lab], str]
