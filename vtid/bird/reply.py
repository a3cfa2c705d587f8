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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.model import BgpState

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINE = 16 * 1024
"""Longest line taken, in bytes; BIRD's own limit is below 4 KiB."""

MAX_REPLY = 128 * 1024 * 1024
"""Longest reply taken, in bytes: some 3 KB for each of 40,000 BGP protocols."""

MAX_WORDS = 256
"""Longest message of a neighbour that is kept, in characters."""

CODED = re.compile(r"(\d{4})([ -])(.*)", re.ASCII | re.DOTALL)
CONFIGURATION_ERROR = 8002
PROTOCOL = 1002
DETAILS = 1006
"""Reply codes (BIRD: doc/reply_codes)."""


class ReplyError(Exception):
    """The bytes are not BIRD's control protocol."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a reply with the code it carries or inherits."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete reply; its last line tells the outcome."""

    lines: tuple[Line, ...]

    @property
    def code(self) -> int:
        """The code of the outcome: 0xxx success, 8xxx run-time error, 9xxx syntax error."""
        return self.lines[-1].code

    @property
    def ok(self) -> bool:
        """Whether BIRD did what it was asked."""
        return self.code < 8000  # noqa: PLR2004 - the first digit tells (BIRD: doc/reply_codes)

    @property
    def message(self) -> str:
        """The text of the outcome."""
        return self.lines[-1].text


class ReplyParser:
    """The receiving half of a control connection."""

    def __init__(self) -> None:
        self._partial = b""
        self._lines: list[Line] = []
        self._size = 0

    def receive(self, data: bytes) -> list[Reply]:
        """Take `data` and return the replies it completes.

        Raises ReplyError on anything that BIRD does not send.
        """
        *complete, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > MAX_LINE:
            raise ReplyError(f"line of over {MAX_LINE} bytes")
        return [reply for line in complete if (reply := self._take(line)) is not None]

    def _take(self, raw: bytes) -> Reply | None:
        self._size += len(raw) + 1
        if len(raw) > MAX_LINE or self._size > MAX_REPLY:
            raise ReplyError(f"reply of over {self._size - 1} bytes")
        text = raw.decode("utf-8", "replace").rstrip("\r")
        if text.startswith("+"):
            return None
        if text.startswith(" "):
            self._lines.append(Line(self._inherited(text), text[1:]))
            return None
        return self._coded(text)

    def _inherited(self, text: str) -> int:
        if not self._lines:
            raise ReplyError(f"continuation of nothing: {printable(text)!r}")
        return self._lines[-1].code

    def _coded(self, text: str) -> Reply | None:
        match = CODED.fullmatch(text)
        if match is None:
            raise ReplyError(f"line without a code: {printable(text)!r}")
        self._lines.append(Line(int(match[1]), match[3]))
        if match[2] == "-":
            return None
        reply = Reply(tuple(self._lines))
        self._lines, self._size = [], 0
        return reply


def printable(text: str) -> str:
    """`text` in one line of at most MAX_WORDS characters, without control characters."""
    clean = "".join(char if char.isprintable() else "\ufffd" for char in text[: 4 * MAX_WORDS])
    return " ".join(clean.split())[:MAX_WORDS]


def version(welcome: Reply) -> str:
    """Return 2.0.12 from `0001 BIRD 2.0.12 ready.`; ReplyError if it is another daemon's."""
    match = re.fullmatch(r"BIRD (\S+) ready\.", welcome.message.strip())
    if welcome.code != 1 or match is None:
        raise ReplyError(f"this is not BIRD: {printable(welcome.message)!r}")
    return printable(match[1])


def status_times(status: Reply) -> tuple[str, str]:
    """Return `Last reboot on` and `Last reconfiguration on` of `show status`, as BIRD wrote them.

    They are only good for telling whether they changed: `timeformat base` decides their look.
    """
    texts = [line.text.strip() for line in status.lines]
    return _after("Last reboot on ", texts), _after("Last reconfiguration on ", texts)


def _after(prefix: str, texts: list[str]) -> str:
    return next((text.removeprefix(prefix) for text in texts if text.startswith(prefix)), "")


def bgp_states(protocols: Reply) -> tuple[BgpState, ...]:
    """Return the BGP protocols of `show protocols all`, in BIRD's order."""
    return tuple(_bgp_state(*entry) for entry in _entries(protocols) if entry[1] == "BGP")


def _entries(protocols: Reply) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield name, protocol, the rest of the heading line, and the details of each protocol."""
    entry: tuple[str, str, str, list[str]] | None = None
    for line in protocols.lines:
        if line.code == DETAILS and entry is not None:
            entry[3].append(line.text.strip())
        if line.code != PROTOCOL:
            continue
        if entry is not None:
            yield entry
        entry = _heading(line.text)
    if entry is not None:
        yield entry


def _heading(text: str) -> tuple[str, str, str, list[str]]:
    """Split `%-10s %-10s %-10s %-6s %-12s  %s`: name, protocol, table, state, since, info."""
    columns = text.split(None, 3)
    if len(columns) < 4:  # noqa: PLR2004 - name, protocol, table and the rest
        raise ReplyError(f"protocol without a state: {printable(text)!r}")
    return columns[0], columns[1], columns[3], []


def _bgp_state(name: str, _: str, rest: str, details: list[str]) -> BgpState:
    state, _, times = rest.partition(" ")
    since, _, info = times.strip().partition("  ")
    fields = dict(detail.partition(":")[::2] for detail in details)
    routes = [detail for detail in details if detail.startswith("Routes:")]
    return BgpState(
        protocol=printable(name),
        state=printable(state),
        info=printable(info),
        since=printable(since),
        neighbor=printable(fields.get("Neighbor address", "")).partition("%")[0],
        last_error=printable(fields.get("Last error", "")),
        imported=_total("imported", routes),
        exported=_total("exported", routes),
    )


def _total(word: str, routes: list[str]) -> int:
    """Sum over channels the number before `word` in lines `Routes: 1 imported, …`."""
    found = (re.search(rf"(\d+) {word}\b", line, re.ASCII) for line in routes)
    return sum(int(match[1]) for match in found if match)
