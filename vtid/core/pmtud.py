"""DPLPMTUD: the search for the largest packet that a path carries (RFC 8899). Pure.

States and constants have the names of the RFC (sections 5.1 and 5.2). A size is that of a whole IP
packet inside the tunnel, in bytes; a probe is an echo request of that size with DF, and its answer
proves the size in both directions.

    state            probes              goes to              when
    ───────────────  ──────────────────  ───────────────────  ──────────────────────────────────────
    DISABLED         BASE_PLPMTU         BASE                 anything is answered
    BASE             BASE_PLPMTU         SEARCHING            it passes
                                         ERROR                it fails
    ERROR            MIN_PLPMTU          SEARCHING            it passes
                                         BASE                 PMTU_RAISE_TIMER has passed
    SEARCHING        see `_candidate`    SEARCH_COMPLETE      what passes and what fails meet
    SEARCH_COMPLETE  what was proven     BASE                 it fails: a black hole
                                         SEARCHING            PMTU_RAISE_TIMER has passed, or the
                                                              ceiling rose
    all but DISABLED                     DISABLED             MAX_PROBES rounds had no answer at all

Rules of this file:

* The ceiling (MAX_PLPMTU) is what ciphers and route allow; the search never goes above it.
* A size fails only by contrast: MAX_PROBES rounds in a row in which a smaller companion passed and
  it did not. A round that lost the companion, too, begins the count anew: it shows loss, not size.
* The larger probe of a round goes first, so that a limit on the rate of echoes hits the companion.
* An answer is proof whenever it comes, and overrules a failure.
* `proven` changes at the end of a search only, never on the way. A black hole is looked at twice:
  before the search lowers anything, it tries the old size again.
* A round ends when all answers are filed that came in its time: what still waits to be read is no
  silence.
* No answer is no news: a peer that never answers, or small echoes only, proves nothing.
* Packet Too Big is no input. Anyone can forge one, and the echo tells the same.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, NamedTuple

MAX_PROBES: Final = 3
"""Probes of one size that have to be lost until it counts as too large (section 5.1.2)."""

PROBE_TIMER: Final = 1.0
"""Seconds to wait for an answer; the least that section 5.1.1 allows."""

PMTU_RAISE_TIMER: Final = 600.0
"""Seconds until a path that carries less than the ceiling is tried with more (section 5.1.1)."""

CONFIRMATION_TIMER: Final = 30.0
"""Seconds between confirmations of what was proven; section 5.1.1 leaves it to us."""

RAISE_SOON: Final = 60.0
"""Seconds until the first try with more after a change; doubles up to PMTU_RAISE_TIMER.

The RFC has the one timer only. A path that has just changed is likely to change back.
"""

BASE_PLPMTU: Final = 1200
"""Bytes that are expected to pass on any path (section 5.1.2)."""

MIN_PLPMTU: Final = 462
"""Bytes that the largest ESP overhead leaves of 576, which every IPv4 host takes (RFC 791).

