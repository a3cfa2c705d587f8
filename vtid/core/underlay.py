"""Underlay: what is known of the way to a peer, outside the tunnel. Pure."""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str, str]
"""Outer local and remote address."""


@dataclass(frozen=True, slots=True)
class Underlay:
    """Route to a peer, outside the tunnel."""

    mtu: int
    """Bytes; 0 where there is no route."""
    interface: str = ""
    error: str = ""
