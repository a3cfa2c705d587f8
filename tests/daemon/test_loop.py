"""Every turn of the event loop is measured, whatever held it up."""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import TYPE_CHECKING

from vtid.daemon.loop import _Measuring, measured_loop

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
