"""What a start takes and how much memory vtid has, on the processor itself.

    python -m tests.lab.host run --for daemons -- python3 -m tests.bench.bench_start [POLICIES]

charon is played (`played_charon`) and has no SA, so this takes neither interfaces nor a kernel with
VTI. Seconds of the processor are those of all threads, and the least of `ROUNDS`: other load makes
them longer, never shorter.

Rules of this file:

* Memory is that of a process which has done the same as one in use: a status, a list of all
  tunnels, a reload and a scrape.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import TYPE_CHECKING

from tests.bench.gateway import Gateway, installed
from tests.bench.instead import timed
from tests.bench.played_charon import PlayedCharon

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
FEW = 10
MANY = 10_000

_IMPORTS = """import vtid.__main__
from vtid.daemon import slim
with slim.left_out():
    import vtid.daemon.log, vtid.daemon.daemon"""
"""As a start makes them."""


def processor_time(act: Callable[[], object]) -> float:
    """Return the seconds of processor time that the processes which an act runs take at least."""

    def used() -> float:
        usage = getrusage(RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    found = []
    for _ in range(ROUNDS):
        before = used()
        act()
        found.append(used() - before)
    return min(found)


def python(*arguments: str) -> float:
    return processor_time(lambda: timed(sys.executable, *arguments, env=installed()))


def show(what: str, value: float, unit: str) -> None:
    print(f"{what:48} {value:8.1f} {unit}", flush=True)


async def starts(place: Path) -> None:
    """Measure what begins from nothing."""
    show("bare Python", python("-c", "pass") * 1e3, "ms")
    show(
        "imports of the daemon",
        python("-c", _IMPORTS) * 1e3,
        "ms",
    )
    gateway = Gateway(place, 0)
    ready, whole = [], []
    for _ in range(ROUNDS):
        whole.append(await gateway.start())
        ready.append(gateway.cpu())
        await gateway.stop()
    show("until READY, processor", min(ready) * 1e3, "ms")
    show("until READY, by the clock", min(whole) * 1e3, "ms")
    await gateway.start()
    status = await asyncio.to_thread(processor_time, lambda: gateway.tell("status"))
    show("vtictl status, processor", status * 1e3, "ms")
    await gateway.stop()


async def memory(place: Path, policies: int) -> None:
    """Measure a vtid that has so many policies."""
    gateway = Gateway(place, policies)
    await gateway.start()
    await gateway.quiet()
    show(f"memory, {policies} policies", gateway.memory(), "MB")
    for what, words in (
        ("status", ("status",)),
        ("list in JSON", ("tunnels", "-o", "json")),
        ("reload", ("reload",)),
    ):
        began = time.perf_counter()
        await asyncio.to_thread(gateway.tell, *words)
        took = time.perf_counter() - began
        await gateway.quiet()
        show(f"  after {what} ({took:.2f} s)", gateway.memory(), "MB")
    for _ in range(3):
        await gateway.scrape()
    await gateway.quiet()
    show("  after scrapes", gateway.memory(), "MB")
    await gateway.stop()


async def measure(policies: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        async with PlayedCharon.at(place / "vici", 1) as charon:
            charon.listed = False
            await starts(place)
            check = str(Gateway(place, policies).config)
            took = python("-m", "vtid", "--check", "--config", check)
            show(f"vtid --check, {policies} policies", took * 1e3, "ms")
            for number in (FEW, policies):
                await memory(place, number)


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else MANY))
