"""A run of storms fails where the loop was held, or a single tunnel waited."""

from __future__ import annotations

import pytest

from tests.bench.storms import Storm, unfair
from tests.bench.turns import Turns


def storm(turns: Turns, single: float) -> Storm:
    return Storm("loss", 1.0, turns, 0.1, 0.1, 50.0, single, 0.0)


@pytest.mark.parametrize(
    ("turns", "single", "told"),
    [
        (Turns(100, 0, 0.02), 1.0, []),
        (Turns(100, 2, 0.031), 0.0, ["loss: the loop was held for 31 ms"]),
        (Turns(100, 0, 0.01), 1.25, ["loss: one more tunnel took 1.25 s"]),
    ],
)
def test_a_run_fails_for_what_took_too_long(turns: Turns, single: float, told: list[str]) -> None:
    assert list(unfair([storm(turns, single)])) == told
