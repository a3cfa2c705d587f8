"""When a BIRD is asked the next time."""

from __future__ import annotations

import pytest

from vtid.bird.pace import (
    BACKOFF_MAX,
    BACKOFF_MIN,
    POLL,
    POLL_SHARE,
    POLL_SHARE_WATCHING,
    POLL_SOON,
    POLLS_SOON,
    Pace,
)


def pauses(pace: Pace, count: int, *, took: float = 0.0, watching: bool = False) -> list[float]:
    """Seconds from the begin of each poll to the next."""
    found = []
    for _ in range(count):
        pace.polled(100.0, 100.0 + took, watching=watching)
        found.append(pace.due - 100.0)
    return found


def test_polls_come_sooner_for_a_while_after_a_push() -> None:
    pace = Pace()
    assert pauses(pace, 2) == [POLL, POLL]
    pace.pushed()
    assert pauses(pace, POLLS_SOON + 1) == [POLL_SOON] * POLLS_SOON + [POLL]


def test_polls_come_sooner_while_a_push_is_watched() -> None:
    assert pauses(Pace(), 20, watching=True) == [POLL_SOON] * 20


@pytest.mark.parametrize(("watching", "share"), [(False, POLL_SHARE), (True, POLL_SHARE_WATCHING)])
def test_the_pause_grows_with_what_a_poll_takes(*, watching: bool, share: int) -> None:
    assert pauses(Pace(), 1, took=2.0, watching=watching) == [2.0 * share]


def test_attempts_to_connect_come_less_often_until_one_succeeds() -> None:
    pace, waits = Pace(), []
    for _ in range(8):
        pace.failed(50.0)
        waits.append(pace.due - 50.0)
    assert waits == [min(BACKOFF_MIN * 2**times, BACKOFF_MAX) for times in range(8)]
    pace.connected()
    pace.failed(50.0)
    assert pace.due == 50.0 + BACKOFF_MIN
