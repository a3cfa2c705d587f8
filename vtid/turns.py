"""Turns: how long work may hold the event loop before everything else gets its turn.

Rules of this file:

* Whoever works in steps asks after each of them. Only one that took long enough costs a turn.
* What is about all tunnels and goes to a worker thread is freed there (`used_up`): freeing it takes
  as long as a turn may. While it is made, the garbage collector is kept away (`no_collections`).
"""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

LONGEST = 0.005
"""Seconds after which work lets others have their turn."""


class Turn:
    """One turn of the event loop, and those that follow it."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def pause(self) -> bool:
        """Let everything else have its turn if this one took long enough; return whether it did."""
        if time.monotonic() - self._began <= LONGEST:
            return False
        await asyncio.sleep(0)
        self._began = time.monotonic()
        return True


async def in_turns(items: Iterable[T], whole: Callable[[], Awaitable[None]]) -> AsyncIterator[T]:
    """Yield what is read from a state, in turns; `whole` waits until it is half of nothing."""
    await whole()
    turn = Turn()
    for item in items:
        yield item
        if await turn.pause():
            await whole()


async def used_up(work: Callable[[T], R], box: list[T]) -> R:
    """Have a worker thread take what is in a box, work on it, and free it.

    Whoever put it there must have it nowhere else.
    """
    return await asyncio.to_thread(lambda: work(box.pop()))


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep the garbage collector away while something of all tunnels is made.

    With 10,000 tunnels, a full collection stops all threads for 0.2 s, and as many new objects
    would cause several. They have no cycles: without references they are gone.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
