"""Journal: the last events of this run of the daemon, for those who follow them. Part of the edge.

An event is a record of the log: there is one list of what can happen, `docs/log-events.md`.

Rules of this file:

* Whatever the level of the log is, the journal has the records at info and above, and all that are
  about a tunnel.
* It is bounded in number and, about, in bytes, and the oldest events leave it. A reader keeps a
  position and no events, so that a slow one costs nothing: it is told how many it missed.
* JSON is written for those who read it: mostly nobody does.
* An event's ID is `RUN-NUMBER`: one of another run of the daemon is seen to be one.
* Records come from any thread; readers live in the event loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from sys import getsizeof
from typing import TYPE_CHECKING, Any, TypeAlias

from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Plain: TypeAlias = "str | int | float | None"

KEPT = 4096
"""Events; a few minutes of a gateway that brings up 1,000 tunnels."""

KEPT_BYTES = 4 * 1024 * 1024
"""Bytes that they take in memory, about."""

OVERHEAD = 128
"""Bytes of an event without its facts: the object, its number and time, its place in the list."""

TEXT_MAX = 1000
"""Characters of one field."""

_ID = re.compile(r"([0-9a-f]{8})-(0|[1-9][0-9]{0,15})")

_LEFT_OUT = {"exc_info", "stack_info"}

NOT_PUBLIC = {"configuration refused", "hook failed", "BIRD needs attention"}
"""Events of which only the head is public: what they quote may have a secret."""

_COALESCE = 0.05
"""Seconds in which events wake readers once."""


class UnknownIdError(ValueError):
    """A text is no ID of an event."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    number: int
    """Counted from 1."""
    run: str
    """Of the daemon, as in the ID."""
    at: float
    """Unix time, in seconds."""
    level: str
    facts: Mapping[str, Plain]
    """What happened, as `event`, and what it is about."""

    @property
    def tunnel(self) -> str:
        """The tunnel that it is about; empty where it is about none."""
        return str(self.facts.get("tunnel", ""))

    @property
    def data(self) -> str:
        """All of it as a JSON object, in ASCII and on one line."""
        return json.dumps({**self._head, **self.facts})

    @property
    def public(self) -> str:
        """The same without texts that may have a secret."""
        data = self.data
        if self.facts["event"] not in NOT_PUBLIC and QUOTES_VARS not in data:
            return data
        return json.dumps(self._head | ({"tunnel": self.tunnel} if self.tunnel else {}))

    @property
    def _head(self) -> dict[str, Plain]:
        ident, event = f"{self.run}-{self.number}", self.facts["event"]
        return {"id": ident, "at": self.at, "level": self.level, "event": event}

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        return OVERHEAD + getsizeof(self.facts) + sum(map(getsizeof, self.facts.values()))


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reader is: the number of the event that it saw last."""

    number: int
    is_of_this_run: bool = True


class Journal:
    """The events, and who waits for more."""

    def __init__(self, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self.run = os.urandom(4).hex()
        self._kept = kept
        self._kept_bytes = kept_bytes
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._last = 0
        self._lock = threading.RLock()
        self._is_busy = False
        """Whether this thread is in the midst of it.

        A finalizer may log at any moment: the log has its line then, and the journal has not.
        """
        self._wakers: set[Callable[[], None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_waking = False

    # --- writing --------------------------------------------------------------------------------

    def add(self, level: str, record: Mapping[str, Any]) -> None:
        """Take a record of the log; `event` says what happened, the rest is about it."""
        if level == "debug" and not record.get("tunnel"):
            return
        facts = {key: _plain(value) for key, value in record.items() if key not in _LEFT_OUT}
        facts.setdefault("event", "")
        with self._lock:
            was_busy, self._is_busy = self._is_busy, True
            try:
                wakes = not was_busy and self._append(level, facts)
            finally:
                self._is_busy = was_busy
        if wakes and self._loop:
            with suppress(RuntimeError):  # the loop is closed: nobody follows any more
                self._loop.call_soon_threadsafe(self._loop.call_later, _COALESCE, self._wake)

    def _append(self, level: str, facts: Mapping[str, Plain]) -> bool:
        """Keep an event; return whether readers are to be woken."""
        self._last += 1
        at = round(time.time(), 3)
        event = Event(self._last, self.run, at, level, facts)
        self._events.append(event)
        self._bytes += event.size
        while len(self._events) > self._kept or self._bytes > self._kept_bytes:
            self._bytes -= self._events.popleft().size
        wakes = bool(self._wakers) and not self._is_waking
        self._is_waking = self._is_waking or wakes
        return wakes

    def _wake(self) -> None:
        self._is_waking = False
        for wake in tuple(self._wakers):
            wake()

    # --- reading --------------------------------------------------------------------------------

    def id_of(self, number: int) -> str:
        """Return the ID of an event."""
        return f"{self.run}-{number}"

    @property
    def last(self) -> int:
        """The number of the newest event; 0 where there was none."""
        return self._last

    def position(self, text: str) -> Position:
        """Return where a reader is who saw the event with an ID last.

        One who saw an event of another run has yet to see all of this one. Raises UnknownIdError.
        """
        found = _ID.fullmatch(text)
        if not found:
            raise UnknownIdError(f"{text!r} is no ID of an event")
        number = int(found[2])
        if found[1] != self.run or number > self._last:
            return Position(0, is_of_this_run=False)
        return Position(number)

    def after(self, number: int, limit: int) -> list[Event]:
        """Return the first events behind a number; those before them are not kept any more."""
        with self._lock:
            was_busy, self._is_busy = self._is_busy, True
            try:
                if not self._events or number >= self._last:
                    return []
                begin = max(0, number + 1 - self._events[0].number)
                end = min(len(self._events), begin + limit)
                return [self._events[index] for index in range(begin, end)]
            finally:
                self._is_busy = was_busy

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have `wake` called in the running event loop soon after events came."""
        self._loop = asyncio.get_running_loop()
        self._wakers.add(wake)
        try:
            yield
        finally:
            self._wakers.discard(wake)


def _plain(value: object) -> Plain:
    if value is None or isinstance(value, int | float):
        return value
    return str(value)[:TEXT_MAX]
