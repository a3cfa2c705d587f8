from __future__ import annotations

from dataclasses import replace

import pytest

from vtid.bird.watch import (
    BLAME_LIMIT,
    LIMIT,
    SETTLE,
    TOLERATED_PART,
    UNDO_AFTER,
    Blame,
    Verdict,
    Watch,
)
from vtid.model.bgp import BgpState

UP = BgpState("a", "up", "Established", "")
DOWN = BgpState("a", "start", "Active", "")
WAIT, GOOD, BAD = Verdict.WAIT, Verdict.GOOD, Verdict.BAD


def watch(*names: str) -> Watch:
    return Watch(frozenset(names), frozenset(names), 0.0)


def test_bird_waits_longer_than_vtid() -> None:
    assert SETTLE < LIMIT < UNDO_AFTER < BLAME_LIMIT


def test_sessions_that_stay_up() -> None:
    assert watch("a").judge([UP], SETTLE - 0.1) is WAIT
    assert watch("a").judge([UP], SETTLE) is GOOD


def test_sessions_that_come_back() -> None:
    one = watch("a")
    assert one.judge([DOWN], SETTLE) is WAIT
    assert list(one.lost) == ["a"]
    assert one.judge([UP], LIMIT - 1) is GOOD
    assert not one.lost


def test_sessions_that_do_not_come_back() -> None:
    one = watch("a")
    assert one.judge([DOWN], LIMIT - 0.1) is WAIT
    assert one.judge([DOWN], LIMIT) is BAD


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("", WAIT),
        ("BGP Error: Hold timer expired", WAIT),
        ("Error: BFD session down", WAIT),
        ("Socket: Connection reset by peer", WAIT),
        ("Received: Hold timer expired", WAIT),
        ("Received: Maximum number of prefixes reached", WAIT),
        ("Received: Administrative shutdown", GOOD),
        ("Received: Other configuration change", GOOD),
        ("Error: Link down", GOOD),
        ("Error: Neighbor lost", GOOD),
    ],
)
def test_whose_doing_it_was(error: str, verdict: Verdict) -> None:
    assert watch("a").judge([replace(DOWN, last_error=error)], SETTLE) is verdict


def test_session_that_bird_no_longer_has() -> None:
    ours = frozenset({"ours"})
    assert Watch(ours, ours, 0.0).judge([], LIMIT) is BAD
    assert Watch(ours, frozenset(), 0.0).judge([], LIMIT) is GOOD


def test_session_that_is_excused() -> None:
    one = watch("a")
    one.excuse(frozenset({"a", "b"}))
    assert one.judge([DOWN], SETTLE) is GOOD


def test_of_many_some_may_be_down() -> None:
    names = [f"s{number}" for number in range(10 * TOLERATED_PART)]
    for down, verdict in ((10, GOOD), (11, WAIT)):
        states = [
            replace(DOWN if number < down else UP, protocol=name)
            for number, name in enumerate(names)
        ]
        assert watch(*names).judge(states, SETTLE) is verdict


def test_blame() -> None:
    one = Blame(("a",), 0.0)
    assert one.judge([DOWN, replace(UP, protocol="b")], BLAME_LIMIT - 1) is WAIT
    assert one.judge([UP], BLAME_LIMIT - 1) is BAD
    assert one.judge([DOWN], BLAME_LIMIT) is GOOD
