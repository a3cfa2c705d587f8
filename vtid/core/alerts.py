"""Alerts: the errors that charon met, so that a tunnel that stays down says why. Pure.

Rules of this file:

* The last alert of a connection is kept until one of its CHILD_SAs is up.
* Whoever reaches charon's port can cause alerts that belong to no connection: those are counted.
* One of the same type for the same connection is worth a line once a minute.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vtid.model.input import Alert

SILENCE = 60.0
"""Seconds after a line without another one of its kind."""

BEFORE = 60.0
"""Seconds before the end of an SA in which an alert may tell of its cause."""


@dataclass(frozen=True, slots=True)
class _Told:
    alert: Alert
    at: float


class Alerts:
    """What charon complained of."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        """Alerts since the start, by type."""
        self._last: dict[str, _Told] = {}
        self._lines: dict[tuple[str, str], float] = {}
        """When each type of a connection was last worth a line."""

    def file(self, alert: Alert, now: float) -> bool:
        """File an alert; return whether it is worth a line in the log."""
        self.count[alert.type] += 1
        if not alert.connection:
            return False
        self._last[alert.connection] = _Told(alert, now)
        kind = (alert.connection, alert.type)
        if now < self._lines.get(kind, -math.inf) + SILENCE:
            return False
        self._lines[kind] = now
        return True

    def clear(self, connection: str) -> None:
        """Forget the last alert of a connection: one of its CHILD_SAs is up."""
        self._last.pop(connection, None)

    def words(self, connection: str, down_since: float) -> str:
        """Return the last alert of a connection in words, empty where there is none.

        One long before its tunnel went down does not say why.
        """
        told = self._last.get(connection)
        return words(told.alert) if told and told.at >= down_since - BEFORE else ""


def words(alert: Alert) -> str:
    """Return what charon complained of, and about whom."""
    return f"charon: {alert.type}" + (f" with {alert.peer}" if alert.peer else "")
