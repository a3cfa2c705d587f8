"""Debounce: when to write BIRD's file. Soon after a single change, later in a burst. Pure.

The cost of a reconfiguration grows with BIRD's sessions. A thousand tunnels that come up within a
minute cause five at most, and a tunnel that comes up alone does not wait.
"""

from __future__ import annotations

import math

QUIET = (0.2, 0.8, 3.2, 6.0)
"""Seconds without a change after which the file is written, by level."""

LONGEST = (1.0, 4.0, 16.0, 30.0)
"""Seconds after the first change at which it is written in any case, by level.

Every write leads one level up; twice the time without a change leads down to the first.
"""


class Debounce:
    """Collects changes; `now` is a monotonic clock in seconds."""

    def __init__(self) -> None:
        self._level = 0
        self._first = self._last = math.inf
        self._calm_at = -math.inf

    @property
    def due(self) -> float:
        """When to write; infinity if nothing has changed."""
        return min(self._last + QUIET[self._level], self._first + LONGEST[self._level])

    def changed(self, now: float) -> None:
        """Something has changed."""
        if self._first == math.inf and now >= self._calm_at:
            self._level = 0
        self._last = now
        self._first = min(self._first, now)

    def written(self, now: float) -> None:
        """All that has changed is written."""
        self._first = self._last = math.inf
        self._level = min(self._level + 1, len(QUIET) - 1)
        self._calm_at = now + 2 * LONGEST[self._level]
