"""Times of BIRD's clock that move a little each time they are shown."""

from __future__ import annotations

import pytest

from vtid.bird.sessions import steady


@pytest.mark.parametrize(
    ("before", "now", "kept"),
    [
        (0.0, 1000.4, 1000.4),
        (1000.4, 1000.41, 1000.4),
        (1000.4, 999.6, 1000.4),
        (1000.4, 1002, 1002),
    ],
)
def test_only_another_time_is_told(before: float, now: float, kept: float) -> None:
    assert steady(before, now) == kept
