"""Time spans and amounts of bytes as people read them."""

from __future__ import annotations

import pytest

from vtid.units import size, span


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1k"), (999_500, "1M"), (12_345_678, "12.3M"), (1e20, "100E")],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m"),
        (61, "1m1s"),
        (3600, "1h"),
        (273_600, "3d4h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text
