from __future__ import annotations

import math
from itertools import pairwise

import pytest

from vtid.bird.debounce import LONGEST, QUIET, Debounce


def written(seconds: float, step: float) -> list[float]:
    """When a file is written while something changes every `step` for so many `seconds`."""
    pace, times = Debounce(), list[float]()
    for change in range(int(seconds / step) + 1):
        while pace.due <= change * step:
            times.append(pace.due)
            pace.written(pace.due)
        pace.changed(change * step)
    return [*times, pace.due]


def test_a_lone_change_is_written_soon() -> None:
    pace = Debounce()
    assert pace.due == math.inf
    pace.changed(10.0)
    assert pace.due == 10.0 + QUIET[0]
    pace.written(10.2)
    assert pace.due == math.inf
    pace.changed(1000.0)
    assert pace.due == 1000.0 + QUIET[0]


def test_soon_after_another_one_it_waits_longer() -> None:
    pace = Debounce()
    pace.changed(10.0)
    pace.written(10.2)
    pace.changed(11.0)
    assert pace.due == 11.0 + QUIET[1]


@pytest.mark.parametrize("seconds", [0.5, 5.0, 20.0, 60.0, 75.0])
@pytest.mark.parametrize("count", [50, 1000])
def test_a_bring_up_costs_five_at_most(seconds: float, count: int) -> None:
    times = written(seconds, seconds / count)
    assert 1 <= len(times) <= 5
    assert times[-1] <= seconds + max(QUIET) + 1


def test_changes_without_end_are_written_every_now_and_then() -> None:
    times = written(600.0, 0.1)
    assert len(times) <= 3 + 600 / max(LONGEST) + 1
    assert max(b - a for a, b in pairwise(times)) <= max(LONGEST) + 0.2
