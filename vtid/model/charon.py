"""Charon: what it tells of itself, apart from its SAs. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CharonStats:
    """The answer to VICI `stats`; None is what charon did not tell."""

    started_at: float | None = None
    """Unix time in seconds."""
    workers: int | None = None
    workers_idle: int | None = None
    active: tuple[tuple[str, int], ...] = ()
    """Jobs that workers are at, by priority."""
    queued: tuple[tuple[str, int], ...] = ()
    """Jobs that wait for a worker, by priority."""
    scheduled: int | None = None
    """Jobs that wait for their time."""
    ike_sas: int | None = None
    half_open: int | None = None
    """IKE_SAs that are being established."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """An X.509 certificate whose private key charon has."""

    serial: str
    """Hexadecimal."""
    name: str
    """Common name of the subject; empty where it has none."""
    expires_at: float
    """Unix time in seconds."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of virtual IPs (swanctl.conf, `pools`)."""

    name: str
    size: int
    """Addresses in it."""
    online: int
    """Those that peers have now."""
    offline: int
    """Those that are kept for peers which had them."""


@dataclass(frozen=True, slots=True)
class CharonFacts:
    """What was seen at one look."""

    stats: CharonStats = CharonStats()
    certificates: tuple[Certificate, ...] = ()
    connections: int | None = None
    """Connections that are loaded; None where charon did not tell."""
    children: tuple[tuple[str, str], ...] = ()
    """Connection and name of each child that can have a CHILD_SA."""
    pools: tuple[Pool, ...] = ()
