"""What a page costs with 10,000 tunnels: the longest turn of the event loop, and all together.

    python -m tests.bench.bench_page [TUNNELS]

Both are processor time, so that what else runs on the machine does not count. The rest of a page's
time goes by in a worker thread.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp.test_utils import make_mocked_request

from tests.bench.bench_core import configuration, world_of
from tests.core.world import World
from vtid.core.summary import summary
from vtid.daemon.operator import Operator
from vtid.http.front import Front
from vtid.model.bgp import BgpState
from vtid.model.input import BirdState

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.model.listing import Listing, Wanted
    from vtid.model.status import Summary

PAGES = 5


@dataclass(frozen=True)
class Shown:
    """The daemon, as far as the page asks it."""

    world: World

    async def whole(self) -> None:
        """Nobody else works on it."""

    async def listing(self, wanted: Wanted) -> Listing:
        return await Operator.listing(self, wanted)  # type: ignore[arg-type]

    @property
    def state(self) -> object:
        return self.world.state

    def summary(self) -> Summary:
        return summary(
            self.world.state,
            version="1",
            started_at=1.0,
            config_loaded_at=1.0,
            waiting_for=(),
            clock_offset=0.0,
        )


class Turns(selectors.DefaultSelector):
    """A selector that tells the processor time of each turn of its loop."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        super().__init__()
        self._observe = observe
        self._began = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._observe(time.thread_time() - self._began)
        found = super().select(timeout)
        self._began = time.thread_time()
        return found


def cost(world: World, query: str) -> tuple[float, float]:
    """Longest turn while pages are made, and the time of one, both in seconds."""
    turns: list[float] = []

    async def pages() -> float:
        front = Front(Shown(world))  # type: ignore[arg-type]
        await front.answer(make_mocked_request("GET", "/"))  # it imports and compiles
        turns.clear()
        began = time.process_time()
        for _ in range(PAGES):
            await front.answer(make_mocked_request("GET", f"/?{query}"))
        return (time.process_time() - began) / PAGES

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Turns(turns.append))) as one:
        took = one.run(pages())
    return max(turns), took


def main() -> None:
    """Print a line for each kind of page."""
    tunnels = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    up = world_of(tunnels)
    sessions = (BgpState(f"b{number}", "up", "Established", "") for number in range(tunnels))
    up.tell(BirdState("main", connected=True, protocols=tuple(sessions)))
    awaited = World(config=configuration(tunnels), checked=False).start()
    gc.freeze()
    for name, world in (("up", up), ("not there yet", awaited)):
        for query in ("", "page=37", "text=c77", "state=down"):
            turn, page = cost(world, query)
            print(f"{tunnels} tunnels {name}, /?{query}: {turn * 1e3:.1f} ms, {page * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
