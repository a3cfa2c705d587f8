"""Back-off: how long to wait before the next try. Pure."""

from __future__ import annotations

DOUBLINGS = 32
"""Waits double this often at most: a float overflows after 1,023, in 17 hours of a minute each."""


def back_off(first: float, last: float, tries: int) -> float:
    """Return the seconds to wait: `first` before any try, doubled by each, `last` at most."""
    return min(last, first * 2.0 ** min(tries, DOUBLINGS))
