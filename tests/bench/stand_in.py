"""A vtid whose vti6 interfaces are VXLANs (`tests.vxlan`), measured on the processor itself.

    python -m tests.bench.stand_in ARGUMENTS OF VTID

Turns of the loop are measured in processor time of its thread: a busy machine does not count. With
BLAME=1 in the environment, each callback that takes more than 20 ms of it is printed; with
PROFILE=1, loop and threads are profiled (`profiled`).

Rules of this file:

* It changes by which clock turns are measured, and nothing else of vtid.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from types import SimpleNamespace

from tests import vxlan
from tests.bench import profiled
from vtid.daemon import slim

LONG = 0.02
"""Seconds."""


def use() -> None:
    """Put the stand-in and the clock into place."""
    if os.environ.get("PROFILE"):
        profiled.begin()
    slim.leave_out()  # as `vtid.__main__` does, before anything of it is imported
    from vtid.daemon import loop  # noqa: PLC0415

    vxlan.use(lambda _number: "vti6")
    setattr(loop, "time", SimpleNamespace(monotonic=time.thread_time))  # noqa: B010
    if os.environ.get("BLAME"):
        asyncio.tasks.Task = asyncio.tasks._PyTask  # type: ignore[misc,attr-defined]
        asyncio.events.Handle._run = _blamed  # type: ignore[assignment,method-assign]


_run = asyncio.events.Handle._run


def _blamed(handle: asyncio.Handle) -> None:
    began = time.thread_time()
    _run(handle)
    if (took := time.thread_time() - began) > LONG:
        who = getattr(handle._callback, "__self__", handle)  # type: ignore[attr-defined]
        print(f"{took * 1e3:.0f} ms: {who!r}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    use()
    from vtid.__main__ import main

    sys.exit(main())
