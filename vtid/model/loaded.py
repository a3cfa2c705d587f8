"""Loaded: the connections that charon has loaded beside what the policies want. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PolicyLoaded:
    """A policy, and whether charon has a connection for it."""

    policy: str
    """Connection and child as the policy names them, which may be patterns."""
    netns: str
    interface: str
    loaded: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """What charon had loaded at its last list-conns, beside the policies."""

    connections: int
    children: int
    """Those that can have a CHILD_SA."""
    unclaimed: int
    """Children that no policy matches."""
    unclaimed_names: tuple[tuple[str, str], ...]
    """Connection and child of the first of them, in order of their names."""
    policies: tuple[PolicyLoaded, ...]
