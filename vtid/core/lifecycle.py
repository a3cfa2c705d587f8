"""Lifecycle: the two states of a tunnel, and what moves it from one to the next. Pure.

**Life** says what is wanted of a tunnel, and why. It is derived from facts, never stored as a
decision: the table is read from the top, and the first row that holds counts.

    life        holds when                                   the interface        shown as
    ─────────   ──────────────────────────────────────────   ──────────────────   ─────────────
    FLUSHED     the operator flushed everything              is removed           down
    WANTED      a CHILD_SA is installed                      follows the SAs      up
    DECLARED    no SA, `presence = "always"`                 follows the policy   down
    KEPT        no SA, `on_down = "down"`                    stays, set down      down
    HELD        no SA, and the hold time runs, VICI is       stays as it was      holding
                lost, or charon has not listed its SAs yet
    UNWANTED    none of these                                is removed           down

                    first SA                 last SA leaves
      UNWANTED ────────────────▶ WANTED ─┬─────────────────────▶ HELD ──▶ UNWANTED
          ▲                        ▲     ├── presence = "always" ▶ DECLARED   hold time over
          │ no longer configured   │     └── on_down = "down" ───▶ KEPT
          └── DECLARED, KEPT       └── HELD, DECLARED, KEPT: an SA is back

`MOVES` lists every move with its cause; the random walk of the tests finds no other one.

**Work** says how far the operations are that make it so. It is stored, and changes by `WORK` only:

    state        planned    nothing     no          one of them   all of them    time to
                            to do       effect      failed        answered       retry
    ─────────    ────────   ─────────   ─────────   ───────────   ────────────   ───────
    OPEN         BUSY       SETTLED     BACK_OFF
    SETTLED      BUSY       SETTLED
    BUSY                                            FAILING       OPEN
    FAILING                                         FAILING       BACK_OFF
    BACK_OFF                                                                     OPEN

"No effect" means that all operations succeeded and the same ones are planned again: the kernel
does not show what they did. Any other event in a state is a defect and raises `LifecycleError`.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import compress
from typing import TYPE_CHECKING, Final, NamedTuple

from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from vtid.model.link import Link


class LifecycleError(Exception):
    """An event that a state does not allow: a defect in vtid."""


# --- life ----------------------------------------------------------------------------------------


class Life(StrEnum):
    """What is wanted of a tunnel, and why; see the table of the module."""

    FLUSHED = "flushed"
    WANTED = "wanted"
    DECLARED = "declared"
    KEPT = "kept"
    HELD = "held"
    UNWANTED = "unwanted"


class Facts(NamedTuple):
    """What the life of a tunnel is derived from, one fact for each of `LIVES`."""

    flushed: bool
    has_sa: bool
    """A policy claims the tunnel, and a CHILD_SA of it is installed."""
    declared: bool
    """Its policy declares an SA, and charon has listed those that it has."""
    keeps: bool
    """Its policy keeps the interface without SA, and there is one to keep; VICI is connected."""
    holding: bool
    """Its hold time has not passed, or the SAs are not known for certain."""


LIVES: Final = (Life.FLUSHED, Life.WANTED, Life.DECLARED, Life.KEPT, Life.HELD)
"""What each of the facts means, in their order."""


def life_of(facts: Facts) -> Life:
    """Return the life of a tunnel: that of the first fact that holds."""
    return next(compress(LIVES, facts), Life.UNWANTED)


_SA = "an SA is installed"
_LEFT = "the last SA left"
_RELOADED = "another configuration was loaded"
_SYNCED = "charon listed its SAs"
_LOST = "VICI was lost"
_OVER = "the hold time is over"
_FLUSHED = "the operator flushed"

MOVES: Final[dict[Life, dict[Life, str]]] = {
    Life.UNWANTED: {
        Life.WANTED: _SA,
        Life.HELD: f"{_LOST} before the interface was gone, or one was found at the start",
        Life.DECLARED: _RELOADED,
        Life.KEPT: "the interface that the policy keeps is there again",
        Life.FLUSHED: _FLUSHED,
    },
    Life.WANTED: {
        Life.HELD: _LEFT,
        Life.DECLARED: _LEFT,
        Life.KEPT: _LEFT,
        Life.UNWANTED: f"{_LEFT}, and `hold_time` is 0 or the policy is gone",
        Life.FLUSHED: _FLUSHED,
    },
    Life.DECLARED: {
        Life.WANTED: _SA,
        Life.UNWANTED: _RELOADED,
        Life.HELD: _RELOADED,
        Life.KEPT: _RELOADED,
        Life.FLUSHED: _FLUSHED,
    },
    Life.KEPT: {
        Life.WANTED: _SA,
        Life.HELD: _LOST,
        Life.UNWANTED: f"{_RELOADED}, or its child is served by another interface",
        Life.DECLARED: _RELOADED,
        Life.FLUSHED: _FLUSHED,
    },
    Life.HELD: {
        Life.WANTED: _SA,
        Life.DECLARED: _SYNCED,
        Life.KEPT: _SYNCED,
        Life.UNWANTED: _OVER,
        Life.FLUSHED: _FLUSHED,
    },
    Life.FLUSHED: dict.fromkeys(Life, _RELOADED),
}
"""From a life to the next, with the cause."""

_UP, _PENDING, _HOLDING, _DOWN = (
    TunnelState.UP,
    TunnelState.PENDING,
    TunnelState.HOLDING,
    TunnelState.DOWN,
)
_SHOWN: Final[dict[Life, tuple[TunnelState, TunnelState, TunnelState]]] = {
    Life.FLUSHED: (_PENDING, _PENDING, _DOWN),
    Life.WANTED: (_UP, _PENDING, _PENDING),
    Life.DECLARED: (_DOWN, _DOWN, _DOWN),
    Life.KEPT: (_PENDING, _DOWN, _DOWN),
    Life.HELD: (_HOLDING, _HOLDING, _DOWN),
    Life.UNWANTED: (_PENDING, _PENDING, _DOWN),
}
"""What operators see while the link is up, is down, and is not there."""


def shown(life: Life, link: Link | None, error: str) -> TunnelState:
    """Return the one word for a tunnel that `vtictl` and the metrics share."""
    if error:
        return TunnelState.ERROR
    up, down, absent = _SHOWN[life]
    return absent if link is None else up if link.up else down


# --- work ----------------------------------------------------------------------------------------


class Work(StrEnum):
    """How far the operations of a tunnel are; see the table of the module."""

    OPEN = "open"
    """All that was asked for is answered; what follows is not planned yet."""
    SETTLED = "settled"
    """When it was planned last, everything was as desired."""
    BUSY = "busy"
    """Operations are under way."""
    FAILING = "failing"
    """Operations are under way, and one has failed."""
    BACK_OFF = "back-off"
    """An operation failed; the next try waits for its time or for a new input."""


class Step(StrEnum):
    """What moves the work of a tunnel."""

    PLANNED = "planned"
    NOTHING_TO_DO = "nothing to do"
    NO_EFFECT = "no effect"
    FAILED = "failed"
    ANSWERED = "answered"
    RETRY = "retry"


WORK: Final[dict[Work, dict[Step, Work]]] = {
    Work.OPEN: {
        Step.PLANNED: Work.BUSY,
        Step.NOTHING_TO_DO: Work.SETTLED,
        Step.NO_EFFECT: Work.BACK_OFF,
    },
    Work.SETTLED: {
        Step.PLANNED: Work.BUSY,
        Step.NOTHING_TO_DO: Work.SETTLED,
    },
    Work.BUSY: {
        Step.FAILED: Work.FAILING,
        Step.ANSWERED: Work.OPEN,
    },
    Work.FAILING: {
        Step.FAILED: Work.FAILING,
        Step.ANSWERED: Work.BACK_OFF,
    },
    Work.BACK_OFF: {Step.RETRY: Work.OPEN},
}


def after(work: Work, step: Step) -> Work:
    """Return the state of the work after a step. Raises LifecycleError where it cannot be."""
    try:
        return WORK[work][step]
    except KeyError:
        raise LifecycleError(f"{step!r} while the work is {work!r}") from None
