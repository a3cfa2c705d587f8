"""Bounds: what keeps the MTU of a tunnel from being larger. Pure.

The smallest one counts. Of equal ones that which is nearer to us does: the first below.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Bound(StrEnum):
    """What bounds the MTU of a tunnel, the same word in metrics and `vtictl`."""

    CIPHERS = "ciphers"
    """What ESP adds, on the interface that leads to the peer: nothing else is in the way."""
    ROUTE = "route"
    """The route to the peer has an MTU of its own, less than that of its interface."""
    LEARNT = "learnt"
    """The kernel learnt a path MTU towards the peer."""
    UNDERLAY_MTU = "underlay_mtu"
    """The policy says what the path carries."""
    CONFIGURED = "configured"
    """The policy says what the interface has: `mtu`."""
    PROVEN = "proven"
    """Probes found that larger packets do not pass."""


@dataclass(frozen=True, slots=True)
class MtuBound:
    """A bound and its value, in bytes."""

    bound: Bound
    inside: int
    """The largest packet inside the tunnel that it allows."""
    outside: int = 0
    """The outer MTU that this comes from; 0 where it is about the inside."""


def smallest(bounds: tuple[MtuBound, ...]) -> Bound | None:
    """Return the bound that counts, None where none is known."""
    return min(bounds, key=lambda one: one.inside).bound if bounds else None
