"""A vtid whose vti6 interfaces are VXLANs (`tests.vxlan`), measured on the processor itself.

    python -m tests.bench.stand_in ARGUMENTS OF VTID

Turns of the loop are measured in processor time of its thread: a busy machine does not count. In
the environment, BLAME=1 prints each callback and each garbage collection that takes more than
20 ms of it, PROFILE=1 profiles loop and threads (`profiled`), and TURNS=FILE has the turns counted
there.

Rules of this file:

* It changes by which clock turns are measured, and nothing else of vtid.
"""

from __future__ import annotations

import asyncio
import gc
import os
import struct
import sys
import time
from mmap import mmap
from threading import current_thread
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

from tests import vxlan
from tests.bench import profiled
from vtid.daemon import slim

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG = 0.02
"""Seconds that a turn of the loop may take."""


class Turns(NamedTuple):
    """Turns of the loop."""

    all: int
    held: int
    """How many of them were longer than `LONG`."""
    longest: float
    """Seconds."""


class TurnsFile:
    """Turns counted in a file: who measures need not ask vtid, which would be turns as well."""

    _FORM = struct.Struct("qqd")

    def __init__(self, path: str | Path, *, new: bool = False) -> None:
        with open(path, "w+b" if new else "r+b") as file:  # noqa: PTH123
            file.truncate(self._FORM.size)
            self._memory = mmap(file.fileno(), self._FORM.size)

    def note(self, seconds: float) -> None:
        """Add a turn."""
        count, held, longest = self._FORM.unpack(self._memory)
        self._put(count + 1, held + (seconds > LONG), max(longest, seconds))

    def take(self) -> Turns:
        """Return the turns since the last time."""
        turns = Turns(*self._FORM.unpack(self._memory))
        self._put(0, 0, 0.0)
        return turns

    def _put(self, *fields: float) -> None:
        self._FORM.pack_into(self._memory, 0, *fields)


def use() -> None:
    """Put the stand-in and the clock into place."""
    if os.environ.get("PROFILE"):
        profiled.begin()
    slim.leave_out()  # as `vtid.__main__` does, before anything of it is imported
    from vtid.daemon import loop  # noqa: PLC0415

    vxlan.use(lambda _number: "vti6")
    setattr(loop, "time", SimpleNamespace(monotonic=time.thread_time))  # noqa: B010
    if path := os.environ.get("TURNS"):
        _count(loop, TurnsFile(path))
    if os.environ.get("BLAME"):
        gc.callbacks.append(_Collections())
        asyncio.tasks.Task = asyncio.tasks._PyTask  # type: ignore[misc,attr-defined]
        asyncio.events.Handle._run = _blamed  # type: ignore[assignment,method-assign]


def _count(loop: ModuleType, turns: TurnsFile) -> None:
    made: Callable[..., asyncio.AbstractEventLoop] = loop.measured_loop

    def counted(observe: Callable[[float], None]) -> asyncio.AbstractEventLoop:
        def both(seconds: float) -> None:
            turns.note(seconds)
            observe(seconds)

        return made(both)

    setattr(loop, "measured_loop", counted)  # noqa: B010


_run = asyncio.events.Handle._run


def _blamed(handle: asyncio.Handle) -> None:
    began = time.thread_time()
    _run(handle)
    who = getattr(handle._callback, "__self__", handle)  # type: ignore[attr-defined]
    _blame(time.thread_time() - began, who)


class _Collections:
    """Blames the garbage collector; its time is that of a callback as well."""

    def __init__(self) -> None:
        self._began = 0.0

    def __call__(self, phase: str, found: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            who = f"garbage collection in {current_thread().name}: {found}"
            _blame(time.thread_time() - self._began, who)


def _blame(took: float, who: object) -> None:
    if took > LONG:
        print(f"{took * 1e3:.0f} ms: {who!r}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    use()
    from vtid.__main__ import main

    sys.exit(main())
