"""Calls become pieces; each has its own results, and the trouble that it is a part of."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from vtid import combine
from vtid.combine import LEAST, LONGEST, MOST, Combined, Lane

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rig:
    """`work` and `finish` wait until they may.

    -1 is an item that work fails at, 99 one that is finished at once.
    """

    def __init__(self) -> None:
        self.worked: list[Sequence[int]] = []
        self.may_work, self.may_finish = asyncio.Event(), asyncio.Event()
        self.may_finish.set()
        self.combined: Combined[int, Sequence[int], str] = Combined(self.work, self.finish)

    async def work(self, items: Sequence[int]) -> Sequence[int]:
        self.worked.append(list(items))
        await asyncio.sleep(0)
        await self.may_work.wait()
        if -1 in items:
            raise ZeroDivisionError
        return items

    async def finish(self, answer: Sequence[int]) -> Sequence[str]:
        if 99 not in answer:
            await self.may_finish.wait()
        return [str(item) for item in answer]

    def call(self, *items: int, lane: Lane = Lane.ORDERED) -> asyncio.Task[Sequence[str]]:
        return asyncio.create_task(self.combined.run(items, lane))

    async def busy(self) -> asyncio.Task[Sequence[str]]:
        """Have the thread work on something."""
        call = self.call(0)
        await turns()
        return call


async def turns(count: int = 10) -> None:
    """Let everything happen that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_waits_is_one_piece_and_results_are_apart() -> None:
    rig = Rig()
    await rig.busy()
    calls = [rig.call(1), rig.call(2, 3), rig.call(), rig.call(4)]
    await turns()
    rig.may_work.set()
    assert await asyncio.gather(*calls) == [["1"], ["2", "3"], [], ["4"]]
    assert rig.worked == [[0], [1, 2, 3, 4]]


async def test_what_waits_for_nothing_takes_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.may_work.set()
    monkeypatch.delattr(asyncio, "create_task")
    assert await rig.combined.run([1]) == ["1"]
    assert await rig.combined.run([2]) == ["2"]


async def test_work_goes_on_while_one_piece_is_finished_and_not_two() -> None:
    rig = Rig()
    rig.may_work.set()
    rig.may_finish.clear()
    calls = []
    for number in (1, 2, 3):
        calls.append(rig.call(number))
        await turns()
    assert rig.worked == [[1], [2]]
    rig.may_finish.set()
    assert await asyncio.gather(*calls) == [["1"], ["2"], ["3"]]


async def test_a_look_is_told_before_an_earlier_piece_is_finished() -> None:
    rig = Rig()
    rig.may_work.set()
    rig.may_finish.clear()
    slow = await rig.busy()
    assert await rig.call(99, lane=Lane.LOOKS) == ["99"]
    assert not slow.done()
    rig.may_finish.set()
    assert await slow == ["0"]


async def test_trouble_is_told_to_all_that_it_was_a_part_of() -> None:
    rig = Rig()
    first = await rig.busy()
    calls = [rig.call(2), rig.call(-1)]
    await turns()
    rig.may_work.set()
    assert await first == ["0"]
    for call in calls:
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


# --- lanes ----------------------------------------------------------------------------------------


async def test_a_look_waits_for_no_other_and_what_follows_it_goes_ahead() -> None:
    rig = Rig()
    await rig.busy()
    deletions = [rig.call(*range(10 * MOST, 11 * MOST)), rig.call(1)]
    look = rig.call(2, lane=Lane.LOOKS)
    await turns()
    rig.may_work.set()
    assert await look == ["2"]
    assert await rig.call(3, lane=Lane.NEW) == ["3"]
    await asyncio.gather(*deletions)
    assert [len(piece) for piece in rig.worked] == [1, 1, 1, MOST, 1]


async def test_new_and_ordered_take_turns() -> None:
    rig = Rig()
    await rig.busy()
    many = range(MOST)
    calls = [rig.call(*many, lane=lane) for lane in (Lane.NEW, Lane.ORDERED) for _ in range(2)]
    await turns()
    assert not rig.combined.idle
    rig.may_work.set()
    await asyncio.gather(*calls)
    assert rig.combined.idle
    assert len(rig.worked) == 5


async def test_the_last_new_call_does_not_wait_for_all_others_and_the_first_neither() -> None:
    rig = Rig()
    await rig.busy()
    calls = [rig.call(*[number] * (MOST // 2), lane=Lane.NEW) for number in range(6)]
    await turns()
    rig.may_work.set()
    await asyncio.gather(*calls)
    assert [set(piece) for piece in rig.worked[1:]] == [{5, 0}, {4, 1}, {3, 2}]


class Churn(Rig):
    """As soon as something is worked on, more comes; not without end, so that a test ends."""

    def __init__(self, more: dict[Lane, int]) -> None:
        super().__init__()
        self.more = more
        self.left = 40
        self.calls: list[asyncio.Task[Sequence[str]]] = []

    async def work(self, items: Sequence[int]) -> Sequence[int]:
        if self.left:
            self.left -= 1
            self.calls += [self.call(*[1] * size, lane=lane) for lane, size in self.more.items()]
        return await super().work(items)


async def test_looks_without_end_and_what_follows_them_hold_up_nobody() -> None:
    rig = Churn({Lane.LOOKS: 1, Lane.NEW: MOST})
    await rig.busy()
    ordered = rig.call(3)
    await turns()
    rig.may_work.set()
    assert await ordered == ["3"]
    assert rig.worked.index([3]) <= 5
    await asyncio.gather(*rig.calls)


@pytest.mark.parametrize("size", [MOST // 2 + 1, MOST])
async def test_the_first_new_call_does_not_wait_for_those_that_come_on_and_on(size: int) -> None:
    """There is room for one call in a piece, and one more comes with each."""
    rig = Churn({Lane.NEW: size})
    await rig.busy()
    first = rig.call(*[2] * size, lane=Lane.NEW)
    rig.calls.append(rig.call(*[1] * size, lane=Lane.NEW))
    await turns()
    rig.may_work.set()
    assert len(await first) == size
    assert rig.worked.index([2] * size) <= 4
    await asyncio.gather(*rig.calls)


async def test_one_slow_small_piece_does_not_shorten_all_that_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread was busy with something else, perhaps."""
    rig = Rig()
    rig.may_work.set()
    clock = SimpleNamespace(monotonic=lambda: 10 * LONGEST * len(rig.worked[:1]))
    monkeypatch.setattr(combine, "time", clock)
    await rig.call(1)
    await asyncio.gather(*(rig.call(*[2] * (LEAST - 1)) for _ in range(32)))
    assert max(map(len, rig.worked)) > MOST - LEAST


@pytest.mark.parametrize(("each", "longest"), [(1.0, LEAST), (LONGEST / 128, 128), (0.0, MOST)])
async def test_a_piece_is_as_long_as_the_time_that_the_last_one_took(
    monkeypatch: pytest.MonkeyPatch, each: float, longest: int
) -> None:
    rig = Rig()
    clock = SimpleNamespace(monotonic=lambda: each * sum(map(len, rig.worked)))
    monkeypatch.setattr(combine, "time", clock)
    rig.may_work.set()
    await asyncio.gather(*(rig.call(*range(16)) for _ in range(8 * MOST // 16)))
    assert max(map(len, rig.worked[2:])) == longest
