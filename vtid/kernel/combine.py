"""Combine: calls that wait for the same worker become one. An edge.

    call ─▶ waiting ─▶ work, one at a time ─▶ finish, while the next work runs ─▶ results

Rules of this file:

* Calls are worked on in the order in which they came, each exactly once.
* Trouble is raised in every call that it was a part of.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

I = TypeVar("I")  # noqa: E741 - an item
R = TypeVar("R")
A = TypeVar("A")


class _Call(NamedTuple, Generic[I, R]):
    items: Sequence[I]
    results: asyncio.Future[Sequence[R]]


class Combined(Generic[I, A, R]):
    """`work` takes all items that wait; `finish` makes of its answer a result for each of them."""

    def __init__(
        self,
        work: Callable[[Sequence[I]], Awaitable[A]],
        finish: Callable[[A], Awaitable[Sequence[R]]],
    ) -> None:
        self._work = work
        self._finish = finish
        self._waiting: list[_Call[I, R]] = []
        self._working = asyncio.Lock()

    async def run(self, items: Sequence[I]) -> Sequence[R]:
        """Return a result for each item; raises what `work` and `finish` raise."""
        mine: _Call[I, R] = _Call(items, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        await self._serve()
        return await mine.results

    async def _serve(self) -> None:
        """Do what waits when it is our turn: nothing, if another call took ours along."""
        taken: list[_Call[I, R]] = []
        try:
            async with self._working:
                taken, self._waiting = self._waiting, []
                if not taken:
                    return
                answer = await self._work([item for call in taken for item in call.items])
            results = await self._finish(answer)
        except Exception as error:  # noqa: BLE001 - each of the calls raises it
            for call in _open(taken):
                call.results.set_exception(error)
        except BaseException:
            for call in _open(taken):
                call.results.cancel()
            raise
        else:
            _answer(taken, results)


def _open(calls: Sequence[_Call[I, R]]) -> Iterator[_Call[I, R]]:
    """Return the calls whose callers still wait."""
    return (call for call in calls if not call.results.done())


def _answer(calls: Sequence[_Call[I, R]], results: Sequence[R]) -> None:
    at = 0
    for call in calls:
        if not call.results.done():
            call.results.set_result(results[at : at + len(call.items)])
        at += len(call.items)
