"""Every turn of the event loop is measured, whatever held it up."""

from __future__ import annotations

import asyncio
import errno
import os
import selectors
import time
from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from vtid.daemon.loop import NO_RESOURCE, _Measuring, measured_loop

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import pytest

STALL = 0.05


def turns(work: Coroutine[object, object, None]) -> list[float]:
    """Seconds of the turns of a loop that runs this."""
    seen: list[float] = []
    with asyncio.Runner(loop_factory=lambda: measured_loop(seen.append)) as runner:
        runner.run(work)
    return seen


def test_each_stall_is_seen() -> None:
    async def work() -> None:
        for _ in range(3):
            time.sleep(STALL)  # noqa: ASYNC251 - the stall
            await asyncio.sleep(0.001)

    # a busy machine may add some
    assert len([one for one in turns(work()) if one >= STALL]) >= 3


def test_waiting_is_no_stall() -> None:
    began = time.monotonic()
    seen = turns(asyncio.sleep(0.2))
    assert sum(seen) <= time.monotonic() - began - 0.19


def test_waking_up_late_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after SIGSTOP, or without a processor: no turn of its own was long."""

    def late(_selector: object, timeout: float) -> list[object]:
        time.sleep(timeout + STALL)
        return []

    monkeypatch.setattr(selectors.DefaultSelector, "select", late)
    seen: list[float] = []
    with _Measuring(seen.append) as selector:
        selector.select(0.01)
        selector.select(0)
    assert len(seen) == 1
    assert seen[0] >= STALL


def test_a_lack_of_descriptors_is_told_once_and_other_complaints_are_asyncios() -> None:
    heard: list[object] = []
    with asyncio.Runner(loop_factory=lambda: measured_loop(lambda _: None)) as runner:
        loop = runner.get_loop()
        loop.default_exception_handler = heard.append  # type: ignore[assignment]
        error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        with capture_logs() as logs:
            for _ in range(100):
                loop.call_exception_handler({"message": NO_RESOURCE, "exception": error})
            loop.call_exception_handler({"message": "another", "exception": error})
    assert [(line["event"], line["error"]) for line in logs] == [
        ("no connection taken", "[Errno 24] Too many open files")
    ]
    assert heard == [{"message": "another", "exception": error}]
