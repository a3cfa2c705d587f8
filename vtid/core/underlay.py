"""Underlay: what is known of the way to a peer, outside the tunnel. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vtid.model.input import UnderlaySeen

Path = tuple[str, str]
"""Outer local and remote address."""


@dataclass(frozen=True, slots=True)
class Underlay:
    """Route to a peer, outside the tunnel."""

    mtu: int
    """Bytes; that of the route, 0 where there is none."""
    interface: str = ""
    error: str = ""
    learnt: int = 0
    """Bytes; path MTU that the kernel learnt, less than that of the route. 0 if it did not."""
    device: int = 0
    """Bytes; MTU of the interface, where that of the route is less. 0 where it is the same."""

    @classmethod
    def of(cls, seen: UnderlaySeen) -> Underlay:
        """Take what a lookup found."""
        return cls(seen.mtu, seen.interface, seen.error, seen.learnt, seen.device)
