"""Answers: what the API answers with, where that is more than one value of the model. Pure.

Rule of this file: a field that an answer has is a field here; the OpenAPI document is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vtid.http.api import BirdFile, RecentInput
from vtid.http.select import TunnelRow
from vtid.model.status import Initiation, PatternStatus


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request was refused, or could not be answered."""

    error: str
    """One line, with the way out."""


@dataclass(frozen=True, slots=True)
class TunnelList:
    """Tunnels, and what else the configuration asks for."""

    tunnels: tuple[TunnelRow, ...]
    patterns: tuple[PatternStatus, ...]
    initiations: tuple[Initiation, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """The names of all tunnels."""

    tunnels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BirdFiles:
    """The include files of BIRD."""

    files: tuple[BirdFile, ...]


@dataclass(frozen=True, slots=True)
class Recent:
    """What happened lately, without what may have a secret."""

    inputs: tuple[RecentInput, ...]
    events: tuple[str, ...]
    """Each a JSON object, as `/v1/events` has them; the oldest first."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened: a record of the log, whose further fields it has as well.

    Often these are `tunnel`, its `peer` (an outer address), and `detail`. docs/log-events.md of
    vtid has every event.
    """

    id: str
    """With which a client goes on behind it."""
    at: float
    """Unix time in seconds."""
    level: Literal["debug", "info", "warning", "error", "critical"]
    event: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Events are missing: the data of a message of type `gap`."""

    event: Literal["gap"]
    reason: Literal["expired", "restarted"]
    """`expired`: vtid does not keep them any more. `restarted`: it was started again since."""
    missed: int | None
    """How many; null where nobody knows."""
