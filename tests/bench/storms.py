"""Storms on the processor itself: whether the loop is held, and whether a single event waits.

    make storms

With PROFILE=1, each storm leaves profiles of the loop and of the threads in lab-out/profile, which
are named after it (`profiled`); all takes about three times as long then.

As root, in a network namespace of its own. charon is played (`played_charon`), and interfaces are
stand-ins (`stand_in`), because few processors have a kernel with VTI; all else is real.

Rules of this file:

* What vtid says of itself (`vtid_loop_lag_seconds`) is read before and after, over every turn.
* Soon after a storm begins, one more tunnel comes up, and is timed until its interface is up: not
  while vtid or charon is away, when nobody hears of it, nor in a resync, whose list lacks its SA.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import platform
import socket
import struct
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bench import profiled
from tests.bench.gateway import PATIENCE, Gateway, View, until
from tests.bench.played_charon import LOCAL, PlayedCharon
from vtid.kernel import wire as nl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_ARPHRD_ETHER = 1
"""linux/if_arp.h"""
_LAG = "vtid_loop_lag_seconds_bucket"
_SIOCGIFFLAGS = 0x8913
"""linux/sockios.h; an answer has flags after a name of 16 bytes (struct ifreq)."""
_INTO = 0.05
"""Seconds from the begin of a storm to the single tunnel."""
_LOOK = 0.002
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
    single: float
    """Seconds until one more tunnel was up, in the middle of it; 0 where none came."""


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
        self._gateway = Gateway(place, count + 1, "tests.bench.stand_in")
        self._socket = place / "vici"
        self._charon: PlayedCharon
        self.storms: list[Storm] = []

    async def run(self) -> None:
        """Have all storms, one after the other."""
        async with PlayedCharon.at(self._socket, self._count, 1) as charon:
            self._charon = charon
            await self._measured(
                "cold start, all SAs there", self._cold_start, fresh=True, alone=True
            )
            await self._measured("10,000 rekeys", lambda: self._rekeys(charon, 10_000))
            await self._measured("reload, nothing changed", self._told("reload"))
            await self._measured("reload, each tunnel changed", self._reload_changed)
            await self._measured("scrape and status", self._scrape)
            await self._measured("loss of all", lambda: self._lose(charon))
            await self._measured("ups of all at once", lambda: self._ups(charon))
            await self._measured("charon away and back", lambda: self._restart(charon), alone=True)
            await self._measured("resync", self._told("resync"), alone=True)
            await self._lose(charon)
            await self._gateway.stop()

    async def _measured(
        self,
        what: str,
        storm: Callable[[], Awaitable[None]],
        *,
        fresh: bool = False,
        alone: bool = False,
    ) -> None:
        before = {} if fresh else await self._gateway.metrics()
        user, kernel = (0.0, 0.0) if fresh else self._gateway.user_and_kernel()
        start = _now()
        single, _ = await asyncio.gather(self._single(0 if alone else self._count + 1), storm())
        took = _now() - start
        await self._gateway.quiet()
        used = self._gateway.user_and_kernel()
        user, kernel = used[0] - user, used[1] - kernel
        figures = longest(before, await self._gateway.metrics())
        memory = self._gateway.memory()
        self.storms.append(Storm(what, took, *figures, user, kernel, memory, single))
        print(line(self.storms[-1]), flush=True)
        if os.environ.get("PROFILE"):
            await self._save_profile(
                f"{len(self.storms)}-{what.replace(',', '').replace(' ', '-')}"
            )

    async def _save_profile(self, name: str) -> None:
        os.kill(self._gateway.pid, profiled.SIGNAL)
        await until(profiled.LOOP.exists)
        for path in profiled.LOOP, profiled.THREADS:
            with suppress(FileNotFoundError):  # no thread had work
                path.replace(path.with_name(f"{name}.{path.name}"))

    async def _single(self, number: int) -> float:
        """Have one tunnel come and go; return the seconds until its interface was up."""
        if not number:
            return 0.0
        await asyncio.sleep(_INTO)
        came = time.perf_counter()
        self._charon.up(number)
        # in a thread: whoever counts ten thousand links holds this loop for some time
        took = await asyncio.to_thread(_wait_for, f"vti{number}", since=came)
        self._charon.down(number)
        return took

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


def _wait_for(name: str, since: float) -> float:
    """Wait until an interface is up; return the seconds from a moment on."""
    ask = struct.pack("16sH14x", name.encode(), 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        while (took := time.perf_counter() - since) < PATIENCE:
            with suppress(OSError):  # it is not there yet
                (flags,) = struct.unpack("16xH14x", fcntl.ioctl(asked, _SIOCGIFFLAGS, ask))
                if flags & nl.IFF_UP:
                    return took
            time.sleep(_LOOK)
    raise TimeoutError(f"{name} did not come up")


def line(storm: Storm) -> str:
    """Return the storm's line of the table."""
    bound = f"{storm.longest * 1e3:g} ms"
    single = f"{storm.single:.2f} s" if storm.single else "-"
    return (
        f"| {storm.what} | {storm.seconds:.2f} s | {storm.user:.2f} s | {storm.kernel:.2f} s | "
        f"{storm.turns:,} | {storm.held} | {bound} | {storm.memory:.0f} MB | {single} |"
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
    heads = "takes", "CPU", "kernel", "turns", "over 20 ms", "longest, at most", "memory"
    print("| storm |", " | ".join((*heads, "a single up")), "|")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    asyncio.run(measure(options.tunnels))


if __name__ == "__main__":
    main()
