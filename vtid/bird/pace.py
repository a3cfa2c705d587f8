"""Pace: when one BIRD is asked the next time. Pure.

Rules of this file:

* Polls come sooner for a while after a push, and while a push is watched.
* The time that a poll takes grows with BIRD's sessions: the pause grows with it.
* Attempts to connect come less often each time.
"""

from __future__ import annotations

POLL = 5.0
POLL_SOON = 1.0
POLLS_SOON = 10
"""Seconds between polls, and for how many polls after a push they come sooner."""

POLL_SHARE, POLL_SHARE_WATCHING = 20, 3
"""Polling takes at most one part in so many of the time, with any number of sessions."""

BACKOFF_MIN, BACKOFF_MAX = 1.0, 15.0
"""Seconds between attempts to connect."""


class Pace:
    """When to contact one BIRD; `now` is a monotonic clock in seconds."""

    def __init__(self) -> None:
        self.due = 0.0
        """When to contact it next."""
        self._backoff = BACKOFF_MIN
        self._polls_soon = 0

    def connected(self) -> None:
        """BIRD is there: if it goes, the first attempt comes soon again."""
        self._backoff = BACKOFF_MIN

    def pushed(self) -> None:
        """BIRD got a new file: its sessions may change."""
        self._polls_soon = POLLS_SOON

    def polled(self, started: float, now: float, *, watching: bool) -> None:
        """BIRD was polled, and a push is watched or not."""
        share = POLL_SHARE_WATCHING if watching else POLL_SHARE
        pause = POLL_SOON if self._polls_soon or watching else POLL
        self.due = started + max(pause, (now - started) * share)
        self._polls_soon = max(0, self._polls_soon - 1)

    def failed(self, now: float) -> None:
        """BIRD could not be reached, or did not answer as it should."""
        self.due = now + self._backoff
        self._backoff = min(2 * self._backoff, BACKOFF_MAX)
