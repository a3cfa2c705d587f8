"""The tables of a tunnel's life and work, and that every row of them happens."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis.strategies import lists, sampled_from

from tests.core.world import World, sa
from vtid.config.keys import Config, ConfigLoaded
from vtid.config.load import load
from vtid.core.lifecycle import (
    LIVES,
    MOVES,
    WORK,
    Facts,
    Life,
    LifecycleError,
    Step,
    Work,
    after,
    life_of,
    shown,
)
from vtid.core.progress import Progress
from vtid.model.input import ChildDown, ChildUp, FlushAsked, FullPassDue, Input, ViciLost
from vtid.model.operation import CreateLink
from vtid.model.status import TunnelState

# --- life ----------------------------------------------------------------------------------------


def config(*keys: str) -> Config:
    return load("\n".join(('[[tunnel]]\nconnection = "c"\ninterface = "x0"', *keys)))


PLAIN = config()
NO_HOLD = config("hold_time = 0")
DOWN = config('on_down = "down"')
ALWAYS = config(
    'presence = "always"',
    'local = "2001:db8:1::1"',
    'remote = "2001:db8:2::1"',
    "mark = 3",
    'esp = "aes256-sha512"',
)
NONE = load("")


def tour(world: World, *stations: Config | Input | float) -> set[tuple[Life, Life]]:
    """Take a world through configurations, inputs and waits; return the moves on the way."""
    moved = set[tuple[Life, Life]]()
    for station in stations:
        before = world.lives.get("x0", Life.UNWANTED)
        match station:
            case float(seconds):
                world.pass_time(seconds)
            case Config():
                world.tell(ConfigLoaded(station))
            case Input():
                world.tell(station)
        moved.add((before, world.lives.get("x0", Life.UNWANTED)))
    return {(one, other) for one, other in moved if one is not other}


UP, GONE = ChildUp(sa(1, "c")), ChildDown(1)

TOURS = {
    "an SA comes and goes": (PLAIN, UP, GONE, UP, GONE, 4.0),
    "no hold time": (NO_HOLD, UP, GONE),
    "declared": (ALWAYS, UP, GONE, FlushAsked(), ALWAYS, NONE),
    "declared no more": (ALWAYS, UP, GONE, PLAIN),
    "kept": (DOWN, UP, GONE, UP, GONE, ALWAYS, DOWN, 4.0, ViciLost("lost"), FullPassDue(), UP),
    "kept, then flushed": (DOWN, UP, GONE, FlushAsked()),
    "kept, then removed": (DOWN, UP, GONE, NONE),
    "flushed, then reloaded": (PLAIN, FlushAsked(), PLAIN, UP, FlushAsked(), PLAIN),
    "flushed while held": (PLAIN, UP, GONE, FlushAsked(), 4.0),
}
RARE = {
    (Life.HELD, Life.DECLARED): "a start",
    (Life.HELD, Life.KEPT): "a start, and the end of a loss of VICI",
    (Life.UNWANTED, Life.HELD): "a start",
    (Life.UNWANTED, Life.KEPT): "an interface is adopted",
}
"""Moves that other tests make, and what they need."""


def test_every_move_happens() -> None:
    moved = set[tuple[Life, Life]]()
    for stations in TOURS.values():
        moved |= tour(World(config=NONE).start(), *stations)
    listed = {(one, other) for one, others in MOVES.items() for other in others}
    by_reload = {(Life.FLUSHED, other) for other in Life}
    assert listed - moved - by_reload == RARE.keys()


def test_every_life_has_a_row_and_a_way_out() -> None:
    assert [*LIVES, Life.UNWANTED] == list(Life)
    assert len(LIVES) == len(Facts._fields)
    assert MOVES.keys() == set(Life)
    assert all(causes for causes in MOVES.values())
    assert {other for others in MOVES.values() for other in others} == set(Life)


@pytest.mark.parametrize("facts", [Facts(*row) for row in product((False, True), repeat=5)])
def test_the_first_row_that_holds_counts(facts: Facts) -> None:
    order = (facts.flushed, facts.has_sa, facts.declared, facts.keeps, facts.holding, True)
    assert life_of(facts) is list(Life)[order.index(True)]


@pytest.mark.parametrize("life", Life)
def test_an_error_is_shown_whatever_the_life(life: Life) -> None:
    assert shown(life, None, "no") is TunnelState.ERROR
    assert shown(life, None, "") in {TunnelState.DOWN, TunnelState.PENDING}


def test_a_flushed_tunnel_is_down_though_its_sa_lives() -> None:
    world = World(config=PLAIN).start([sa(1, "c")])
    assert world.state.tunnels["x0"].state is TunnelState.UP
    world.tell(FlushAsked())
    tunnel = world.state.tunnels["x0"]
    assert (tunnel.state, tunnel.life) == (TunnelState.DOWN, Life.FLUSHED)
    assert tunnel.desired.reason == "flushed by the operator"


# --- work ----------------------------------------------------------------------------------------


def test_every_state_of_the_work_is_reached_and_left() -> None:
    assert WORK.keys() == set(Work)
    assert {other for steps in WORK.values() for other in steps.values()} == set(Work)
    assert {step for steps in WORK.values() for step in steps} == set(Step)


@pytest.mark.parametrize(("work", "step"), list(product(Work, Step)))
def test_a_step_that_the_table_does_not_have_is_a_defect(work: Work, step: Step) -> None:
    if step in WORK[work]:
        assert after(work, step) is WORK[work][step]
        return
    with pytest.raises(LifecycleError, match=f"{step.value}.*{work.value}"):
        after(work, step)


OPS = (CreateLink.__name__,)


@given(lists(sampled_from(["plan", "idle", "fail", "answer", "input", "wait"])))
def test_progress_never_leaves_the_table(happenings: list[str]) -> None:
    progress, now = Progress(), 100.0
    for happening in happenings:
        match happening:
            case "plan" if not progress.pending and not progress.waits(now):
                progress.start(OPS * 2, may_repeat=True)  # type: ignore[arg-type]
            case "idle" if not progress.pending and not progress.waits(now):
                progress.start((), may_repeat=False)
            case "fail" if progress.pending:
                progress.failed("no", now)
                progress.answered()
            case "answer" if progress.pending:
                progress.answered()
            case "input":
                progress.retry_now()
            case "wait":
                now += 61
        assert bool(progress.pending) == (progress.work in {Work.BUSY, Work.FAILING})
        assert bool(progress.error) >= (progress.work in {Work.FAILING, Work.BACK_OFF})
        assert progress.error == "" or progress.failures


def test_a_failure_counts_once_for_all_that_was_planned_together() -> None:
    progress = Progress()
    progress.start(OPS * 2, may_repeat=False)  # type: ignore[arg-type]
    assert progress.failed("no", 100.0)
    assert not progress.answered()
    assert not progress.failed("no, either", 100.0)
    assert progress.answered()
    assert (progress.failures, progress.error, progress.retry_at) == (1, "no", 100.5)
    assert progress.waits(100.4)
    assert not progress.waits(100.5)


def test_the_back_off_doubles_up_to_a_minute() -> None:
    progress, waits = Progress(), []
    for _ in range(9):
        progress.start(OPS, may_repeat=False)  # type: ignore[arg-type]
        progress.failed("no", 0.0)
        progress.answered()
        waits.append(progress.retry_at)
        assert not progress.waits(progress.retry_at)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_what_fails_for_days_is_still_tried_once_a_minute() -> None:
    progress = Progress(failures=2 * 24 * 60)
    progress.start(OPS, may_repeat=False)  # type: ignore[arg-type]
    progress.failed("no", 0.0)
    assert progress.retry_at == 60.0
