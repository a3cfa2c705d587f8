"""Calls that wait become one; each has its own results, and the trouble that it is a part of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from vtid.kernel.combine import Combined

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rig:
    def __init__(self) -> None:
        self.worked: list[Sequence[int]] = []
        self.may_work, self.may_finish = asyncio.Event(), asyncio.Event()
        self.may_finish.set()
        self.combined: Combined[int, Sequence[int], str] = Combined(self.work, self.finish)

    async def work(self, items: Sequence[int]) -> Sequence[int]:
        self.worked.append(items)
        await self.may_work.wait()
        if 13 in items:
            raise ZeroDivisionError
        return items

    async def finish(self, answer: Sequence[int]) -> Sequence[str]:
        await self.may_finish.wait()
        return [str(item) for item in answer]

    def call(self, *items: int) -> asyncio.Task[Sequence[str]]:
        return asyncio.create_task(self.combined.run(items))


async def turns(count: int = 10) -> None:
    """Let everything happen that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_waits_is_one_call_and_results_are_apart() -> None:
    rig = Rig()
    calls = [rig.call(1), rig.call(2, 3), rig.call(), rig.call(4)]
    await turns()
    assert rig.worked == [[1]]
    rig.may_work.set()
    assert await asyncio.gather(*calls) == [["1"], ["2", "3"], [], ["4"]]
    assert rig.worked == [[1], [2, 3, 4]]


async def test_work_goes_on_while_an_earlier_call_is_finished() -> None:
    rig = Rig()
    rig.may_work.set()
    rig.may_finish.clear()
    first = rig.call(1)
    await turns()
    second = rig.call(2)
    await turns()
    assert rig.worked == [[1], [2]]
    rig.may_finish.set()
    assert [await first, await second] == [["1"], ["2"]]


async def test_trouble_is_told_to_all_that_it_was_a_part_of() -> None:
    rig = Rig()
    calls = [rig.call(1), rig.call(2), rig.call(13)]
    await turns()
    rig.may_work.set()
    assert await calls[0] == ["1"]
    for call in calls[1:]:
        with pytest.raises(ZeroDivisionError):
            await call
    assert await rig.call(3) == ["3"]


async def test_a_caller_that_goes_takes_no_other_with_it() -> None:
    rig = Rig()
    calls = [rig.call(1), rig.call(2), rig.call(3)]
    await turns()
    calls[1].cancel()
    rig.may_work.set()
    assert [await calls[0], await calls[2]] == [["1"], ["3"]]
