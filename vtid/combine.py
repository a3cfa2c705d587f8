"""Combine: calls that wait for the same thread become pieces of work. An edge.

    call ─▶ its lane ─▶ piece ─▶ work, one at a time ─▶ finish, while the next works ─▶ results

Rules of this file:

* A piece is some calls of one lane, each of them whole, and one at least. How many follows from the
  time that pieces of the lane took (`LONGEST`): that is aimed at, and no bound.
* LOOKS come first; after a piece of them goes one of another lane, if any waits. NEW and ORDERED
  take turns. What is new mostly follows a look, so ORDERED pauses after one when it is NEW's turn.
* In ORDERED, and LOOKS, calls are worked on in the order in which they came. NEW gives from both
  ends in turns: what comes late in a storm does not wait for all of it, and nothing waits forever.
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
    from collections.abc import Awaitable, Callable, Sequence

LONGEST = 0.4
"""Seconds that a piece should take, as others wait for its end."""

MOST, LEAST = 512, 64
"""Items of a piece: at most, and when each takes long; a call with more is a piece of its own."""

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
        self._looked = False
        self._newest = True
        """Whether NEW gives its latest call next."""
        self._working = False
        self._serving: asyncio.Task[None] | None = None
        self._finishing: asyncio.Future[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits, is worked on or is being finished."""
        return not self._working and (self._finishing is None or self._finishing.done())

    async def run(self, items: Sequence[I], lane: Lane = Lane.ORDERED) -> Sequence[R]:
        """Return a result for each item; raises what `work` and `finish` raise."""
        return await (self._do(items, lane) if self.idle else self._wait(items, lane))

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
        if self._turn is Lane.NEW and self._next() is Lane.ORDERED:
            await asyncio.sleep(PAUSE)

    def _next(self) -> Lane | None:
        """Return the lane that is worked on next, None where nothing waits."""
        other = Lane.ORDERED if self._turn is Lane.NEW else Lane.NEW
        turns = (self._turn, other)
        lanes = (*turns, Lane.LOOKS) if self._looked else (Lane.LOOKS, *turns)
        return next((lane for lane in lanes if self._lanes[lane]), None)

    def _take(self, lane: Lane) -> Sequence[_Call[I, R]]:
        """Return the next piece of a lane."""
        self._looked = lane is Lane.LOOKS
        if not self._looked:
            self._turn = Lane.ORDERED if lane is Lane.NEW else Lane.NEW
        calls, count = self._lanes[lane], 0
        piece: list[_Call[I, R]] = []
        while calls:
            newest = lane is Lane.NEW and self._newest
            count += len(calls[-1 if newest else 0].items)
            if piece and count > self._limits[lane]:
                break
            piece.append(calls.pop() if newest else calls.popleft())
            self._newest = not newest
        return piece

    async def _timed(self, lane: Lane, items: Sequence[I]) -> A:
        """Work on a piece, and see how long the next one of its lane may be.

        The wait for the thread counts. So a piece that took long shortens the next one, whatever
        the cause, and the next one tells better. A few items that are done soon tell only that it
        may be longer: of their time, much is not theirs.
        """
        began = time.monotonic()
        answer = await self._work(items)
        took = time.monotonic() - began
        fits = min(MOST, max(LEAST, int(len(items) * LONGEST / took) if took else MOST))
        if len(items) >= LEAST or took > LONGEST or fits > self._limits[lane]:
            self._limits[lane] = fits
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
