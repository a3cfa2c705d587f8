"""Listing: some of the tunnels, and what was done last, for the page. Pure.

Rule of this file: what is listed has the shape that `status` gives it.
"""

from __future__ import annotations

from dataclasses import dataclass

from vtid.model.status import PastOp, TunnelStatus


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tunnels to list; an empty field takes all."""

    states: frozenset[str] = frozenset()
    text: str = ""
    """What a tunnel's name, interface, policy or peer has to have somewhere, in any case."""
    first: int = 0
    """How many of those to pass over."""
    count: int = 100
    """How many to list at most."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a tunnel."""

    tunnel: str
    """Its label."""
    past: PastOp


@dataclass(frozen=True, slots=True)
class Listing:
    """The tunnels that were asked for, and the last operations of all tunnels."""

    matching: int
    """How many tunnels there are that were asked for, listed or not."""
    first: int
    """How many of them stand before those that are listed: `Wanted.first`, or that of the last
    part where there are fewer."""
    tunnels: tuple[TunnelStatus, ...]
    """In the order of their labels."""
    events: tuple[Event, ...] = ()
    """The newest first."""
