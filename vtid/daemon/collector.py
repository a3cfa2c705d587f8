"""Collector: keeps Python's garbage collector from holding the event loop. An edge.

A full collection looks at every object: 100 ms and more with 10,000 tunnels. Nearly all of them
live as long as their tunnel, and are freed by counting references.

Rules of this file:

* What survived a long full collection is frozen (`gc.freeze`): later ones look only at what came
  since. So each takes a bounded time, however many objects there are.
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


class Collector:
    """Follows the collections of this process, from `watch` on."""

    def __init__(self) -> None:
        self._began = 0.0
        self.freezes = 0

    def watch(self) -> None:
        """Freeze what there is, modules and the configuration; follow from now on."""
        gc.freeze()
        gc.callbacks.append(self._told)

    def close(self) -> None:
        """Follow no more, and give everything back to the collector."""
        gc.callbacks.remove(self._told)
        gc.unfreeze()

    def _told(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < _FULL:
            return
        if phase == "start":
            self._began = time.perf_counter()
        elif time.perf_counter() - self._began > LONG:
            gc.freeze()
            self.freezes += 1
