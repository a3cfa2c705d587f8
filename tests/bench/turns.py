"""Turns of the event loop, counted in a file by vtid and read by who measures.

So vtid need not be asked: a scrape of ten thousand tunnels would be turns as well.
"""

from __future__ import annotations

import struct
from mmap import mmap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

LONG = 0.02
"""Seconds that a turn may take."""

_FORM = struct.Struct("qqd")


class Turns(NamedTuple):
    """Some turns."""

    all: int
    held: int
    """How many of them were longer than `LONG`."""
    longest: float
    """Seconds."""


class TurnsFile:
    """Turns since they were taken the last time."""

    def __init__(self, path: str | Path, *, new: bool = False) -> None:
        with open(path, "w+b" if new else "r+b") as file:  # noqa: PTH123
            file.truncate(_FORM.size)
            self._memory = mmap(file.fileno(), _FORM.size)

    def note(self, seconds: float) -> None:
        """Add a turn."""
        all_, held, longest = _FORM.unpack(self._memory)
        _FORM.pack_into(self._memory, 0, all_ + 1, held + (seconds > LONG), max(longest, seconds))

    def take(self) -> Turns:
        """Return them, and begin anew."""
        turns = Turns(*_FORM.unpack(self._memory))
        _FORM.pack_into(self._memory, 0, 0, 0, 0.0)
        return turns
