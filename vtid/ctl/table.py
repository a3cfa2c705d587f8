"""Table: what `vtictl tunnels` shows. Pure.

Rules of this file:

* It is as wide as the terminal. Columns that do not fit are left out, those of `_COLUMNS` with the
  highest rank first; name and state always stay.
* The reason of a tunnel that is not up follows on lines of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vtid.ctl.terminal import Line, Span, wrapped
from vtid.ctl.view import algorithms, bgp_summary, newest, place
from vtid.printable import escape
from vtid.units import size, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vtid.ctl.client import Json

STATES = ("error", "down", "holding", "pending", "up")
"""Those that need attention first."""

_ANY = 1 << 20
"""Columns where all are welcome."""

_COLOURS = {"up": "green", "pending": "yellow", "holding": "yellow", "error": "red"}


class _Column(NamedTuple):
    title: str
    rank: int
    text: Callable[[Json, float], str]
    """From a tunnel and the time to the cell."""


def _state(tunnel: Json) -> str:
    mode = "" if tunnel["mode"] == "managed" else f",{tunnel['mode']}"
    return f"{tunnel['state']}{mode}"


def _peer(tunnel: Json) -> str:
    sa, link = newest(tunnel), tunnel["link"]
    return str(sa["remote_host"] if sa else link["remote"] if link else "-")


def _esp(tunnel: Json) -> str:
    sa = newest(tunnel)
    return algorithms(sa) if sa else "-"


def _sa_state(tunnel: Json) -> str:
    sa = newest(tunnel)
    return str(sa["state"]).lower() if sa else "-"


def _mss(tunnel: Json) -> str:
    return "{mss4}/{mss6}".format(**tunnel["clamp"]) if tunnel["clamp"] else "-"


def traffic(tunnel: Json) -> int:
    """Return the bytes that went through a tunnel since its interface was created."""
    counters = tunnel["counters"]
    return int(counters["rx_bytes"] + counters["tx_bytes"]) if counters else 0


def _traffic(tunnel: Json) -> str:
    counters = tunnel["counters"]
    return f"{size(counters['rx_bytes'])}/{size(counters['tx_bytes'])}" if counters else "-"


_COLUMNS = (
    _Column("TUNNEL", 0, lambda one, _: str(one["tunnel"])),
    _Column("STATE", 0, lambda one, _: _state(one)),
    _Column("SINCE", 2, lambda one, now: span(now - one["since"]) if one["since"] else "-"),
    _Column("INTERFACE", 9, lambda one, _: place(one)),
    _Column("PEER", 1, lambda one, _: _peer(one)),
    _Column("SA", 6, lambda one, _: _sa_state(one)),
    _Column("ESP", 5, lambda one, _: _esp(one)),
    _Column("MTU", 3, lambda one, _: str(one["link"]["mtu"]) if one["link"] else "-"),
    _Column("MSS", 8, lambda one, _: _mss(one)),
    _Column("BGP", 4, lambda one, _: bgp_summary(one["bgp"])),
    _Column("RX/TX", 7, lambda one, _: _traffic(one)),
)


def table(tunnels: Sequence[Json], now: float, columns: int) -> Iterator[Line]:
    """Write the table; `columns` is the width of the terminal, 0 for any."""
    cells = [[escape(column.text(one, now)) for column in _COLUMNS] for one in tunnels]
    widths = [
        max([len(column.title), *(len(row[index]) for row in cells)])
        for index, column in enumerate(_COLUMNS)
    ]
    shown = _fitting(widths, columns)
    yield _row([column.title for column in _COLUMNS], widths, shown, "")
    for one, row in zip(tunnels, cells, strict=True):
        yield _row(row, widths, shown, _COLOURS.get(one["state"], ""))
        if one["state"] != "up":
            yield from wrapped("    ", one["error"] or one["reason"], columns or _ANY)


def _fitting(widths: list[int], columns: int) -> list[int]:
    """Return the numbers of the columns that fit, in their order."""
    shown: list[int] = []
    room = columns or _ANY
    for index in sorted(range(len(_COLUMNS)), key=lambda index: _COLUMNS[index].rank):
        needs = widths[index] + (2 if shown else 0)
        if _COLUMNS[index].rank == 0 or needs <= room:
            shown.append(index)
            room -= needs
    return sorted(shown)


def _row(row: Sequence[str], widths: list[int], shown: list[int], colour: str) -> tuple[Span, ...]:
    """Write a row, its state in its colour."""
    spans = []
    for index in shown:
        gap = "  " if index != shown[-1] else ""
        width = widths[index] if gap else 0
        state = _COLUMNS[index].title == "STATE"
        spans.append((f"{row[index]:<{width}}{gap}", colour if state else ""))
    return tuple(spans)


SORTS: dict[str, Callable[[Json], tuple[object, ...]]] = {
    "name": lambda _: (),
    "state": lambda one: (STATES.index(one["state"]),),
    "since": lambda one: (-one["since"],),
    "traffic": lambda one: (-traffic(one),),
    "peer": lambda one: (_peer(one),),
    "mtu": lambda one: (one["link"]["mtu"] if one["link"] else 0,),
}
"""Orders by name; tunnels that are equal in one of them stay in that of their names."""
