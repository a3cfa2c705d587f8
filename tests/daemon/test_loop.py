"""Every turn of the event loop is measured, whatever held it up."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from vtid.daemon.loop import measured_loop

if TYPE_CHECKING:
    from collections.abc import Coroutine

STALL = 0.05


def turns(work: Coroutine[object, object, None]) -> list[float]:
    """Seconds of the turns of a loop that runs this."""
    seen: list[float] = []
    with asyncio.Runner(loop_factory=lambda: measured_loop(seen.append)) as runner:
        runner.run(work)
    return seen


def test_each_stall_is_seen_and_only_as_long_as_it_was() -> None:
    async def work() -> None:
        for _ in range(3):
            time.sleep(STALL)  # noqa: ASYNC251 - the stall
            await asyncio.sleep(0.001)

    seen = turns(work())
    stalls = [one for one in seen if one >= STALL]
    assert len(stalls) == 3
    assert sum(stalls) < 60


def test_waiting_is_no_stall() -> None:
    seen = turns(asyncio.sleep(0.2))
    assert sum(seen) < 0.2


def test_a_process_that_was_stopped_woke_up_late() -> None:
    """The kernel stops it while it sleeps: no turn of its own was long."""
    code = (
        "import asyncio; from vtid.daemon.loop import measured_loop; seen = []\n"
        "async def work():\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.sleep(0.3)\n"
        "with asyncio.Runner(loop_factory=lambda: measured_loop(seen.append)) as runner:\n"
        "    runner.run(work())\n"
        "print(max(seen))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
        os.kill(one.pid, signal.SIGSTOP)
        time.sleep(0.8)
        os.kill(one.pid, signal.SIGCONT)
        assert float(one.stdout.readline()) > 0.4
