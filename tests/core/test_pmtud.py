"""DPLPMTUD against simulated paths: what is proven is what passes, whatever else goes wrong."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis.strategies import booleans, floats, integers, lists, sampled_from, tuples

from vtid.core.pmtud import (
    BASE_PLPMTU,
    CONFIRMATION_TIMER,
    MAX_PROBES,
    MIN_PLPMTU,
    PMTU_RAISE_TIMER,
    PROBE_TIMER,
    RAISE_SOON,
    SMALLEST,
    STEP,
    Dplpmtud,
    PmtudState,
    Probe,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SEARCH_TIME = 60.0
"""Seconds in which a search ends, lossless: a dozen sizes of MAX_PROBES rounds."""


def always(_now: float, _probe: Probe) -> bool:
    return True


@dataclass
class Path:
    """A path that carries up to `limit` bytes, to a peer that answers up to `answers` bytes."""

    limit: int
    answers: int = 65535
    arrives: Callable[[float, Probe], bool] = always
    delay: Callable[[], float] = lambda: 0.02
    sent: list[tuple[float, Probe]] = field(default_factory=list)
    under_way: list[tuple[float, int, Probe]] = field(default_factory=list)

    def carry(self, probe: Probe, now: float) -> None:
        self.sent.append((now, probe))
        if probe.size <= min(self.limit, self.answers) and self.arrives(now, probe):
            heapq.heappush(self.under_way, (now + self.delay(), len(self.sent), probe))

    def run(self, search: Dplpmtud, now: float, until: float) -> float:
        """Let time pass; returns the new time."""
        while True:
            answer = self.under_way[0][0] if self.under_way else until
            now = min(max(now, min(answer, search.next_at)), until)
            if now >= until:
                return until
            while self.under_way and self.under_way[0][0] <= now:
                search.answered(heapq.heappop(self.under_way)[2], now)
            for probe in search.poll(now):
                self.carry(probe, now)

    def sizes(self, since: float = 0.0) -> list[int]:
        return [probe.size for at, probe in self.sent if at >= since]


def settled(path: Path, ceiling: int, until: float = SEARCH_TIME) -> Dplpmtud:
    search = Dplpmtud(ceiling, 0.0)
    path.run(search, 0.0, until)
    return search


def assert_exact(search: Dplpmtud, limit: int) -> None:
    """What is proven passes, and nothing that ESP could fill is between it and the limit."""
    fits = min(limit, search.ceiling)
    assert search.proven is not None
    assert fits - STEP < search.proven <= fits
    assert search.limited == (search.proven < search.ceiling)


mtus = integers(576, 9000)
delays = floats(0.0, 0.9 * PROBE_TIMER)


# --- the search -----------------------------------------------------------------------------------


@given(limit=mtus, ceiling=mtus)
def test_every_path_is_found(limit: int, ceiling: int) -> None:
    search = settled(Path(limit), ceiling)
    assert search.state is PmtudState.SEARCH_COMPLETE
    assert_exact(search, limit)


@given(ceiling=integers(68, 9000))
@example(ceiling=BASE_PLPMTU + 1)
def test_a_path_that_carries_the_ceiling_costs_two_rounds(ceiling: int) -> None:
    path = Path(9000)
    search = settled(path, ceiling, until=1.0)
    assert search.proven == ceiling
    assert not search.limited
    assert len(path.sent) <= 4


@given(limit=mtus, ceiling=mtus)
def test_nothing_above_the_ceiling_is_sent_and_the_larger_goes_first(
    limit: int, ceiling: int
) -> None:
    path = Path(limit)
    settled(path, ceiling, until=2 * PMTU_RAISE_TIMER)
    assert max(path.sizes()) <= ceiling
    rounds: dict[int, list[int]] = {}
    for _, probe in path.sent:
        rounds.setdefault(probe.round, []).append(probe.size)
    assert all(sizes == sorted(sizes, reverse=True) for sizes in rounds.values())
    assert max(map(len, rounds.values())) <= 2


def test_a_size_has_to_be_lost_as_often_as_the_rfc_says() -> None:
    path = Path(1400)
    settled(path, 1446, until=20.0)
    assert path.sizes().count(1446) == MAX_PROBES == 3


@given(limit=integers(MIN_PLPMTU, BASE_PLPMTU - 1))
def test_a_path_below_the_base_is_searched_through_error(limit: int) -> None:
    path = Path(limit)
    search = settled(path, 1446)
    tried = list(dict.fromkeys(path.sizes()))
    assert tried[:3] == [BASE_PLPMTU, SMALLEST, MIN_PLPMTU]
    assert_exact(search, limit)


# --- loss, delay and order ------------------------------------------------------------------------


@given(limit=mtus, ceiling=mtus, seed=integers(0, 2**32))
def test_answers_come_in_any_order_and_late(limit: int, ceiling: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a simulation
    path = Path(limit, delay=lambda: chance.uniform(0.0, 2.5 * PROBE_TIMER))
    search, now = Dplpmtud(ceiling, 0.0), 0.0
    while now < SEARCH_TIME:
        now = path.run(search, now, now + 1.0)
        assert search.proven is None or search.proven <= limit
    path.delay = lambda: 0.02
    path.run(search, now, now + 2 * SEARCH_TIME + 2 * PMTU_RAISE_TIMER)
    assert_exact(search, limit)


@given(limit=mtus, ceiling=mtus, percent=integers(1, 100), seed=integers(0, 2**32))
def test_after_heavy_loss_the_path_is_found(
    limit: int, ceiling: int, percent: int, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a simulation
    path = Path(limit, arrives=lambda now, _: now > 60.0 or chance.uniform(0, 100) > percent)
    search, now = Dplpmtud(ceiling, 0.0), 0.0
    while now < 60.0:
        now = path.run(search, now, now + 1.0)
        assert search.proven is None or search.proven <= limit
    path.run(search, now, now + 2 * SEARCH_TIME + 2 * PMTU_RAISE_TIMER)
    assert_exact(search, limit)


@given(outages=lists(tuples(floats(10, 500), floats(0, 60)), max_size=5))
def test_a_path_that_carries_nothing_for_a_while_loses_no_mtu(
    outages: list[tuple[float, float]],
) -> None:
    dead = [(begin, begin + length) for begin, length in outages]
    path = Path(1446, arrives=lambda now, _: not any(a <= now < b for a, b in dead))
    search, now = Dplpmtud(1446, 0.0), 0.0
    while now < 700.0:
        now = path.run(search, now, now + 1.0)
        if now > 5.0:
            assert search.proven == 1446
    assert search.state is PmtudState.SEARCH_COMPLETE


@given(lost=lists(tuples(booleans(), booleans()), min_size=20, max_size=60), begin=floats(1, 40))
def test_loss_that_hits_the_smaller_one_as_often_proves_nothing(
    lost: list[tuple[bool, bool]], begin: float
) -> None:
    """Unless three rounds in a row lose the larger and only the larger one."""
    first, in_a_row = -1, 0
    for larger, companion in lost:
        in_a_row = in_a_row + 1 if larger and not companion else 0
        if in_a_row == MAX_PROBES:
            return

    def arrives(now: float, probe: Probe) -> bool:
        nonlocal first
        if now < begin:
            return True
        first = probe.round if first < 0 else first
        number = probe.round - first
        return number >= len(lost) or not lost[number][probe.size == SMALLEST]

    path = Path(1446, arrives=arrives)
    search = settled(path, 1446, until=200 * CONFIRMATION_TIMER)
    assert search.proven == 1446
    assert SMALLEST in path.sizes(begin) or not any(larger for larger, _ in lost)


def test_a_round_that_loses_both_begins_the_count_anew() -> None:
    larger_lost, both_lost = (True, False), (True, True)
    pattern = [larger_lost] * MAX_PROBES + [both_lost] + [larger_lost] * (MAX_PROBES - 1)
    confirmed = 0

    def arrives(now: float, probe: Probe) -> bool:
        number = probe.round - confirmed
        if now < SEARCH_TIME or number >= len(pattern):
            return True
        return not pattern[number][probe.size == SMALLEST]

    path = Path(1446, arrives=arrives)
    search = settled(path, 1446)
    confirmed = search._round + 1
    path.run(search, SEARCH_TIME, SEARCH_TIME + CONFIRMATION_TIMER + 10.0)
    assert path.sizes(SEARCH_TIME).count(1446) > len(pattern)
    assert BASE_PLPMTU not in path.sizes(SEARCH_TIME), "no black hole was suspected"


# --- black holes ----------------------------------------------------------------------------------


@given(before=mtus, after=mtus)
def test_a_path_that_shrinks_is_noticed_and_lowers_once(before: int, after: int) -> None:
    if after > before - STEP:
        return
    path, values = Path(before), list[int | None]()
    search = settled(path, before)
    path.limit = after
    now = SEARCH_TIME
    while now < SEARCH_TIME + CONFIRMATION_TIMER + 2 * SEARCH_TIME:
        now = path.run(search, now, now + 0.1)
        if not values or values[-1] != search.proven:
            values.append(search.proven)
    assert len(values) == 2
    assert_exact(search, after)


def test_a_black_hole_takes_less_than_half_a_minute_from_its_first_lost_probe() -> None:
    path = Path(1446)
    search = settled(path, 1446)
    path.limit, now = 1400, SEARCH_TIME
    while search.proven == 1446:
        now = path.run(search, now, now + 0.1)
    first_lost = next(at for at, probe in path.sent if at > SEARCH_TIME and probe.size == 1446)
    assert now - first_lost < 20.0
    assert_exact(search, 1400)


@pytest.mark.parametrize("lost", [3, 4, 5, 6])
def test_a_false_black_hole_throws_no_good_mtu_away(lost: int) -> None:
    left = lost

    def arrives(now: float, probe: Probe) -> bool:
        nonlocal left
        if now < SEARCH_TIME or probe.size < 1446 or not left:
            return True
        left -= 1
        return False

    path = Path(1446, arrives=arrives)
    search, now = settled(path, 1446), SEARCH_TIME
    while now < SEARCH_TIME + CONFIRMATION_TIMER + 20.0:
        now = path.run(search, now, now + 0.1)
        assert search.proven == 1446
    assert left == 0
    looked_twice = BASE_PLPMTU in path.sizes(SEARCH_TIME)
    assert looked_twice == (lost > MAX_PROBES), "the first loss has no companion to compare with"


def test_even_a_proof_that_was_wrong_is_repaired_after_a_minute() -> None:
    trouble = (SEARCH_TIME, SEARCH_TIME + CONFIRMATION_TIMER + 20.0)
    path = Path(
        1446,
        arrives=lambda now, probe: not trouble[0] < now < trouble[1] or probe.size <= 1300,
    )
    search = settled(path, 1446)
    now = path.run(search, SEARCH_TIME, trouble[1])
    assert search.proven is not None
    assert search.proven < 1446
    path.run(search, now, now + RAISE_SOON + 10.0)
    assert search.proven == 1446


def test_a_late_answer_overrules_the_failure_of_its_size() -> None:
    path = Path(1400)
    search = settled(path, 1446)
    late = next(probe for _, probe in path.sent if probe.size == 1446)
    path.limit = 1446
    search.answered(late, SEARCH_TIME)
    path.run(search, SEARCH_TIME, SEARCH_TIME + 1.0)
    assert search.proven == 1446


def test_a_late_answer_reopens_a_search_that_is_still_under_way() -> None:
    path = Path(1446, arrives=lambda _, probe: probe.size <= BASE_PLPMTU)
    search, now = Dplpmtud(1446, 0.0), 0.0
    while search._high == search.ceiling + 1 or search._high == search.ceiling:
        now = path.run(search, now, now + 0.1)
    late = next(probe for _, probe in path.sent if probe.size == search._high)
    path.arrives = always
    search.answered(late, now)
    path.run(search, now, now + 2.0)
    assert search.proven == 1446


# --- up again -------------------------------------------------------------------------------------


@given(before=mtus, after=mtus, ceiling=mtus)
def test_a_path_that_heals_is_used_within_the_raise_timer(
    before: int, after: int, ceiling: int
) -> None:
    if after < before:
        return
    path = Path(before)
    search = settled(path, ceiling)
    path.limit = after
    path.run(search, SEARCH_TIME, SEARCH_TIME + PMTU_RAISE_TIMER + SEARCH_TIME)
    assert_exact(search, after)


def test_a_path_that_stays_as_it_is_costs_one_size_per_raise_timer() -> None:
    path = Path(1400)
    search = settled(path, 1446)
    hour = 3600.0
    path.run(search, SEARCH_TIME, hour)
    since = PMTU_RAISE_TIMER * 2
    above = [size for size in path.sizes(since) if size > 1400]
    assert len(above) <= MAX_PROBES * (hour - since) / PMTU_RAISE_TIMER + MAX_PROBES
    assert set(above) == {(search.proven or 0) + STEP}


@given(first=mtus, second=mtus, limit=mtus, at=floats(0.0, 20.0))
def test_a_new_ceiling_is_followed_at_any_time(
    first: int, second: int, limit: int, at: float
) -> None:
    path, search = Path(limit), Dplpmtud(first, 0.0)
    now = path.run(search, 0.0, at)
    search.set_ceiling(second, now)
    sent = len(path.sent)
    now = path.run(search, now, now + SEARCH_TIME + PMTU_RAISE_TIMER)
    assert_exact(search, limit)
    assert max((probe.size for _, probe in path.sent[sent:]), default=0) <= second


# --- peers that answer little or nothing ----------------------------------------------------------


@given(answers=integers(0, SMALLEST - 1), ceiling=mtus)
def test_a_peer_that_never_answers_proves_nothing_and_costs_little(
    answers: int, ceiling: int
) -> None:
    path = Path(9000, answers=answers)
    search = settled(path, ceiling, until=3600.0)
    assert search.proven is None
    assert not search.limited
    assert search.state is PmtudState.DISABLED
    assert len(path.sizes(since=600.0)) <= 2 * 3000 / CONFIRMATION_TIMER + 2


@given(answers=integers(SMALLEST, MIN_PLPMTU - 1), ceiling=mtus)
def test_a_peer_that_answers_small_echoes_only_proves_nothing(answers: int, ceiling: int) -> None:
    search = settled(Path(9000, answers=answers), ceiling, until=3600.0)
    assert search.proven is None
    assert search.state in {PmtudState.ERROR, PmtudState.BASE}


def test_a_peer_that_limits_the_rate_of_echoes_proves_nothing() -> None:
    """One echo per half second is answered: the first of each round, which is the larger."""
    last = -1.0

    def arrives(now: float, _: Probe) -> bool:
        nonlocal last
        if now - last < 0.5:
            return False
        last = now
        return True

    search = settled(Path(1446, arrives=arrives), 1446, until=600.0)
    assert search.proven == 1446


def test_what_was_proven_stays_when_the_peer_falls_silent() -> None:
    path = Path(1400)
    search = settled(path, 1446)
    proven = search.proven
    path.answers = 0
    path.run(search, SEARCH_TIME, 3600.0)
    assert (search.proven, search.state) == (proven, PmtudState.DISABLED)


# --- answers that lie -----------------------------------------------------------------------------


@given(forged=lists(tuples(integers(-5, 99), sampled_from([0, 68, 1280, 1446, 65535]))))
def test_an_answer_to_no_round_of_this_search_changes_nothing(
    forged: list[tuple[int, int]],
) -> None:
    search = settled(Path(1400), 1446)
    path = Path(1200)
    search._restart(PmtudState.BASE)
    for number, size in forged:
        if number <= search._since:
            search.answered(Probe(number, size), SEARCH_TIME)
    path.run(search, SEARCH_TIME, 2 * SEARCH_TIME)
    assert_exact(search, 1200)
