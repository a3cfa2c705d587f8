"""Whether a push did harm: the sessions that were up before it, while it can be undone. Pure.

Theory of operation: the push is sent as `configure timeout`, so BIRD undoes it unless vtid confirms
it. `Watch` looks at the sessions that were up before and whose own blocks have not changed: those
that BIRD restarts are down at once, those that lose the path to their neighbour go down within the
time of BFD or the hold time. Once they are up again, the push is confirmed; if they do not come
back, it is undone. `Blame` then checks whether undoing it brought them back: if it did not, the
push was not the cause and can be tried again, and what is down then is no longer watched.

A session does not count if its neighbour's administrator ended it (shutdown, reset), if its
interface went away, or if it is no longer in BIRD's main configuration. Among many sessions some
always go down for other reasons: one in `TOLERATED_PART` may.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vtid.model.bgp import BgpState

SETTLE = 3.0
"""Seconds after a push before it can be confirmed: BFD has noticed a failure by then."""

LIMIT = 30.0
"""Seconds after a push at which it is undone; a session that was restarted takes some 10."""

UNDO_AFTER = 60
"""Seconds after which BIRD undoes an unconfirmed push: vtid has died or hangs."""

BLAME_LIMIT = 120.0
"""Seconds after an undo in which its sessions come back; BIRD waits 60 after an error."""

TOLERATED_PART = 20

_INTERFACE_GONE = ("Neighbor lost", "Link down")
_BY_NEIGHBOUR = (
    "Received: Administrative shutdown",
    "Received: Administrative reset",
    "Received: Peer de-configured",
    "Received: Other configuration change",
    "Received: Connection collision resolution",
)
"""How `Last error` ends and begins (proto/bgp: bgp_misc_errors, bgp_err_classes, bgp_error_dsc).

Other messages of the neighbour count: `Hold timer expired` means that it no longer hears us.
"""


class Verdict(Enum):
    """What became of something that is watched."""

    WAIT = "wait"
    GOOD = "good"
    BAD = "bad"


@dataclass(slots=True)
class Watch:
    """One push that can be undone; `now` and `began` are a monotonic clock in seconds."""

    up: frozenset[str]
    """Names of the sessions that were up before, and may not go down."""
    ours: frozenset[str]
    """Those of them that vtid's file defines: BIRD must still have them."""
    began: float
    lost: tuple[str, ...] = field(default=(), init=False)
    """Names of those that were down at the last look."""

    def judge(self, states: Iterable[BgpState], now: float) -> Verdict:
        """Look at the sessions: confirm (GOOD), undo (BAD), or look again."""
        known = {state.protocol: state for state in states}
        self.lost = tuple(sorted(name for name in self.up if self._is_lost(name, known)))
        if now < self.began + SETTLE:
            return Verdict.WAIT
        if len(self.lost) <= len(self.up) // TOLERATED_PART:
            return Verdict.GOOD
        return Verdict.WAIT if now < self.began + LIMIT else Verdict.BAD

    def excuse(self, names: frozenset[str]) -> None:
        """Forget sessions that are about to change or go."""
        self.up -= names

    def _is_lost(self, name: str, known: Mapping[str, BgpState]) -> bool:
        state = known.get(name)
        if state is None:
            return name in self.ours
        error = state.last_error
        excused = error.startswith(_BY_NEIGHBOUR) or error.endswith(_INTERFACE_GONE)
        return not state.established and not excused


@dataclass(frozen=True, slots=True)
class Blame:
    """A push that was undone because of the sessions `lost`."""

    lost: tuple[str, ...]
    began: float

    def judge(self, states: Iterable[BgpState], now: float) -> Verdict:
        """Look at the sessions: BAD if the push was the cause, GOOD if it was not."""
        if any(state.established and state.protocol in self.lost for state in states):
            return Verdict.BAD
        return Verdict.WAIT if now < self.began + BLAME_LIMIT else Verdict.GOOD
