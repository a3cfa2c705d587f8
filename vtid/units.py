"""Units: time spans and amounts of bytes as people read them. Pure, and cheap to import."""

from __future__ import annotations

from itertools import pairwise

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def span(seconds: float) -> str:
    """Write a time span with its two largest units: `3d4h`, `2m10s`, `0s`."""
    rest = max(0, int(seconds))
    for (size, unit), (smaller, minor) in pairwise(_UNITS):
        if rest >= size:
            count = rest % size // smaller
            return f"{rest // size}{unit}" + (f"{count}{minor}" if count else "")
    return f"{rest}s"


def size(count: int) -> str:
    """Write a number of bytes in at most five characters, with a unit of 1000."""
    value, units = float(count), iter(("", "k", "M", "G", "T", "P", "E"))
    unit = next(units)
    while value >= 999.5:  # noqa: PLR2004 - what would be written as 1000
        value, unit = value / 1000, next(units)
    return f"{value:.3g}{unit}"
