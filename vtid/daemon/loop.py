"""Loop: an event loop that tells how long each of its turns takes, and what it lacks. An edge.

Rules of this file:

* Every turn counts, not one in a second: a stall that no timer happens to meet is seen as well.
* A turn is the time between two looks at the sockets, in which nothing else can run. Time by which
  the process woke up too late (it was stopped, or had no processor) belongs to the turn that
  follows.
* Without a free descriptor, asyncio complains of each connection that waits, more than a hundred
  times a second and with a traceback: one line a minute is told instead.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

NO_RESOURCE = "socket.accept() out of system resource"
"""What asyncio says of EMFILE, ENFILE, ENOBUFS and ENOMEM (selector_events.py)."""

SILENCE = 60.0
"""Seconds in which that is not told again."""


def measured_loop(observe: Callable[[float], None]) -> asyncio.AbstractEventLoop:
    """Make a loop that calls `observe` with the seconds of each turn."""
    loop = asyncio.SelectorEventLoop(_Measuring(observe))
    loop.set_exception_handler(_Complaints())
    return loop


class _Complaints:
    """What asyncio meets where nobody waits for it."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context["message"] != NO_RESOURCE:
            loop.default_exception_handler(context)
        elif loop.time() >= self._quiet_until:
            self._quiet_until = loop.time() + SILENCE
            log.error("no connection taken", error=str(context["exception"]))


class _Measuring(selectors.DefaultSelector):
    """A selector that knows when it was left and when it is asked again."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        super().__init__()
        self._observe = observe
        self._left_at: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as the parent does."""
        asked_at = time.monotonic()
        if self._left_at is not None:
            self._observe(asked_at - self._left_at)
        found = super().select(timeout)
        self._left_at = time.monotonic()
        if timeout is not None and not found:
            due_at = asked_at + max(0.0, timeout)
            self._left_at = min(self._left_at, due_at)
        return found
