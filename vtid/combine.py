"""Combine: calls that wait for the same thread become pieces of work. An edge.

    call ─▶ its lane ─▶ piece ─▶ work, one at a time ─▶ finish, while the next works ─▶ results

Rules of this file:

* A piece is some calls of one lane, each of them whole. How many at most follows from the time that
  the last piece took (`LONGEST`): so long may a call of another lane have to wait.
* LOOKS come first, they take no time. NEW and ORDERED take turns. What is new mostly follows a
  look, so ORDERED pauses after one.
* In ORDERED, and LOOKS, calls are worked on in the order in which they came. A piece of NEW takes
  from both ends: what comes late in a storm does not wait for all of it, and nothing waits forever.
* Each call is worked on exactly once. Trouble is raised in every call of the piece.
* At most one piece is being finished while the next one is worked on, looks apart: a thread that is
  faster than the event loop does not pile up work for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

LONGEST = 0.4
"""Seconds that a piece should take at most; the kernel may hold its lock all the time."""

MOST, LEAST = 512, 64
"""Items of a piece: at the beginning, and when each takes long."""

PAUSE = 0.05
"""Seconds in which the event loop makes something new of what was looked for."""

I = TypeVar("I")  # noqa: E741 - an item
R = TypeVar("R")
A = TypeVar("A")


class Lane(IntEnum):
    """What a call waits among."""

    LOOKS = 1
    NEW = 2
    ORDERED = 3


class _Call(NamedTuple, Generic[I, R]):
    items: Sequence[I]
    results: asyncio.Future[Sequence[R]]


class Combined(Generic[I, A, R]):
    """`work` takes the items of a piece; `finish` makes of its answer a result for each of them."""

    def __init__(
        self,
        work: Callable[[Sequence[I]], Awaitable[A]],
        finish: Callable[[A], Awaitable[Sequence[R]]],
    ) -> None:
        self._work = work
        self._finish = finish
        self._lanes: dict[Lane, deque[_Call[I, R]]] = {lane: deque() for lane in Lane}
        self._limits = dict.fromkeys(Lane, MOST)
        self._turn = Lane.NEW
        self._working = False
        self._serving: asyncio.Task[None] | None = None
        self._finishing: asyncio.Future[None] | None = None
        self.ordered = 0
        """Calls that came to ORDERED so far."""
        self.ordered_open = 0
        """Those of them that are not answered yet."""

    def waiting(self, lane: Lane) -> Iterator[I]:
        """Return the items in a lane that are not worked on yet."""
        return (item for call in self._lanes[lane] for item in call.items)

    async def run(self, items: Sequence[I], lane: Lane = Lane.ORDERED) -> Sequence[R]:
        """Return a result for each item; raises what `work` and `finish` raise."""
        ordered = lane is Lane.ORDERED
        self.ordered += ordered
        self.ordered_open += ordered
        idle = not self._working and (self._finishing is None or self._finishing.done())
        try:
            return await (self._do(items, lane) if idle else self._wait(items, lane))
        finally:
            self.ordered_open -= ordered

    async def _do(self, items: Sequence[I], lane: Lane) -> Sequence[R]:
        """Do what waits for nothing: it takes no task beside the caller's."""
        self._working = True
        try:
            answer = await self._timed(lane, items)
        finally:
            self._go_on()
        finished = self._finishing = asyncio.get_running_loop().create_future()
        try:
            return await self._finish(answer)
        finally:
            finished.set_result(None)

    async def _wait(self, items: Sequence[I], lane: Lane) -> Sequence[R]:
        mine: _Call[I, R] = _Call(items, asyncio.get_running_loop().create_future())
        self._lanes[lane].append(mine)
        if not self._working:
            self._go_on()
        return await mine.results

    def _go_on(self) -> None:
        """Have what waits be worked on, if anything does."""
        self._working = self._next() is not None
        if self._working:
            self._serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        """Work on piece after piece until nothing waits."""
        while lane := self._next():
            piece = self._take(lane)
            items = [item for call in piece for item in call.items]
            try:
                answer = await self._timed(lane, items)
            except Exception as error:  # noqa: BLE001 - each of the calls raises it
                _raise(piece, error)
                continue
            if lane is Lane.LOOKS:
                await self._tell(piece, answer)
                await self._leave_time()
                continue
            if self._finishing:
                await self._finishing
            self._finishing = asyncio.create_task(self._tell(piece, answer))
        self._working = False

    async def _leave_time(self) -> None:
        """Let something new follow a look, ahead of what is ordered."""
        if self._next() is Lane.ORDERED:
            self._turn = Lane.NEW
            await asyncio.sleep(PAUSE)

    def _next(self) -> Lane | None:
        """Return the lane that is worked on next, None where nothing waits."""
        other = Lane.ORDERED if self._turn is Lane.NEW else Lane.NEW
        return next((lane for lane in (Lane.LOOKS, self._turn, other) if self._lanes[lane]), None)

    def _take(self, lane: Lane) -> Sequence[_Call[I, R]]:
        """Return the next piece of a lane."""
        if lane is not Lane.LOOKS:
            self._turn = Lane.ORDERED if lane is Lane.NEW else Lane.NEW
        calls, count = self._lanes[lane], 0
        piece: list[_Call[I, R]] = []
        while calls:
            newest = lane is Lane.NEW and len(piece) % 2 == 0
            count += len(calls[-1 if newest else 0].items)
            if piece and count > self._limits[lane]:
                break
            piece.append(calls.pop() if newest else calls.popleft())
        return piece

    async def _timed(self, lane: Lane, items: Sequence[I]) -> A:
        """Work on a piece, and see how long the next one of its lane may be."""
        began = time.monotonic()
        answer = await self._work(items)
        took = time.monotonic() - began
        if len(items) >= LEAST or took > LONGEST:
            fits = int(len(items) * LONGEST / took) if took else MOST
            self._limits[lane] = min(MOST, max(LEAST, fits))
        return answer

    async def _tell(self, piece: Sequence[_Call[I, R]], answer: A) -> None:
        try:
            results = await self._finish(answer)
        except Exception as error:  # noqa: BLE001 - as above
            _raise(piece, error)
            return
        at = 0
        for call in piece:
            if not call.results.done():
                call.results.set_result(results[at : at + len(call.items)])
            at += len(call.items)


def _raise(piece: Sequence[_Call[I, R]], error: Exception) -> None:
    for call in piece:
        if not call.results.done():  # nobody waits for one that was cancelled
            call.results.set_exception(error)
