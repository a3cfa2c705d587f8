"""Storms on the processor itself: whether the loop is held, and whether a single event waits.

    make storms

With PROFILE=1, each storm leaves profiles of the loop and of the threads in lab-out/profile, which
are named after it (`profiled`); all takes about three times as long then.

As root, in a network namespace of its own. charon is played (`played_charon`), and interfaces are
stand-ins (`stand_in`), because few processors have a kernel with VTI; all else is real.

What the kernel takes with ten thousand is IPv6's, of VXLANs as of VTIs: each interface that comes
up, or is changed while it is up, has all routes walked (rt6_sync_up).

Rules of this file:

* It fails, at the end, where a turn of the loop took more than 20 ms, or a single tunnel a second.
* Every turn of the loop counts, and vtid is asked for none of it: a scrape would hold the loop.
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
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.bench import profiled
from tests.bench.gateway import Gateway
from tests.bench.played_charon import PlayedCharon, rekeys, underlay
from tests.bench.turns import Turns, TurnsFile
from tests.bench.view import PATIENCE, View, used
from vtid.kernel import wire as nl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

_SIOCGIFFLAGS = 0x8913
"""linux/sockios.h; an answer has flags after a name of 16 bytes (struct ifreq)."""
_INTO = 0.05
"""Seconds from the begin of a storm to the single tunnel."""
_LOOK = 0.002
_SINGLE = 1.0
"""Seconds in which a single tunnel should be up, whatever else happens."""


class Storm(NamedTuple):
    """What one storm came to."""

    what: str
    seconds: float
    turns: Turns
    user: float
    kernel: float
    """Seconds of processor time, of all threads."""
    memory: float
    """MB."""
    single: float
    """Seconds until one more tunnel was up, in the middle of it; 0 where none came."""
    harness: float
    """Seconds of processor time that all but vtid took: charon, `vtictl`, and looking."""


class Weather:
    """One vtid and its charon, in storms."""

    def __init__(self, place: Path, count: int, view: View, turns: TurnsFile) -> None:
        self._count, self._view, self._turns = count, view, turns
        self._gateway = Gateway(place, count + 1, "tests.bench.stand_in")
        self._socket = place / "vici"
        self._charon: PlayedCharon
        self.storms: list[Storm] = []

    async def run(self) -> None:
        """Have all storms, one after the other."""
        async with PlayedCharon.at(self._socket, self._count, 1) as charon:
            self._charon = charon
            await self._measured("cold start, all SAs there", self._cold_start, alone=True)
            await self._measured("10,000 rekeys", self._rekeys())
            await self._measured("reload, nothing changed", self._told("reload"))
            await self._measured("reload, each tunnel changed", self._reload_changed)
            await self._measured("scrape and status", self._scrape)
            await self._measured("loss of all", self._lose)
            await self._measured("ups of all at once", self._ups)
            await self._measured("charon away and back", self._restart, alone=True)
            await self._measured("resync", self._resync, alone=True)
            await self._gateway.stop()

    async def _measured(
        self, what: str, storm: Callable[[], Awaitable[None]], *, alone: bool = False
    ) -> None:
        user, kernel = self._gateway.user_and_kernel()
        start, before = time.perf_counter(), used()
        single, _ = await asyncio.gather(self._single(0 if alone else self._count + 1), storm())
        took, harness = time.perf_counter() - start, used() - before
        await self._gateway.quiet()
        user_now, kernel_now = self._gateway.user_and_kernel()
        cpu, memory = (user_now - user, kernel_now - kernel), self._gateway.memory()
        self.storms.append(Storm(what, took, self._turns.take(), *cpu, memory, single, harness))
        print(line(self.storms[-1]), flush=True)
        if os.environ.get("PROFILE"):
            name = what.replace(",", "").replace(" ", "-")
            await self._save_profile(f"{len(self.storms)}-{name}")

    async def _save_profile(self, name: str) -> None:
        os.kill(self._gateway.pid, profiled.SIGNAL)
        await self._gateway.quiet()
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

    def _rekeys(self) -> Callable[[], Awaitable[None]]:
        announced = [rekeys(number, 100) for number in range(1, 101)]

        async def announce() -> None:
            for events in announced:
                self._charon.send(events)
                await asyncio.sleep(0.05)
            await self._gateway.quiet()

        return announce

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
            self._gateway.scrape(), self._told("status")(), self._told("tunnels", "-o", "json")()
        )

    async def _lose(self) -> None:
        self._charon.down(*self._charon.numbers)
        await self._view.until(lambda: self._view.links == 0)

    async def _ups(self) -> None:
        self._charon.up(*self._charon.numbers)
        await self._view.complete(self._count)

    async def _resync(self) -> None:
        try:
            await self._told("resync")()
        except subprocess.CalledProcessError:  # `vtictl` waited for long enough
            await self._gateway.quiet()

    async def _restart(self) -> None:
        times = self._charon.connections
        self._charon.hang_up()
        await self._charon.connected(times + 1)
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
            time.sleep(max(_LOOK, took / 50))
    raise TimeoutError(f"{name} did not come up")


def line(storm: Storm) -> str:
    """Return the storm's line of the table."""
    single = f"{storm.single:.2f} s" if storm.single else "-"
    turns, held, longest = storm.turns
    return (
        f"| {storm.what} | {storm.seconds:.2f} s | {storm.user:.2f} s | {storm.kernel:.2f} s | "
        f"{turns:,} | {held} | {longest * 1e3:.0f} ms | {storm.memory:.0f} MB | {single} | "
        f"{storm.harness:.2f} s |"
    )


def unfair(storms: Iterable[Storm]) -> Iterator[str]:
    """Return a line for each storm in which the loop was held, or a single tunnel waited."""
    for storm in storms:
        if storm.turns.held:
            yield f"{storm.what}: the loop was held for {storm.turns.longest * 1e3:.0f} ms"
        if storm.single > _SINGLE:
            yield f"{storm.what}: one more tunnel took {storm.single:.2f} s"


async def measure(count: int) -> list[Storm]:
    """Have the storms over so many tunnels, and return them."""
    with tempfile.TemporaryDirectory() as name, View() as view:
        place = Path(name)
        os.environ["TURNS"] = str(place / "turns")
        weather = Weather(place, count, view, TurnsFile(place / "turns", new=True))
        await weather.run()
        return weather.storms


def main() -> str | None:
    """Print the table; return what took too long, None if nothing did."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.storms", description=__doc__)
    parser.add_argument("--tunnels", type=int, default=1000, metavar="N")
    options = parser.parse_args()
    underlay()
    print(f"{options.tunnels} tunnels, Linux {platform.release()}\n")
    heads = "takes", "CPU", "kernel", "turns", "over 20 ms", "longest", "memory", "a single up"
    print("| storm |", " | ".join((*heads, "harness")), "|")
    print("|---" * 10 + "|", flush=True)
    storms = asyncio.run(measure(options.tunnels))
    return "\n".join(unfair(storms)) or None


if __name__ == "__main__":
    sys.exit(main())
