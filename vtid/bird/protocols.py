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
from typing import TYPE_CHECKING

from vtid.bird.quote import QUOTABLE
from vtid.bird.reply import Reply, ReplyError, printable
from vtid.model.bgp import BgpChannel, BgpState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_SECTION = 1024 * 1024
"""Longest text of one protocol, in characters; a BGP session with two channels has 3 KB."""

_NEXT = "\n1002-"

_DETAIL = re.compile(
    r"^(?:1006-| ) *(?:(Neighbor address|Last error|State|Routes|(?:Import|Receive|Export) limit):"
    r"|(Channel)) *(.*)$",
    re.MULTILINE,
)
_COUNT = re.compile(r"(\d{1,18}) (imported|filtered|exported|preferred)\b", re.ASCII)

_BFD_SESSION = re.compile(
    r"^(?:1020-| ) *([0-9a-f.:]+) +(\S+) +(Up|Down|Init|AdminDown) ", re.ASCII | re.MULTILINE
)


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
        channels = [BgpChannel(self._family)] if self._family else []
        for key, channel, value in _DETAIL.findall(details):
            if key == "Neighbor address":
                neighbor = value
            elif key == "Last error":
                last_error = value
            elif channel:
                channels.append(BgpChannel(printable(value)))
            elif channels:
                channels[-1] = _with(channels[-1], key, value)
        address, _, interface = printable(neighbor).partition("%")
        return replace(
            heading,
            protocol=printable(heading.protocol),
            info=printable(heading.info),
            since_at=self._clock.unix(heading.since),
            neighbor=address,
            interface=interface,
            last_error=printable(last_error),
            channels=tuple(channels),
            bird=self._bird,
        )


def _with(channel: BgpChannel, key: str, value: str) -> BgpChannel:
    """Add one detail to a channel."""
    match key:
        case "State":
            return replace(channel, state=printable(value))
        case "Routes":
            counts: dict[str, int] = {word: int(count) for count, word in _COUNT.findall(value)}
            return replace(channel, **counts)  # type: ignore[arg-type]
        case _:
            word = key.partition(" ")[0].lower()
            hits = (*channel.limits_hit, word) if value.endswith("[HIT]") else channel.limits_hit
            return replace(channel, limits_hit=hits)


# --- show bfd sessions ---------------------------------------------------------------------------


def bfd_sessions(shown: Reply) -> Iterator[tuple[str, str, str]]:
    """Read `show bfd sessions`: address, interface (`---` over several hops) and state of each."""
    for address, interface, state in _BFD_SESSION.findall(shown.text):
        yield address, printable(interface), state


def with_bfd(
    states: Iterable[BgpState], sessions: Iterable[tuple[str, str, str]]
) -> tuple[BgpState, ...]:
    """Give each BGP session the state of the BFD session towards its neighbour.

    A neighbour without interface is matched by its address alone.
    """
    known: dict[tuple[str, str], str] = {}
    for address, interface, state in sessions:
        known[address, interface] = known[address, ""] = state
    return tuple(
        replace(one, bfd=known.get((one.neighbor, one.interface), "")) if known else one
        for one in states
    )
