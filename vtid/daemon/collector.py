"""Collector: keeps Python's garbage collector from holding the event loop. An edge.

A full collection looks at every object: 100 ms and more with 10,000 tunnels. Nearly all of them
live as long as their tunnel, and are freed by counting references.

Rules of this file:

* What survived a long full collection is frozen (`gc.freeze`): later ones look only at what came
  since. So each takes a bounded time, however many objects there are.
* Python puts a full collection off until a quarter of what survived the last one has come anew,
  frozen or not. A collection right after a freeze finds nothing, and has it count from there.
* Cycles of frozen objects are never freed. Those are requests and tasks that were under way then;
  there are few, because a long collection needs many new objects.
"""

from __future__ import annotations

import gc
import time

LONG = 0.005
"""Seconds of a full collection that lead to a freeze."""

_FULL = 2
"""The oldest generation."""

_OFTEN = (700, 10, 3)
"""Thresholds (gc.set_threshold): about 35,000 new objects to a full collection."""


class Collector:
    """Follows the collections of this process, from `watch` on."""

    def __init__(self) -> None:
        self._began = 0.0
        self._has_frozen = False
        self._thresholds = gc.get_threshold()
        self.freezes = 0

    def watch(self) -> None:
        """Freeze what there is, modules and the configuration; follow from now on."""
        gc.freeze()
        gc.collect()
        gc.set_threshold(*_OFTEN)
        gc.callbacks.append(self._told)

    def count_anew(self) -> None:
        """Have Python count from the last freeze on, if there was one; to be called often.

        Not by the callback: during a collection, Python begins no other.
        """
        if self._has_frozen:
            self._has_frozen = False
            gc.collect()

    def close(self) -> None:
        """Follow no more, and give everything back to the collector."""
        gc.callbacks.remove(self._told)
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def _told(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < _FULL:
            return
        if phase == "start":
            self._began = time.perf_counter()
        elif time.perf_counter() - self._began > LONG:
            gc.freeze()
            self.freezes += 1
            self._has_frozen = True
