"""The table of `make bench`: vtid beside what a user would have instead, in one run.

    python -m tests.bench.table [--tunnels N] [--rounds R]

As root, on a kernel with VTI, in a network namespace of its own: `make bench` finds one. charon is
played (`played_charon`), all else is real. Each figure is the median of its rounds.

Rules of this file:

* Seconds are the machine's; what can be compared is what one run has.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench import instead
from tests.bench.gateway import Gateway, View, installed, time_until_up, until
from tests.bench.played_charon import LOCAL, PlayedCharon, remote
from tests.bench.storms import longest

FEW = 10
"""Tunnels of the small gateway."""
REKEYS = 200
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


class Bench:
    """Collects figures by name."""

    def __init__(self, place: Path, count: int) -> None:
        self._place, self._count = place, count
        self._view = View()
        self.figures: dict[str, list[float]] = defaultdict(list)

    def note(self, name: str, value: float) -> None:
        """Add a figure."""
        self.figures[name].append(value)

    async def round(self) -> None:
        """Measure everything once."""
        self.note("python", instead.timed(sys.executable, "-c", "pass", env=installed()))
        self._without_vtid()
        await self._small()
        await self._large()

    def _without_vtid(self) -> None:
        self.note("batch", instead.batch(self._count))
        some = min(SAMPLE, self._count)
        self.note("single", instead.remove_one_by_one(some) / some * self._count)
        if some < self._count:
            self.note("group", instead.remove_group() / (self._count - some) * self._count)
        instead.remove_clamps()
        instead.load_table()
        for number in range(1, SINGLES + 1):
            self.note("updown", instead.updown(number))
        instead.remove_clamps()

    async def _small(self) -> None:
        """Measure what is compared with a gateway that has few tunnels."""
        async with PlayedCharon.at(self._place / "vici", FEW) as charon:
            gateway = Gateway(self._place, FEW)
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
            gateway = Gateway(self._place, self._count)
            self.note("check", instead.timed(*_CHECK, str(gateway.config), env=installed()))
            self.note("cold", await self._cold_start(gateway))
            self.note("rekey", await self._rekeys(gateway, charon))
            self.note("memory", gateway.memory())
            await gateway.stop()
            self.note("restart", await gateway.start())
            await gateway.quiet()
            self.note("writes", (await gateway.metrics())["vtid_netlink_writes_total"])
            await self._single_ups(charon)
            self.note("loss", await self._lose(charon))
            await gateway.quiet()
            self.note("ups", await self._ups(gateway, charon))
            self.note("reload", gateway.tell("reload"))
            await self._lose(charon)
            await gateway.stop()
            charon.listed = False
            self.note("empty", await gateway.start())
            await gateway.stop()

    async def _cold_start(self, gateway: Gateway) -> float:
        start = _now()
        await gateway.start()
        await self._view.complete(self._count)
        return _now() - start

    async def _rekeys(self, gateway: Gateway, charon: PlayedCharon) -> float:
        before = await gateway.quiet()
        charon.rekey(FEW, REKEYS)
        return (await gateway.quiet() - before) / REKEYS

    async def _single_ups(self, charon: PlayedCharon) -> None:
        for number in range(1, min(SINGLES, self._count) + 1):
            charon.down(number)
            await until(lambda: self._view.links() < self._count)
            self.note("one", await time_until_up(f"vti{number}", lambda n=number: charon.up(n)))  # type: ignore[misc]
            await self._view.complete(self._count)

    async def _lose(self, charon: PlayedCharon) -> float:
        start = _now()
        charon.down(*charon.numbers)
        await until(lambda: self._view.links() == 0)
        return _now() - start

    async def _ups(self, gateway: Gateway, charon: PlayedCharon) -> float:
        before = await gateway.metrics()
        start = _now()
        charon.up(*charon.numbers)
        await self._view.complete(self._count)
        took = _now() - start
        after = await gateway.metrics()
        _, _, lag = longest(before, after)
        self.note("lag", lag)
        return took

    def lines(self) -> list[str]:
        """Return the table."""
        head = ["| what | vtid | instead | | vtid takes |", "|---|---|---|---|---|"]
        return head + [self._line(row) for row in ROWS]

    def _line(self, row: Row) -> str:
        ours = median(self.figures[row.ours])
        theirs = median(self.figures[row.theirs]) if row.theirs in self.figures else 0.0
        ratio = f"{ours / theirs:.2f} times" if theirs else "-"
        return (
            f"| {row.what} | {_shown(ours, row.unit)} | {row.instead} | "
            f"{_shown(theirs, row.unit) if theirs else '-'} | {ratio} |"
        )


_CHECK = (sys.executable, "-m", "vtid", "--check", "--config")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _shown(value: float, unit: str) -> str:
    if unit == COUNT:
        return f"{value:.0f}"
    digits = 2 if unit == "s" else 1
    return f"{value * FACTOR.get(unit, 1):.{digits}f} {unit}"


def _underlay() -> None:
    """Make the outer network, an interface that leads to all peers; load the module of vti6."""
    for line in (
        "link add underlay0 type dummy",
        f"address add {LOCAL}/32 dev underlay0 nodad",
        "link set underlay0 up",
        f"link add vti1 type vti6 local {LOCAL} remote {remote(1)} key 1",
        "link del vti1",
    ):
        subprocess.run(["ip", *line.split()], check=True)


async def measure(count: int, rounds: int) -> list[str]:
    """Run the rounds; return the lines of the table."""
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), count)
        for _ in range(rounds):
            await bench.round()
    return bench.lines()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.table", description=__doc__)
    parser.add_argument("--tunnels", type=int, default=1000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="R")
    options = parser.parse_args()
    _underlay()
    lines = asyncio.run(measure(max(options.tunnels, FEW + 1), options.rounds))
    print(f"{options.tunnels} tunnels, {options.rounds} rounds, Linux {platform.release()}\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
