"""Storms on the processor itself: whether the loop is held, and whether a single event waits.

    make storms

As root, in a network namespace of its own. charon is played (`played_charon`), and interfaces are
stand-ins (`stand_in`), because few processors have a kernel with VTI; all else is real.

Rules of this file:

* What vtid says of itself (`vtid_loop_lag_seconds`) is read before and after, over every turn.
* Each storm is measured with one more tunnel that goes in the middle of it.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bench.gateway import Gateway, View, until
from tests.bench.played_charon import LOCAL, PlayedCharon

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_ARPHRD_ETHER = 1
"""linux/if_arp.h"""
_LAG = "vtid_loop_lag_seconds_bucket"
_BOUND = 0.02
"""Seconds that a turn of the loop may take."""


class Storm(NamedTuple):
    """What one storm came to."""

    what: str
    seconds: float
    turns: int
    held: int
    """Turns that were longer than `_BOUND`."""
    longest: float
    """Upper bound of the bucket with the longest turn."""
    user: float
    kernel: float
    """Seconds of processor time, of all threads."""
    memory: float
    """MB."""


def longest(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[int, int, float]:
    """Return turns, those over the bound, and the bucket of the longest one."""
    buckets = {
        float(name.partition('le="')[2].partition('"')[0]): count - before.get(name, 0.0)
        for name, count in after.items()
        if name.startswith(_LAG)
    }
    turns = int(buckets[float("inf")])
    short = int(buckets[_BOUND])
    return turns, turns - short, min(le for le, count in buckets.items() if count >= turns)


class Weather:
    """One vtid and its charon, in storms."""

    def __init__(self, place: Path, count: int) -> None:
        self._count = count
        self._view = View(_ARPHRD_ETHER)
        self._gateway = Gateway(place, count, "tests.bench.stand_in")
        self._socket = place / "vici"
        self.storms: list[Storm] = []

    async def run(self) -> None:
        """Have all storms, one after the other."""
        async with PlayedCharon.at(self._socket, self._count) as charon:
            await self._measured("cold start, all SAs there", self._cold_start, fresh=True)
            await self._measured("10,000 rekeys", lambda: self._rekeys(charon, 10_000))
            await self._measured("reload, nothing changed", self._told("reload"))
            await self._measured("reload, each tunnel changed", self._reload_changed)
            await self._measured("scrape and status", self._scrape)
            await self._measured("loss of all", lambda: self._lose(charon))
            await self._measured("ups of all at once", lambda: self._ups(charon))
            await self._measured("charon away and back", lambda: self._restart(charon))
            await self._measured("resync", self._told("resync"))
            await self._lose(charon)
            await self._gateway.stop()

    async def _measured(
        self, what: str, storm: Callable[[], Awaitable[None]], *, fresh: bool = False
    ) -> None:
        before = {} if fresh else await self._gateway.metrics()
        user, kernel = (0.0, 0.0) if fresh else self._gateway.user_and_kernel()
        start = _now()
        await storm()
        took = _now() - start
        await self._gateway.quiet()
        used = self._gateway.user_and_kernel()
        user, kernel = used[0] - user, used[1] - kernel
        figures = longest(before, await self._gateway.metrics())
        self.storms.append(Storm(what, took, *figures, user, kernel, self._gateway.memory()))
        print(line(self.storms[-1]), flush=True)

    async def _cold_start(self) -> None:
        await self._gateway.start()
        await self._view.complete(self._count)

    async def _rekeys(self, charon: PlayedCharon, times: int) -> None:
        for number in range(1, 101):
            charon.rekey(number, times // 100)
            await asyncio.sleep(0.05)
        await self._gateway.quiet()

    def _told(self, *words: str) -> Callable[[], Awaitable[None]]:
        async def tell() -> None:
            await asyncio.to_thread(self._gateway.tell, *words)

        return tell

    async def _reload_changed(self) -> None:
        text = self._gateway.config.read_text()
        self._gateway.config.write_text(
            text.replace("[defaults]\n", "[defaults]\nmss_clamp = false\n")
        )
        await self._told("reload")()
        self._gateway.config.write_text(text)
        await self._told("reload")()

    async def _scrape(self) -> None:
        await asyncio.gather(
            self._gateway.metrics(), self._told("status")(), self._told("tunnels", "-o", "json")()
        )

    async def _lose(self, charon: PlayedCharon) -> None:
        charon.down(*charon.numbers)
        await until(lambda: self._view.links() == 0)

    async def _ups(self, charon: PlayedCharon) -> None:
        charon.up(*charon.numbers)
        await self._view.complete(self._count)

    async def _restart(self, charon: PlayedCharon) -> None:
        times = charon.connections
        charon.hang_up()
        await charon.connected(times + 1)
        await self._gateway.quiet()


def line(storm: Storm) -> str:
    """Return the storm's line of the table."""
    bound = f"{storm.longest * 1e3:g} ms"
    return (
        f"| {storm.what} | {storm.seconds:.2f} s | {storm.user:.2f} s | {storm.kernel:.2f} s | "
        f"{storm.turns:,} | {storm.held} | {bound} | {storm.memory:.0f} MB |"
    )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _underlay() -> None:
    for words in (
        "link set lo up",
        "link add underlay0 type ifb",
        f"address add {LOCAL}/32 dev underlay0 nodad",
        "link set underlay0 up",
    ):
        subprocess.run(["ip", *words.split()], check=True)


async def measure(count: int) -> None:
    """Have the storms over so many tunnels."""
    with tempfile.TemporaryDirectory() as place:
        await Weather(Path(place), count).run()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.storms", description=__doc__)
    parser.add_argument("--tunnels", type=int, default=1000, metavar="N")
    options = parser.parse_args()
    _underlay()
    print(f"{options.tunnels} tunnels, Linux {platform.release()}\n")
    print("| storm | takes | CPU | kernel | turns | over 20 ms | longest, at most | memory |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    asyncio.run(measure(options.tunnels))


if __name__ == "__main__":
    main()
