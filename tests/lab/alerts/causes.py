"""Which alerts a failure explains: names, and the gateways that it touches. Pure.

An alert about a tunnel is explained where one of its ends is touched; one about a gateway where
that is, or, for what follows from its tunnels, where a gateway beyond them is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OF_TUNNELS = frozenset({"VtidManyTunnelsDown"})
"""Alerts about a gateway that follow from its tunnels, and so from their far ends."""

OF_THE_MACHINE = frozenset({"VtidStalls", "VtidSlow", "VtidCharonBusy"})
"""What an emulated processor with six gateways raises by itself. Told, and not judged."""


@dataclass(frozen=True, slots=True, order=True)
class Fired:
    """An alert that fired; `tunnel` is empty for one about a gateway."""

    alert: str
    gateway: str
    tunnel: str = ""

    def __str__(self) -> str:
        return f"{self.alert} ({self.gateway}{f' to {self.tunnel}' if self.tunnel else ''})"


@dataclass(frozen=True, slots=True)
class Cause:
    """A failure, as alerts see it."""

    touched: tuple[str, ...] = ()
    """Names of gateways."""
    sure: frozenset[str] = field(default=frozenset())
    """Alerts that have to fire while it lasts."""
    may: frozenset[str] = field(default=frozenset())
    """Alerts that also follow from it, and fire where it lasts long enough."""
    within: bool = False
    """Whether both ends of a tunnel have to be touched."""

    def explains(self, fired: Fired) -> bool:
        """Whether an alert follows from this failure."""
        if fired.alert not in self.sure | self.may:
            return False
        if fired.alert in OF_TUNNELS:
            return bool(self.touched)
        ends = [end in self.touched for end in (fired.gateway, fired.tunnel) if end]
        return all(ends) if self.within else any(ends)

    def missing(self, fired: Iterable[Fired]) -> frozenset[str]:
        """Return the alerts that have to fire and did not."""
        return self.sure - {one.alert for one in fired if self.explains(one)}

    def strange(self, fired: Iterable[Fired]) -> tuple[Fired, ...]:
        """Return the alerts that it does not explain, but for those of the machine."""
        judged = (one for one in fired if one.alert not in OF_THE_MACHINE)
        return tuple(sorted(one for one in judged if not self.explains(one)))


def words(fired: Iterable[Fired]) -> str:
    """Write alerts in a line, each with the places where it fired."""
    places: dict[str, list[str]] = {}
    for one in sorted(fired):
        places.setdefault(one.alert, []).append(str(one).partition(" ")[2].strip("()"))
    return "; ".join(f"{alert} ({', '.join(where)})" for alert, where in places.items()) or "none"
