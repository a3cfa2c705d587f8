"""Turns of the loop are counted where who measures finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.turns import TurnsFile

if TYPE_CHECKING:
    from pathlib import Path


def test_each_look_has_the_turns_since_the_last_one(tmp_path: Path) -> None:
    ours = TurnsFile(tmp_path / "turns", new=True)
    theirs = TurnsFile(tmp_path / "turns")
    for seconds in (0.001, 0.03, 0.02):
        theirs.note(seconds)
    assert ours.take() == (3, 1, 0.03)
    theirs.note(0.002)
    assert ours.take() == (1, 0, 0.002)
    assert ours.take() == (0, 0, 0.0)
