"""The table of `make bench`: vtid beside what a user would have instead, in one run.

    python -m tests.bench.table [--tunnels N] [--rounds R] [--stand-in]

As root, on a kernel with VTI, in a network namespace of its own: `make bench` finds one. With
`--stand-in` on any kernel: both vtid and what it is compared with make VXLANs (`stand_in`). charon
is played (`played_charon`), all else is real. Each figure is the median of its rounds.

Rules of this file:

* Seconds are the machine's; what can be compared is what one run has.
* What is waited for costs next to nothing (`view`), and what the harness did take is told.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from tests.bench import instead
from tests.bench.gateway import Gateway, installed
from tests.bench.played_charon import PlayedCharon, rekeys, underlay
from tests.bench.view import View, used

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

FEW = 10
"""Tunnels of the small gateway."""
REKEYS = 1000
SINGLES = 5
"""Single events in a round."""
SAMPLE = 20
"""Interfaces that are removed one by one, to know what all would take."""
MEGABYTES, MILLISECONDS, COUNT = "MB", "ms", ""


class Row(NamedTuple):
    """A line of the table: what vtid is measured for, and what it is compared with."""

    what: str
    ours: str
    theirs: str = ""
    instead: str = "-"
    unit: str = "s"


ROWS = (
    Row("cold start, all SAs there", "cold", "batch", "`ip -batch`, `nft -f`"),
    Row("ups of all at once", "ups", "batch", "`ip -batch`, `nft -f`"),
    Row("ups of all at once", "ups", "whole", "the same and `sysctl -p`"),
    Row("one up, until the interface is up", "one", "updown", "updown script", MILLISECONDS),
    Row("loss of all", "loss", "group", "`ip link del group`"),
    Row("loss of all", "loss", "single", "`ip link del` one by one"),
    Row("CPU of one rekey", "rekey", "rekey_few", f"with {FEW} tunnels", MILLISECONDS),
    Row("restart over all, until READY", "restart", "empty", "without SAs"),
    Row("netlink writes of a restart over all", "writes", unit=COUNT),
    Row("READY, without SAs", "ready", "python", "bare Python", MILLISECONDS),
    Row("memory", "memory", "memory_few", f"with {FEW} tunnels", MEGABYTES),
    Row("longest turn of the loop during the ups, at most", "lag", unit=MILLISECONDS),
    Row("`vtid --check`", "check", "python", "bare Python"),
    Row("`vtictl reload`", "reload"),
    Row("`vtictl status`", "status", "python", "bare Python", MILLISECONDS),
)

FACTOR = {MILLISECONDS: 1e3}
PROCESSOR = (
    Row("cold start, all SAs there", "cold", "batch", "`ip -batch`, `nft -f`"),
    Row("ups of all at once", "ups", "batch", "`ip -batch`, `nft -f`"),
    Row("loss of all", "loss", "group", "`ip link del group`"),
)
"""What takes long enough that the harness could count as well."""


class Bench:
    """Collects figures by name."""

    def __init__(self, place: Path, count: int, *, stand_in: bool) -> None:
        self._place, self._count = place, count
        self._kind = instead.VXLAN if stand_in else instead.VTI6
        self._module = "tests.bench.stand_in" if stand_in else "vtid"
        self._view: View
        self.figures: dict[str, list[float]] = defaultdict(list)

    def note(self, name: str, value: float) -> None:
        """Add a figure."""
        self.figures[name].append(value)

    async def round(self) -> None:
        """Measure everything once."""
        self.note("python", instead.timed(sys.executable, "-c", "pass", env=installed()))
        instead.load_module(self._kind)
        self._without_vtid()
        with View() as self._view:
            await self._small()
            await self._large()

    def _without_vtid(self) -> None:
        before = used()
        batch = instead.batch(self._count, self._kind)
        self.note("batch", batch)
        self.note("batch CPU", used() - before)
        self.note("whole", batch + instead.settings(self._count))
        some = min(SAMPLE, self._count - 1)
        self.note("single", instead.remove_one_by_one(some) / some * self._count)
        before, rest = used(), self._count / (self._count - some)
        self.note("group", instead.remove_group() * rest)
        self.note("group CPU", (used() - before) * rest)
        instead.remove_clamps()
        instead.load_table()
        for number in range(1, SINGLES + 1):
            self.note("updown", instead.updown(number, self._kind))
        instead.remove_clamps()

    def _gateway(self, policies: int) -> Gateway:
        return Gateway(self._place, policies, self._module)

    async def _small(self) -> None:
        """Measure what is compared with a gateway that has few tunnels."""
        async with PlayedCharon.at(self._place / "vici", FEW) as charon:
            gateway = self._gateway(FEW)
            charon.listed = False
            await gateway.start()  # Python compiles it, once
            gateway.tell("status")
            await gateway.stop()
            self.note("ready", await gateway.start())
            charon.up(*charon.numbers)
            await self._view.complete(FEW)
            self.note("status", median(gateway.tell("status") for _ in range(SINGLES)))
            self.note("rekey_few", await self._rekeys(gateway, charon))
            self.note("memory_few", gateway.memory())
            await self._lose(charon)
            await gateway.stop()

    async def _large(self) -> None:
        async with PlayedCharon.at(self._place / "vici", self._count) as charon:
            gateway = self._gateway(self._count)
            self.note("check", instead.timed(*_CHECK, str(gateway.config), env=installed()))
            await self._taken("cold", gateway, self._cold_start(gateway))
            self.note("rekey", await self._rekeys(gateway, charon))
            self.note("memory", gateway.memory())
            await gateway.stop()
            self.note("restart", await gateway.start())
            await gateway.quiet()
            (writes,) = (await gateway.metric("vtid_netlink_writes_total")).values()
            self.note("writes", writes)
            await self._single_ups(gateway, charon)
            await self._taken("loss", gateway, self._lose(charon))
            await gateway.quiet()
            before = await gateway.metric(_LAG)
            await self._taken("ups", gateway, self._ups(charon))
            self.note("lag", longest(before, await gateway.metric(_LAG)))
            self.note("reload", gateway.tell("reload"))
            await self._lose(charon)
            await gateway.stop()
            charon.listed = False
            self.note("empty", await gateway.start())
            await gateway.stop()

    async def _taken(self, name: str, gateway: Gateway, work: Awaitable[float]) -> None:
        """Note what some work takes until it ends, and the processor time until all is quiet."""
        start, ours, theirs = time.perf_counter(), gateway.cpu(), used()
        self.note(name, await work - start)
        self.note(f"{name} harness", used() - theirs)
        self.note(f"{name} CPU", await gateway.quiet() - ours)

    async def _cold_start(self, gateway: Gateway) -> float:
        await gateway.start()
        return await self._view.complete(self._count)

    async def _rekeys(self, gateway: Gateway, charon: PlayedCharon) -> float:
        events, before = rekeys(FEW, REKEYS), await gateway.quiet()
        charon.send(events)
        return (await gateway.quiet() - before) / REKEYS

    async def _single_ups(self, gateway: Gateway, charon: PlayedCharon) -> None:
        for number in range(1, min(SINGLES, self._count) + 1):
            charon.down(number)
            await self._view.until(lambda: self._view.links < self._count)
            await gateway.quiet()  # the kernel tells of a deletion before it is done with it
            up = asyncio.create_task(self._view.until(lambda: self._view.up == self._count))
            await asyncio.sleep(0)  # its thread waits by now
            start = time.perf_counter()
            charon.up(number)
            self.note("one", await up - start)
            await self._view.complete(self._count)

    async def _lose(self, charon: PlayedCharon) -> float:
        charon.down(*charon.numbers)
        return await self._view.until(lambda: self._view.links == 0)

    async def _ups(self, charon: PlayedCharon) -> float:
        charon.up(*charon.numbers)
        return await self._view.complete(self._count)

    def lines(self) -> list[str]:
        """Return the table."""
        head = ["| what | vtid | instead | | vtid takes |", "|---|---|---|---|---|"]
        return head + [self._line(row) for row in ROWS]

    def processor_time(self) -> list[str]:
        """Return the table of processor time."""
        head = ["| processor time | vtid | instead | | vtid takes | harness |", "|---" * 6 + "|"]
        return head + [self._processor_line(row) for row in PROCESSOR]

    def _processor_line(self, row: Row) -> str:
        of_processor = row._replace(ours=f"{row.ours} CPU", theirs=f"{row.theirs} CPU")
        harness = median(self.figures[f"{row.ours} harness"])
        return f"{self._line(of_processor)} {_shown(harness, row.unit)} |"

    def _line(self, row: Row) -> str:
        ours = median(self.figures[row.ours])
        theirs = median(self.figures[row.theirs]) if row.theirs in self.figures else 0.0
        ratio = f"{ours / theirs:.2f} times" if theirs else "-"
        return (
            f"| {row.what} | {_shown(ours, row.unit)} | {row.instead} | "
            f"{_shown(theirs, row.unit) if theirs else '-'} | {ratio} |"
        )


_CHECK = (sys.executable, "-m", "vtid", "--check", "--config")
_LAG = "vtid_loop_lag_seconds_bucket"


def longest(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the upper bound of the bucket with the longest of the turns between two scrapes."""
    turns = {bucket: count - before[bucket] for bucket, count in after.items()}
    all_ = max(turns.values())
    return min(float(bucket.split('"')[1]) for bucket, count in turns.items() if count == all_)


def _shown(value: float, unit: str) -> str:
    if unit == COUNT:
        return f"{value:.0f}"
    digits = 2 if unit == "s" else 1
    return f"{value * FACTOR.get(unit, 1):.{digits}f} {unit}"


async def measure(count: int, rounds: int, *, stand_in: bool) -> Bench:
    """Run the rounds."""
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), count, stand_in=stand_in)
        for _ in range(rounds):
            await bench.round()
    return bench


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.table", description=__doc__)
    parser.add_argument("--tunnels", type=int, default=1000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="R")
    parser.add_argument("--stand-in", action="store_true", help="VXLANs in place of VTIs")
    options = parser.parse_args()
    count = max(options.tunnels, FEW + 1)
    underlay()
    bench = asyncio.run(measure(count, options.rounds, stand_in=options.stand_in))
    kinds = "VXLANs in place of VTIs, " if options.stand_in else ""
    print(f"{count} tunnels, {kinds}{options.rounds} rounds, Linux {platform.release()}\n")
    print("\n".join((*bench.lines(), "", *bench.processor_time())))


if __name__ == "__main__":
    main()
