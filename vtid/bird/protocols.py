"""BIRD's protocols and BFD sessions: the text of `show` commands to `BgpState`s. Pure.

Rules of this file:

* `ProtocolReader.feed()` takes whole lines in pieces of any size and keeps one protocol's text at a
  time: 10,000 sessions are 20 MB. What it has read is in `bgp` and `bfd`.
* BIRD prints times in the format its administrator chose; a time that cannot be parsed is 0.
* 1.6 has no channels: a protocol counts as its own only channel, of the daemon's family.
* Text from neighbours (RFC 9003 shutdown messages) is hostile and goes through `printable`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from vtid.bird.quote import QUOTABLE
from vtid.bird.reply import Reply, ReplyError, printable
from vtid.model.bgp import (
    EXPORT_UPDATES,
    EXPORT_WITHDRAWS,
    IMPORT_UPDATES,
    IMPORT_WITHDRAWS,
    BgpChannel,
    BgpState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_Facts: TypeAlias = dict[str, Any]
"""Fields of a `BgpChannel`, as far as they are read."""

MAX_SECTION = 1024 * 1024
"""Longest text of one protocol, in characters; a BGP session with two channels has 3 KB."""

_NEXT = "\n1002-"

_DETAIL = re.compile(
    r"^(?:1006-| ) *(?:(Neighbor address|Last error|State|Routes|(?:Import|Receive|Export) limit"
    r"|(?:Im|Ex)port (?:updates|withdraws)):|(Channel)) *(.*)$",
    re.MULTILINE,
)
_COUNT = re.compile(r"(\d{1,18}) (imported|filtered|exported|preferred)\b", re.ASCII)

_COLUMNS = {"received": 0, "rejected": 1, "filtered": 2, "ignored": 3, "accepted": -1}
"""Of `Route change stats`; before the last, BIRD 3 has two more, for limits."""
_COLUMNS_MIN = 5

_CHANGES = {
    row: (row.lower().replace(" ", "_"), tuple(_COLUMNS[result] for result in results))
    for row, results in (
        ("Import updates", IMPORT_UPDATES),
        ("Import withdraws", IMPORT_WITHDRAWS),
        ("Export updates", EXPORT_UPDATES),
        ("Export withdraws", EXPORT_WITHDRAWS),
    )
}
"""Field of a `BgpChannel` for each row, and the columns that it has."""

_NUMBER = re.compile(r"\d{1,18}", re.ASCII)

_BFD_SESSION = re.compile(
    r"^(?:1020-| ) *([0-9a-f.:]+) +(\S+) +(Up|Down|Init|AdminDown) (.*)$",
    re.ASCII | re.MULTILINE,
)
_BFD_TIMES = re.compile(r" *(.*?) +(\d{1,6}\.\d{1,6}) +(\d{1,6}\.\d{1,6}) *", re.ASCII)


# --- times ---------------------------------------------------------------------------------------

_TIME = re.compile(r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d(\.\d{1,6})?", re.ASCII)
_ZONE_STEP = 900
"""Time zones differ by multiples of these seconds."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time that BIRD's clock shows, and the seconds by which its time zone is behind ours."""

    shows: datetime
    behind: float = 0.0

    def unix(self, text: str) -> float:
        """Return the Unix time of `2026-11-22 17:15:25` or, within a day, `17:15:25`; else 0."""
        match = _TIME.fullmatch(text)
        if match is None:
            return 0.0
        try:
            moment = datetime.fromisoformat(text) if match[1] else self._latest(text)
            return moment.timestamp() + self.behind
        except (ValueError, OverflowError):
            return 0.0

    def _latest(self, text: str) -> datetime:
        moment = datetime.combine(self.shows.date(), time.fromisoformat(text))
        tomorrow = moment > self.shows + timedelta(seconds=1)
        return moment - timedelta(days=1) if tomorrow else moment


def clock(status: Reply, now: float) -> Clock:
    """Read BIRD's clock from `show status`, asked at Unix time `now`; ours if it shows none."""
    ours = datetime.fromtimestamp(now)  # noqa: DTZ006 - BIRD's times are local ones without zone
    text = status.text.partition("Current server time is ")[2].partition("\n")[0].strip()
    try:
        shows = datetime.fromisoformat(text)
    except ValueError:
        return Clock(ours)
    if shows.tzinfo:  # as with `timeformat base "%FT%T%z"`
        return Clock(ours)
    return Clock(shows, round((ours - shows).total_seconds() / _ZONE_STEP) * _ZONE_STEP)


# --- show protocols all --------------------------------------------------------------------------


