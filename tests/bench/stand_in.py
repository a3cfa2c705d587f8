"""A vtid whose vti6 interfaces are VXLANs (`tests.vxlan`), measured on the processor itself.

    python -m tests.bench.stand_in ARGUMENTS OF VTID

Turns of the loop are measured in processor time of its thread: a busy machine does not count. In
the environment, TURNS=FILE has them counted there (`turns`), BLAME=1 prints each callback and each
garbage collection that takes more than 20 ms, and PROFILE=1 profiles loop and threads (`profiled`).

Rules of this file:

* It changes by which clock turns are measured, and nothing else of vtid.
* A garbage collection in another thread holds the interpreter, and so the loop: it is a turn, too.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from threading import current_thread, main_thread
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

from tests import vxlan
from tests.bench import profiled
from tests.bench.turns import LONG, TurnsFile
from vtid.daemon import slim

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


def use() -> None:
    """Put the stand-in and the clock into place."""
    if os.environ.get("PROFILE"):
        profiled.begin()
    with slim.left_out():  # as `vtid.__main__` does, before anything of it is imported
        from asyncio import events, tasks  # noqa: PLC0415

        from vtid.daemon import loop  # noqa: PLC0415

    vxlan.use(lambda _number: "vti6")
    setattr(loop, "time", SimpleNamespace(monotonic=time.thread_time))  # noqa: B010
    if path := os.environ.get("TURNS"):
        _count(loop, TurnsFile(path))
    if os.environ.get("BLAME"):
        _at_collections(lambda took, who: _blame(took, f"garbage collection in {who}"))
        tasks.Task = tasks._PyTask  # type: ignore[misc,attr-defined]
        run = events.Handle._run
        setattr(events.Handle, "_run", lambda handle: _blamed(run, handle))  # noqa: B010


def _count(loop: ModuleType, turns: TurnsFile) -> None:
    made: Callable[..., asyncio.AbstractEventLoop] = loop.measured_loop

    def counted(observe: Callable[[float], None]) -> asyncio.AbstractEventLoop:
        def both(seconds: float) -> None:
            turns.note(seconds)
            observe(seconds)

        return made(both)

    def collected(took: float, thread: str) -> None:
        if took > LONG and thread != main_thread().name:
            turns.note(took)

    setattr(loop, "measured_loop", counted)  # noqa: B010
    _at_collections(collected)


def _at_collections(tell: Callable[[float, str], None]) -> None:
    """Tell of each garbage collection what it took, and in which thread it was."""
    began = 0.0

    def collected(phase: str, _: object) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time()
        else:
            tell(time.thread_time() - began, current_thread().name)

    gc.callbacks.append(collected)


def _blamed(run: Callable[[asyncio.Handle], object], handle: asyncio.Handle) -> None:
    began = time.thread_time()
    run(handle)
    took = time.thread_time() - began
    _blame(took, getattr(handle._callback, "__self__", handle))  # type: ignore[attr-defined]


def _blame(took: float, who: object) -> None:
    if took > LONG:
        print(f"{took * 1e3:.0f} ms: {who!r}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    use()
    from vtid.__main__ import main

    sys.exit(main())
