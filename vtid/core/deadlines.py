"""Deadlines: which key is due when. Pure.

One deadline per key; setting it again replaces it. Times are floats on the caller's clock, so the
core can be replayed. Every operation is O(log n); replaced entries stay in
the heap until they surface and are dropped then.
"""

from __future__ import annotations

import heapq
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound="str | tuple[Any, ...]")


class Deadlines(Generic[Key]):
    """A heap of (time, key) in which the newest entry of a key counts."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}

    def set(self, key: Key, when: float) -> None:
        """Make `key` due at `when`, in place of an earlier deadline."""
        if self._due.get(key) == when:
            return
        self._due[key] = when
        heapq.heappush(self._heap, (when, key))

    def clear(self, key: Key) -> None:
        """Forget the deadline of `key`, if it has one."""
        self._due.pop(key, None)

    def next(self) -> float | None:
        """Time of the earliest deadline, None where there is none."""
        self._drop_replaced()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[Key]:
        """Remove and return the keys whose time has come, earliest first."""
        due: list[Key] = []
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                due.append(key)
        return due

    def _drop_replaced(self) -> None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
