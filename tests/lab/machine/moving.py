"""A line that moves while somebody waits for the lab; on a terminal only, a log has plain lines.

Rules of this file: the cursor stays at its begin and it is short, so that what is said next takes
its place.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TICK = 1.0
"""Seconds between two looks at the clock; what takes less is not shown."""

_CLEAR = "\x1b[K"


def show(what: str, seconds: float) -> None:
    """Show what is waited for, and for how long."""
    if seconds >= TICK and sys.stdout.isatty():
        sys.stdout.write(f"{_CLEAR}lab: {what}, {seconds:.0f} s\r")
        sys.stdout.flush()


def clear() -> None:
    """Take the line away."""
    if sys.stdout.isatty():
        sys.stdout.write(_CLEAR)
        sys.stdout.flush()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show it for as long as the block runs."""
    over = threading.Event()
    clock = threading.Thread(target=_show_until, args=(over, what), daemon=True)
    clock.start()
    try:
        yield
    finally:
        over.set()
        clock.join()
        clear()


def _show_until(over: threading.Event, what: str) -> None:
    start = time.monotonic()
    while not over.wait(TICK):
        show(what, time.monotonic() - start)