class ProtocolReader:
    """Reads `show protocols all` of the BIRD called `bird`; `family` is that of a daemon of 1.6."""

    def __init__(self, bird: str, clock: Clock, family: str = "") -> None:
        self.bgp: list[BgpState] = []
        self.bfd: list[str] = []
        """Names of the BFD protocols that are up."""
        self._bird, self._clock, self._family = bird, clock, family
        self._rest = ""

    def feed(self, lines: bytes) -> None:
        """Take whole lines; raises ReplyError where they are not what BIRD shows."""
        *sections, self._rest = (self._rest + "\n" + lines.decode("utf-8", "replace")).split(_NEXT)
        for section in sections:
            self._read(section)
        if len(self._rest) > MAX_SECTION:
            raise ReplyError(f"protocol of over {MAX_SECTION} characters")
        self._rest = self._rest.removesuffix("\n")

    def close(self) -> None:
        """Read the last protocol; raises ReplyError."""
        self._read(self._rest)
        self._rest = ""

    def _read(self, section: str) -> None:
        """Read one protocol, whose heading is `%-10s %-10s %-10s %-6s %-12s  %s`.

        The columns are name, protocol, table, state, since and info; since can hold one space.
        """
        heading, _, details = section.partition("\n")
        if not heading:
            return  # what stands before the first protocol
        columns = heading.split(None, 4)
        if len(columns) < 5:  # noqa: PLR2004 - since and info, which can be empty, are the fifth
            raise ReplyError(f"protocol without a state: {printable(heading)!r}")
        name, protocol, _, state, rest = columns
        if protocol == "BFD" and state == "up" and QUOTABLE.fullmatch(name):
            self.bfd.append(name)
        if protocol == "BGP":
            since, _, info = rest.partition("  ")
            self.bgp.append(self._bgp(BgpState(name, state, info, since.strip()), details))

    def _bgp(self, heading: BgpState, details: str) -> BgpState:
        neighbor = last_error = ""
        channels: list[_Facts] = [{"family": self._family}] if self._family else []
        for key, channel, value in _DETAIL.findall(details):
            if key == "Neighbor address":
                neighbor = value
            elif key == "Last error":
                last_error = value
            elif channel:
                channels.append({"family": printable(value)})
            elif channels:
                _add(channels[-1], key, value)
        address, _, interface = printable(neighbor).partition("%")
        return replace(
            heading,
            protocol=printable(heading.protocol),
            info=printable(heading.info),
            since_at=self._clock.unix(heading.since),
            neighbor=address,
            interface=interface,
            last_error=printable(last_error),
            channels=tuple(BgpChannel(**facts) for facts in channels),
            bird=self._bird,
        )


def _add(channel: _Facts, key: str, value: str) -> None:
    """Add one detail to the facts of a channel."""
    if key in _CHANGES:
        field, columns = _CHANGES[key]
        cells = value.split()
        if len(cells) >= _COLUMNS_MIN:
            chosen = [cells[column] for column in columns]
            if all(map(_NUMBER.fullmatch, chosen)):
                channel[field] = tuple(map(int, chosen))
    elif key == "State":
        channel["state"] = printable(value)
    elif key == "Routes":
        channel.update((word, int(count)) for count, word in _COUNT.findall(value))
    elif value.endswith("[HIT]"):
        word = key.partition(" ")[0].lower()
        channel["limits_hit"] = (*channel.get("limits_hit", ()), word)


# --- show bfd sessions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BfdSession:
    """A BFD session; times are in seconds, as those of `BgpState`."""

    address: str
    interface: str
    """`---` over several hops."""
    state: str
    since_at: float = 0.0
    interval: float = 0.0
    timeout: float = 0.0


def bfd_sessions(shown: Reply, clock: Clock) -> Iterator[BfdSession]:
    """Read `show bfd sessions`."""
    for address, interface, state, rest in _BFD_SESSION.findall(shown.text):
        found = _BFD_TIMES.fullmatch(rest)
        since, interval, timeout = found.groups() if found else ("", "0", "0")
        times = clock.unix(since), float(interval), float(timeout)
        yield BfdSession(address, printable(interface), state, *times)


def with_bfd(states: Iterable[BgpState], sessions: Iterable[BfdSession]) -> tuple[BgpState, ...]:
    """Give each BGP session the state of the BFD session towards its neighbour.

    A neighbour without interface is matched by its address alone.
    """
    known: dict[tuple[str, str], BfdSession] = {}
    for session in sessions:
        known[session.address, session.interface] = known[session.address, ""] = session
    return tuple(_with_bfd(one, known.get((one.neighbor, one.interface))) for one in states)


def _with_bfd(one: BgpState, session: BfdSession | None) -> BgpState:
    if session is None:
        return one
    return replace(
        one,
        bfd=session.state,
        bfd_since_at=session.since_at,
        bfd_interval=session.interval,
        bfd_timeout=session.timeout,
    )
