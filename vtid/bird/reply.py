"""BIRD's control protocol, sans-IO: bytes in, replies out, and what the replies mean.

Rules of this file:

* `ReplyParser.receive()` takes bytes in any pieces and returns the replies that are complete.
* A line is `NNNN-text` (more follow), `NNNN text` (the last one), ` text` (more, same code) or
  `+text` (asynchronous, dropped); anything else is a `ReplyError`, after which the stream is out
  of step and must be closed (BIRD: nest/cli.c).
* What BIRD passes on from its neighbours (RFC 9003 shutdown messages) is hostile: control
  characters do not leave this file, and lengths are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from vtid.model import BgpState

MAX_LINE = 16 * 1024
"""Longest unfinished line that is kept, in bytes; BIRD's own limit is below 4 KiB."""

MAX_REPLY = 128 * 1024 * 1024
"""Longest reply taken, in bytes: some 3 KB for each of 40,000 BGP protocols."""

MAX_WORDS = 256
"""Longest message of a neighbour that is kept, in characters."""

CONFIGURATION_ERROR = 8002
FIRST_FAILURE = 8000
"""Reply codes: 0xxx to 2xxx success, 8xxx run-time error, 9xxx syntax error (doc/reply_codes)."""

LAST_LINE = re.compile(rb"\n\d{4} .*")
BAD_LINE = re.compile(rb"\n(?!\d{4}[ -]|[ +]|\Z)(.*)")
ASYNCHRONOUS = re.compile(rb"\n\+.*")
"""For whole lines with a newline in front: a literal beginning is what makes a search fast."""

PROTOCOL = re.compile(r"^1002-", re.MULTILINE)
DETAIL = re.compile(r"^(?:1006-| ) *(Neighbor address|Last error|Routes): *(.*)$", re.MULTILINE)


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
        """Whether BIRD did what it was asked."""
        return self.code < FIRST_FAILURE

    @property
    def message(self) -> str:
        """The words of the outcome in one printable line."""
        return printable(self._outcome[5:].decode("utf-8", "replace"))

    @property
    def _outcome(self) -> bytes:
        return self.data[:-1].rpartition(b"\n")[2]


class ReplyParser:
    """The receiving half of a control connection.

    It only finds where replies end, at the speed of regular expressions: 20 MB that tell of
    10,000 sessions pass through the event loop here, and are read for their meaning elsewhere.
    """

    def __init__(self) -> None:
        self._partial = b""
        self._reply = bytearray()

    def receive(self, data: bytes) -> list[Reply]:
        """Take `data` and return the replies it completes.

        Raises ReplyError on anything that BIRD does not send.
        """
        lines, newline, self._partial = (self._partial + data).rpartition(b"\n")
        if len(self._partial) > MAX_LINE:
            raise ReplyError(f"line of over {MAX_LINE} bytes")
        return self._take(lines) if newline else []

    def _take(self, lines: bytes) -> list[Reply]:
        """Take whole lines, the last one without its newline."""
        text = ASYNCHRONOUS.sub(b"", b"\n" + lines) + b"\n"
        bad = BAD_LINE.search(text)
        if bad:
            raise ReplyError(f"line without a code: {printable(bad[1].decode(errors='replace'))!r}")
        replies, start = [], 1
        for last in LAST_LINE.finditer(text):
            self._keep(text[start : last.end() + 1])
            replies.append(Reply(bytes(self._reply)))
            self._reply.clear()
            start = last.end() + 1
        self._keep(text[start:])
        return replies

    def _keep(self, lines: bytes) -> None:
        if lines.startswith(b" ") and not self._reply:
            raise ReplyError("line that continues nothing")
        self._reply += lines
        if len(self._reply) > MAX_REPLY:
            raise ReplyError(f"reply of over {MAX_REPLY} bytes")


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

    They are only good for telling whether they changed: `timeformat base` decides their look.
    """
    text = status.text
    return _after("Last reboot on ", text), _after("Last reconfiguration on ", text)


def has_moved(before: str, after: str) -> bool:
    """Tell another of these times from the same one told again.

    BIRD keeps them on its monotonic clock and adds an offset to show them, so that the same time is
    shown some milliseconds apart; 1.6 rounds to seconds. Other looks are compared as text.
    """
    try:
        apart = datetime.fromisoformat(after) - datetime.fromisoformat(before)
    except ValueError:
        return before != after
    return abs(apart) > _SAME_TIME


def _after(words: str, text: str) -> str:
    return text.partition(words)[2].partition("\n")[0].strip()


def bgp_states(protocols: Reply, bird: str = "") -> tuple[BgpState, ...]:
    """Return the BGP protocols of a BIRD's `show protocols all`, in its order; raises ReplyError.

    With thousands of sessions this takes a while: it belongs in a worker thread.
    """
    sections = PROTOCOL.split(protocols.text)[1:]
    states = (_bgp_state(section, bird) for section in sections)
    return tuple(state for state in states if state is not None)


def _bgp_state(section: str, bird: str) -> BgpState | None:
    """Read one protocol, whose heading is `%-10s %-10s %-10s %-6s %-12s  %s`; None if not BGP.

    The columns are name, protocol, table, state, since and info; since can hold one space.
    """
    heading, _, details = section.partition("\n")
    columns = heading.split(None, 4)
    if len(columns) < 5:  # noqa: PLR2004 - since and info, which can be empty, are the fifth
        raise ReplyError(f"protocol without a state: {printable(heading)!r}")
    name, protocol, _, state, rest = columns
    if protocol != "BGP":
        return None
    since, _, info = rest.partition("  ")
    bgp = BgpState(printable(name), state, printable(info), since.strip(), bird=bird)
    return _with_details(bgp, details)


def _with_details(state: BgpState, details: str) -> BgpState:
    found: dict[str, list[str]] = {"Neighbor address": [], "Last error": [], "Routes": []}
    for key, value in DETAIL.findall(details):
        found[key].append(value)
    return replace(
        state,
        neighbor=printable("".join(found["Neighbor address"][:1])).partition("%")[0],
        last_error=printable("".join(found["Last error"][:1])),
        imported=_total("imported", found["Routes"]),
        exported=_total("exported", found["Routes"]),
    )


def _total(word: str, routes: list[str]) -> int:
    """Sum over channels the number before `word` in `1 imported, 0 filtered, 1 exported, …`."""
    found = (re.search(rf"(\d+) {word}\b", line, re.ASCII) for line in routes)
    return sum(int(match[1]) for match in found if match)
