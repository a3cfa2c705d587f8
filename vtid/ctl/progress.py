"""Progress: how far vtid is while a command waits for it, on standard error.

Rules of this file:

* On a terminal it is one line that changes, from the first second on, and is gone when the answer
  comes. Anywhere else it is whole lines, one in `IN_A_LOG` at most and none twice in a row.
* What is told comes from vtid's summary, so it is what vtid has really done.
* The answer counts, and this does not: where it cannot be had or written, nothing is told.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from vtid.ctl.client import RemoteError, ask
from vtid.ctl.terminal import WIDTH
from vtid.printable import escape

if TYPE_CHECKING:
    from vtid.ctl.client import Json

QUIET = 1.0
"""Seconds in which an answer needs no progress on a terminal."""

IN_A_LOG = 5.0
"""Seconds to the first line that stays, and between two of them."""

LOOK_LIMIT = 5.0
"""Seconds for an answer to how far vtid is."""

_CLEAR = "\r\x1b[K"


class Progress:
    """What is told of one command, from when it is made until the `with` block ends."""

    def __init__(self) -> None:
        self._tells = sys.stderr is not None and not sys.stderr.closed  # None after `2>&-`
        is_terminal = self._tells and sys.stderr.isatty()
        self._moves = is_terminal and os.environ.get("TERM", "dumb") != "dumb"
        self._next_at = time.monotonic() + (QUIET if self._moves else IN_A_LOG)
        self._told = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._moves and self._told:
            self._write(_CLEAR)

    def tell(self, text: str) -> None:
        """Show a line, if it is time and it says something new."""
        now = time.monotonic()
        if not self._tells or now < self._next_at or text == self._told:
            return
        self._told = text
        if self._moves:
            self._write(_CLEAR + escape(text)[: _columns() - 1])
        else:
            self._next_at = now + IN_A_LOG
            self._write(f"vtictl: {escape(text)}\n")

    def _write(self, text: str) -> None:
        try:
            print(text, end="", file=sys.stderr, flush=True)  # noqa: T201 - apart from the answer
        except (OSError, ValueError):  # the disk is full, nobody reads any more
            self._tells = False


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or WIDTH
    except (OSError, ValueError):
        return WIDTH


def change(socket: str, target: str, timeout: float) -> Json:
    """Have vtid change something, and show how far it is; else as `client.ask`."""
    with Progress() as progress:
        looks = _Looks(socket, progress)
        return ask(socket, "POST", target, timeout, meanwhile=looks.look)


class _Looks:
    """Looks at how far vtid is; the first one says what had been done before."""

    def __init__(self, socket: str, progress: Progress) -> None:
        self._socket, self._progress = socket, progress
        self._before: int | None = None

    def look(self) -> None:
        """Tell how far vtid is."""
        # what is wrong is told by the request itself; a vtid before an upgrade has not all fields
        with suppress(RemoteError, LookupError, TypeError, AttributeError):
            summary = ask(self._socket, "GET", "/v1/summary", LOOK_LIMIT)
            if self._before is None:
                self._before = summary["operations_answered"]
            self._progress.tell(so_far(summary, self._before))


def so_far(summary: Json, before: int) -> str:
    """Write how far vtid is, where so many operations had been answered before."""
    begun, answered = (summary[f"operations_{word}"] - before for word in ("begun", "answered"))
    waiting, tunnels = summary["under_way"], sum(summary["tunnels"].values())
    what = f"{waiting} of {tunnels} tunnels under way" if waiting else "waiting for what follows"
    return f"{answered} of {begun} operations done, {what}"
