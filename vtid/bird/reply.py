"""Reply: BIRD's control protocol, sans I/O. Bytes in, lines and outcomes of replies out.

Rules of this file:

* `ReplyParser.receive()` takes bytes in any pieces and returns the lines that are complete, cut
  where replies end. It keeps an unfinished line only; the caller joins the pieces of a reply.
* A line is `NNNN-text` (more follow), `NNNN text` (the last one), ` text` (more, same code) or
  `+text` (asynchronous, dropped); anything else is a `ReplyError`, after which the stream is out
  of step and must be closed (BIRD: nest/cli.c).
* Text from neighbours (RFC 9003 shutdown messages) is hostile: control characters are removed here,
  and lengths are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_LINE = 16 * 1024
"""Longest unfinished line that is kept, in bytes; BIRD's own limit is below 4 KiB."""

MAX_REPLY = 16 * 1024 * 1024
"""Longest reply that `ask` accepts, in bytes: a BFD session has 100."""

MAX_WORDS = 256
"""Longest message of a neighbour that is kept, in characters."""

RECONFIGURED = frozenset({3, 4, 5})
"""Done, in progress (protocols are still on their way down), queued behind one in progress."""

CONFIRMED = 18
NOTHING_TO_DO = 19
CONFIGURATION_ERROR = 8002
ACCESS_DENIED = 8007
FIRST_FAILURE = 8000
"""Reply codes: 0xxx to 2xxx success, 8xxx run-time error, 9xxx syntax error (doc/reply_codes)."""

LAST_LINE = re.compile(rb"\n\d{4} .*")
BAD_LINE = re.compile(rb"\n(?!\d{4}[ -]|[ +]|\Z)(.*)")
ASYNCHRONOUS = re.compile(rb"\n\+.*")
"""For whole lines with a newline in front: a literal beginning is what makes a search fast."""


class ReplyError(Exception):
    """The bytes are not BIRD's control protocol."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply as it came, without asynchronous lines; its last line is the outcome."""

    data: bytes

    @property
    def text(self) -> str:
        """The reply as text; other than UTF-8 becomes U+FFFD."""
        return self.data.decode("utf-8", "replace")

    @property
    def code(self) -> int:
        """The code of the outcome."""
        return int(self._outcome[:4])

    @property
    def ok(self) -> bool:
        """Whether the command succeeded."""
        return self.code < FIRST_FAILURE

    @property
    def message(self) -> str:
        """The text of the outcome in one printable line."""
        return printable(self._outcome[5:].decode("utf-8", "replace"))

    @property
    def _outcome(self) -> bytes:
        return self.data[:-1].rpartition(b"\n")[2]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some whole lines of one reply."""

    data: bytes
    ends: bool
    """The last of these lines is the outcome."""


class ReplyParser:
    """The receiving half of a control connection.

    It only finds where lines and replies end, at the speed of regular expressions.
    """

    def __init__(self) -> None:
        self._partial = b""
        self._within = False

    def receive(self, data: bytes) -> list[Piece]:
        """Take `data` and return the lines it completes.

        Raises ReplyError on anything that BIRD does not send.
        """
        lines, newline, self._partial = (self._partial + data).rpartition(b"\n")
        if len(self._partial) > MAX_LINE:
            raise ReplyError(f"line of over {MAX_LINE} bytes")
        return self._take(lines) if newline else []

    def _take(self, lines: bytes) -> list[Piece]:
        """Take whole lines, the last one without its newline."""
        text = ASYNCHRONOUS.sub(b"", b"\n" + lines) + b"\n"
        bad = BAD_LINE.search(text)
        if bad:
            raise ReplyError(f"line without a code: {printable(bad[1].decode(errors='replace'))!r}")
        ends = [last.end() + 1 for last in LAST_LINE.finditer(text)]
        starts = [1, *ends]
        pieces = [self._piece(text[a:b], ends=True) for a, b in zip(starts, ends, strict=False)]
        rest = text[starts[-1] :]
        return [*pieces, self._piece(rest, ends=False)] if rest else pieces

    def _piece(self, lines: bytes, *, ends: bool) -> Piece:
        if lines.startswith(b" ") and not self._within:
            raise ReplyError("line that continues nothing")
        self._within = not ends
        return Piece(lines, ends)


def printable(text: str) -> str:
    """`text` in one line of at most MAX_WORDS characters, without control characters."""
    if text.isascii() and text.isprintable() and len(text) <= MAX_WORDS:
        return " ".join(text.split())
    clean = "".join(char if char.isprintable() else "\ufffd" for char in text[: 4 * MAX_WORDS])
    return " ".join(clean.split())[:MAX_WORDS]


def version(welcome: Reply) -> str:
    """Return 2.0.12 from `0001 BIRD 2.0.12 ready.`; ReplyError if it is another daemon's."""
    match = re.fullmatch(r"BIRD (\S+) ready\.", welcome.message)
    if welcome.code != 1 or match is None:
        raise ReplyError(f"this is not BIRD: {welcome.message!r}")
    return match[1]


_SAME_TIME = timedelta(seconds=1)


def status_times(status: Reply) -> tuple[str, str]:
    """Return `Last reboot on` and `Last reconfiguration on` of `show status`, as BIRD wrote them.

    They only serve to notice a change: `timeformat base` decides their format.
    """
    text = status.text
    return _after("Last reboot on ", text), _after("Last reconfiguration on ", text)


def has_moved(before: str, after: str) -> bool:
    """Return whether one of these times has changed.

    BIRD keeps them on its monotonic clock and adds an offset to show them, so the same time is
    shown some milliseconds apart; 1.6 rounds to seconds. Other formats are compared as text, and so
    is a time with a zone against one without.
    """
    try:
        apart = datetime.fromisoformat(after) - datetime.fromisoformat(before)
    except (ValueError, TypeError):
        return before != after
    return abs(apart) > _SAME_TIME


def _after(words: str, text: str) -> str:
    return text.partition(words)[2].partition("\n")[0].strip()