Who answers smaller echoes only has a filter, not a path that is so narrow.
"""

SMALLEST: Final = 68
"""Bytes of the smallest companion: any IPv4 link carries it unfragmented (RFC 791, section 3.2)."""

STEP: Final = 4
"""Bytes between two sizes that are told apart: ESP pads to 4 bytes or more."""


class PmtudState(StrEnum):
    """PmtudState of RFC 8899, section 5.2; see the table of the module."""

    DISABLED = "disabled"
    BASE = "base"
    ERROR = "error"
    SEARCHING = "searching"
    SEARCH_COMPLETE = "search complete"


class Probe(NamedTuple):
    """One echo to send, or its answer."""

    round: int
    """The larger probe and the companion of a round have the same."""
    size: int
    """Bytes of the IP packet."""


class Dplpmtud:
    """The search on one path; the caller sends what `poll` returns and reports what is answered.

    `ceiling` is the MTU that ciphers and route allow; `timeout` (PROBE_TIMER) and `confirm`
    (CONFIRMATION_TIMER) are in seconds, on the clock of `now`.
    """

    def __init__(
        self,
        ceiling: int,
        now: float,
        *,
        timeout: float = PROBE_TIMER,
        confirm: float = CONFIRMATION_TIMER,
    ) -> None:
        self.state = PmtudState.DISABLED
        self.ceiling = ceiling
        self.proven: int | None = None
        """What the last search found; None while nothing is verified."""
        self.next_at = now
        """When `poll` is due."""
        self._timeout = max(timeout, PROBE_TIMER)
        self._confirm = confirm
        self._round = self._since = 0
        """The last round, and the last one that this search has nothing to do with."""
        self._asked = 0
        """Size in question in this round; 0 when it is over."""
        self._contrast = False
        """A companion has passed in this round."""
        self._low, self._high = 0, ceiling + 1
        """The largest size known to pass, and the smallest known to fail, of this search."""
        self._first = ceiling
        """Size that a search tries before it bisects."""
        self.silences = self._failures = 0
        """Rounds in a row without any answer, and rounds that speak against the size."""
        self._raise_after = RAISE_SOON
        self._raise_at = math.inf

    @property
    def limited(self) -> bool:
        """Whether the path was found to carry less than the ceiling."""
        return self.proven is not None and self.proven < self.ceiling

    @property
    def doubted(self) -> bool:
        """Whether the last round speaks against what was proven, or a first search found less."""
        first = self.state is PmtudState.SEARCHING and self.proven is None
        return self._doubted and (first or self.state is PmtudState.SEARCH_COMPLETE)

    @property
    def _doubted(self) -> bool:
        return bool(self._failures or self.silences)

    @property
    def undecided(self) -> bool:
        """Whether the first search may still find something."""
        gave_up = self.state is PmtudState.ERROR and self._raise_at < math.inf
        return self.proven is None and self.silences < MAX_PROBES and not gave_up

    # --- inputs -----------------------------------------------------------------------------------

    def poll(self, now: float, since: float | None = None) -> tuple[Probe, ...]:
        """End a round that had its time, and return the probes of the next if it is due.

        Answers that came before `since` have been filed, later ones may wait; without it, now.
        """
        heard = now if since is None else since
        if heard >= self.next_at and self._asked:
            self._judge(now)
        return self._begin_round(now) if heard >= self.next_at else ()

    def answered(self, probe: Probe, now: float) -> None:
        """File an answer, in time or late; its size has been seen to be that of the request."""
        if probe.round <= self._since:
            return
        size = min(probe.size, self.ceiling)
        self.silences = 0
        self._low = max(self._low, size)
        if self._low >= self._high:
            self._high = self.ceiling + 1
        self._contrast |= probe.round == self._round
        if self.state is PmtudState.DISABLED:
            self.state = PmtudState.BASE
        if self.state is PmtudState.SEARCH_COMPLETE and size > (self.proven or 0):
            self._search_up(now)
        elif 0 < self._asked <= size:
            self._passed(now)

    def set_ceiling(self, ceiling: int, now: float) -> None:
        """Take a new ceiling: a lower one cuts what was proven, a higher one is searched for."""
        if ceiling == self.ceiling:
            return
        search_up = ceiling > self.ceiling and not self.limited
        self.ceiling = self._first = ceiling
        self._low, self._high = min(self._low, ceiling), ceiling + 1
        if self.proven is not None:
            self.proven = min(self.proven, ceiling)
        if self.state is PmtudState.SEARCH_COMPLETE and search_up:
            self._search_up(now)
        elif self.state not in {PmtudState.DISABLED, PmtudState.ERROR}:
            self._next_round(now)
            self._complete_if_closed(now)

    def _search_up(self, now: float) -> None:
        self.state, self._first, self._high = PmtudState.SEARCHING, self.ceiling, self.ceiling + 1
        self._next_round(now)
        self._complete_if_closed(now)

    def resume(self, now: float) -> None:
        """Begin anew on a path that was down; until the end of the search nothing changes."""
        self._restart(PmtudState.DISABLED)
        self.silences = 0
        self._next_round(now)

    # --- rounds -----------------------------------------------------------------------------------

    def _begin_round(self, now: float) -> tuple[Probe, ...]:
        doubted = self._doubted
        if now >= self._raise_at and not doubted:
            self._raise()
        self._round += 1
        self._contrast = False
        self._asked = self._candidate()
        self.next_at = now + self._timeout
        sizes = [self._asked]
        if self._asked > SMALLEST and (doubted or self.state is not PmtudState.SEARCH_COMPLETE):
            sizes.append(self._companion())
        return tuple(Probe(self._round, size) for size in sizes)

    def _candidate(self) -> int:
        match self.state:
            case PmtudState.DISABLED | PmtudState.BASE:
                return min(BASE_PLPMTU, self._high - 1)
            case PmtudState.ERROR:
                return min(MIN_PLPMTU, self.ceiling)
            case PmtudState.SEARCH_COMPLETE:
                return self._low
        if self._low < self._first < self._high:
            return self._first
        middle = (self._low + self._high) // 2
        aligned = middle - (middle - self.ceiling) % STEP
        return aligned if aligned > self._low else aligned + STEP

    def _companion(self) -> int:
        """Return the size that has to pass where the one in question fails.

        Of a path that may have shrunk, nothing larger than the smallest is sure to pass.
        """
        return self._low if SMALLEST < self._low < self._asked else SMALLEST

    def _judge(self, now: float) -> None:
        """End a round whose question was not answered in time."""
        asked, self._asked = self._asked, 0
        if not self._contrast:
            self._failures = 0
            self._silent(now)
            return
        self._failures += 1
        if self._failures >= MAX_PROBES:
            self._next_round(now)
            self._failed(asked, now)

    def _next_round(self, now: float) -> None:
        self._asked = self._failures = 0
        self.next_at = now

    # --- what a round leads to ----------------------------------------------------------------

    def _silent(self, now: float) -> None:
        """Nothing came back: that is the path, the peer or the load, but not the size."""
        self.silences += 1
        excess = self.silences - MAX_PROBES
        if excess < 0:
            return
        if self.state is not PmtudState.DISABLED:
            self._restart(PmtudState.DISABLED)
        wait = self._timeout * 2.0 ** min(excess, 10)
        self.next_at = now + min(wait, self._confirm)

    def _passed(self, now: float) -> None:
        asked = self._asked
        self._next_round(now)
        if self.state is PmtudState.SEARCH_COMPLETE:
            self.next_at = min(now + self._confirm, self._raise_at)
            return
        if self.state is PmtudState.SEARCHING and asked == self._first:
            self._first = self.ceiling
        self.state = PmtudState.SEARCHING
        self._complete_if_closed(now)

    def _failed(self, asked: int, now: float) -> None:
        match self.state:
            case PmtudState.BASE:
                self.state, self._high = PmtudState.ERROR, asked
            case PmtudState.ERROR:
                self.proven = None
                self.next_at = self._raise_at = now + PMTU_RAISE_TIMER
            case PmtudState.SEARCHING:
                self._high = asked
                self._complete_if_closed(now)
            case PmtudState.SEARCH_COMPLETE:
                self._restart(PmtudState.BASE)
                self._first, self._high = asked, asked + 1

    def _complete_if_closed(self, now: float) -> None:
        untried = self._low < self._first < self._high
        is_open = untried or self._high - self._low > STEP
        if (is_open and self._low < self.ceiling) or self.state is not PmtudState.SEARCHING:
            return
        if self._low != self.proven:
            self._raise_after = RAISE_SOON
        self.state, self.proven = PmtudState.SEARCH_COMPLETE, self._low
        self._raise_at = now + self._raise_after if self.limited else math.inf
        self._raise_after = min(2 * self._raise_after, PMTU_RAISE_TIMER)
        self.next_at = min(now + self._confirm, self._raise_at)

    def _raise(self) -> None:
        """Ask for a little more than what was proven first: most often, nothing has changed."""
        self._raise_at = math.inf
        if self.state is PmtudState.ERROR:
            self._restart(PmtudState.BASE)
        elif self.state is PmtudState.SEARCH_COMPLETE and self._low < self.ceiling:
            self.state = PmtudState.SEARCHING
            self._first, self._high = min(self._low + STEP, self.ceiling), self.ceiling + 1

    def _restart(self, state: PmtudState) -> None:
        """Begin at the bottom; what was proven counts until the end of the search."""
        self.state, self._since = state, self._round
        self._low, self._high, self._first = 0, self.ceiling + 1, self.ceiling
        self._raise_at = math.inf
