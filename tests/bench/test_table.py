"""The rows of the table from figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.table import ROWS, Bench, longest

if TYPE_CHECKING:
    from pathlib import Path


def test_the_longest_turn_is_below_the_first_bound_that_all_turns_since_then_are_below() -> None:
    before = {'le="0.01"': 5.0, 'le="0.02"': 6.0, 'le="+Inf"': 9.0}
    after = {'le="0.01"': 7.0, 'le="0.02"': 9.0, 'le="+Inf"': 12.0}
    assert longest(before, after) == 0.02


def test_a_row_has_the_median_of_its_rounds_and_how_many_times_it_is_the_other(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, 1000, stand_in=True)
    for row in ROWS:
        bench.note(row.ours, 4.0)
        bench.note(row.theirs, 2.0)
    for value in (0.5, 9.0):
        bench.note("cold", value)
    (line,) = (line for line in bench.lines() if line.startswith("| cold start"))
    assert (
        line
        == "| cold start, all SAs there | 4.00 s | `ip -batch`, `nft -f` | 2.00 s | 2.00 times |"
    )
