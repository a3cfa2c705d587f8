"""Table: what `vtictl tunnels` shows. Pure.

Rules of this file:

* Name and state always stay, whatever is left out.
* The reason of a tunnel that is not up follows on lines of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.ctl.columns import ANY, Column, grid
from vtid.ctl.terminal import Line, wrapped
from vtid.ctl.view import algorithms, bgp_summary, newest, place
from vtid.units import size, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vtid.ctl.client import Json

STATES = ("error", "down", "holding", "pending", "up")
"""Those that need attention first."""

_COLOURS = {"up": "green", "pending": "yellow", "holding": "yellow", "error": "red"}


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
    Column("TUNNEL", 0, lambda one, _: str(one["tunnel"])),
    Column("STATE", 0, lambda one, _: _state(one), lambda one: _COLOURS.get(one["state"], "")),
    Column("SINCE", 2, lambda one, now: span(now - one["since"]) if one["since"] else "-"),
    Column("INTERFACE", 9, lambda one, _: place(one)),
    Column("PEER", 1, lambda one, _: _peer(one)),
    Column("SA", 6, lambda one, _: _sa_state(one)),
    Column("ESP", 5, lambda one, _: _esp(one)),
    Column("MTU", 3, lambda one, _: str(one["link"]["mtu"]) if one["link"] else "-"),
    Column("MSS", 8, lambda one, _: _mss(one)),
    Column("BGP", 4, lambda one, _: bgp_summary(one["bgp"])),
    Column("RX/TX", 7, lambda one, _: _traffic(one)),
)


def table(tunnels: Sequence[Json], now: float, columns: int) -> Iterator[Line]:
    """Write the table; `columns` is the width of the terminal, 0 for any."""
    titles, *rows = grid(_COLUMNS, tunnels, now, columns)
    yield titles
    for one, row in zip(tunnels, rows, strict=True):
        yield row
        if one["state"] != "up":
            yield from wrapped("    ", one["error"] or one["reason"], columns or ANY)


SORTS: dict[str, Callable[[Json], tuple[object, ...]]] = {
    "name": lambda _: (),
    "state": lambda one: (STATES.index(one["state"]),),
    "since": lambda one: (-one["since"],),
    "traffic": lambda one: (-traffic(one),),
    "peer": lambda one: (_peer(one),),
    "mtu": lambda one: (one["link"]["mtu"] if one["link"] else 0,),
}
"""Orders by name; tunnels that are equal in one of them stay in that of their names."""
