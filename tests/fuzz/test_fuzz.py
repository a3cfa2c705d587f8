"""The fuzzers in short: a few hundred inputs each, and every input that was ever found bad."""

from __future__ import annotations

from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fuzz.target import Take

INPUTS = {"http server": 100, "configuration text": 40, "configuration values": 100}
"""Of others 500."""

every_target = pytest.mark.parametrize("target", fuzz.TARGETS, ids=fuzz.slug)


def made(target: Target) -> list[bytes]:
    random = Random(7)  # noqa: S311 - repeatable on purpose
    return [target.make(random) for _ in range(20)]


@every_target
def test_no_input_is_a_violation(target: Target) -> None:
    fuzz.run(target, INPUTS.get(target.name, 500), seed=0)


@every_target
def test_a_seed_gives_the_same_inputs_again(target: Target) -> None:
    first, second = (made(target) for _ in range(2))
    assert first == second
    assert len(set(first)) > 10


@every_target
def test_what_was_found_stays_fixed(target: Target) -> None:
    folder = fuzz.FOUND / fuzz.slug(target)
    with target.open() as take:
        for path in sorted(folder.glob("*")):
            take(path.read_bytes())


def test_nothing_was_found_for_a_target_that_is_no_more() -> None:
    assert {path.name for path in fuzz.FOUND.iterdir()} <= set(map(fuzz.slug, fuzz.TARGETS))


def test_a_violation_names_the_seed_and_keeps_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def fussy() -> Iterator[Take]:
        yield {b"a": 1}.__getitem__  # type: ignore[misc]

    monkeypatch.setattr(fuzz, "FOUND", tmp_path)
    with pytest.raises(fuzz.Violation, match="fussy one, seed 3"):
        fuzz.run(Target("fussy one", 1, lambda _: b"b", fussy), 1, seed=3)
    assert [path.read_bytes() for path in tmp_path.glob("fussy-one/*")] == [b"b"]


def test_what_grows_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def greedy() -> Iterator[Take]:
        held: list[bytes] = []
        yield lambda data: held.append(data * (1 << 20))

    monkeypatch.setattr(fuzz, "GROWTH_MAX", 16 << 20)
    with pytest.raises(fuzz.Violation, match="grew by"):
        fuzz.run(Target("greedy", 1, lambda _: b"b", greedy), 64, seed=3)
