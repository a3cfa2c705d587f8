"""`vtictl bgp`: the BGP sessions over tunnels, and why one is not there.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TROUBLE, ask
from vtid.ctl.columns import ANY, Column, grid
from vtid.ctl.output import show
from vtid.ctl.remote import add_command
from vtid.ctl.terminal import width, wrapped
from vtid.units import span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers
    from vtid.ctl.terminal import Line

TIMEOUT = 60.0


def add_commands(subparsers: Subparsers) -> None:
    """Add `bgp`."""
    text = "show the BGP sessions over tunnels, and why one is not established"
    trouble = "a session of a tunnel that is up is not established"
    examples = ("vtictl bgp --down", "vtictl bgp V2-1 --wide")
    parser = add_command(subparsers, "bgp", _bgp, text, trouble, *examples)
    parser.add_argument(
        "tunnel", nargs="?", default="", metavar="TUNNEL", help="only those of this tunnel"
    )
    parser.add_argument("--down", action="store_true", help="only those not established")
    parser.add_argument("--wide", action="store_true", help="also show protocol and our AS")


def _bgp(args: argparse.Namespace) -> int:
    from urllib.parse import urlencode  # noqa: PLC0415 - only here

    query = urlencode({"tunnel": args.tunnel} if args.tunnel else {})
    answer = ask(args.socket, "GET", f"/v1/bgp?{query}", TIMEOUT)
    if args.down:
        answer["sessions"] = [one for one in answer["sessions"] if not established(one)]
    show(args, answer, table(answer["sessions"], time.time(), 0 if args.wide else width()))
    bad = (one["tunnel_state"] == "up" and not established(one) for one in answer["sessions"])
    return TROUBLE if any(bad) else OK


def established(session: Json) -> bool:
    """Whether a session is Established (RFC 4271, section 8.2.2)."""
    return str(session["info"]).split(" ", 1)[0] == "Established"


def table(sessions: list[Json], now: float, columns: int) -> Iterator[Line]:
    """Write the table; `columns` is the width of the terminal, 0 for any."""
    if not sessions:
        yield "no sessions"
        return
    titles, *rows = grid(_COLUMNS, sessions, now, columns)
    yield titles
    for one, row in zip(sessions, rows, strict=True):
        yield row
        if reason := _reason(one):
            yield from wrapped("    ", reason, columns or ANY)
    up = sum(map(established, sessions))
    yield f"{up} of {len(sessions)} sessions established"


def _reason(session: Json) -> str:
    """Write what is wrong with a session, empty where all is well."""
    if session["missing"]:
        return str(session["missing"])
    limits = [
        f"{channel['family']}: {name} limit reached"
        for channel in session["channels"]
        for name in channel["limits_hit"]
    ]
    if not established(session):
        # BIRD's word for the state has the message of the socket behind it
        limits = [session["info"].partition(" ")[2].strip(), *limits]
        limits.append(f"last error: {session['last_error']}" if session["last_error"] else "")
    return "; ".join(filter(None, limits))


def _state(session: Json) -> str:
    if session["missing"]:
        return "missing"
    return str(session["info"].partition(" ")[0] or session["state"]).lower()


def _colour(session: Json) -> str:
    return "green" if established(session) else "red" if session["tunnel_state"] == "up" else ""


def _since(session: Json, now: float) -> str:
    if session["since_at"]:
        return span(now - session["since_at"])
    return session["since"] or "-"


def _routes(session: Json) -> str:
    """Write how many routes are imported and exported, of all families."""
    return "/".join(_sum(session, word) for word in ("imported", "exported"))


def _sum(session: Json, word: str) -> str:
    counts = [channel[word] for channel in session["channels"] if channel[word] is not None]
    return str(sum(counts)) if counts else "-"


_COLUMNS = (
    Column("TUNNEL", 0, lambda one, _: str(one["tunnel"])),
    Column("NEIGHBOUR", 0, lambda one, _: str(one["neighbor"])),
    Column("AS", 2, lambda one, _: str(one["remote_as"])),
    Column("STATE", 0, lambda one, _: _state(one), _colour),
    Column("SINCE", 1, _since),
    Column("IN/OUT", 3, lambda one, _: _routes(one)),
    Column("BFD", 4, lambda one, _: str(one["bfd"]).lower() or "-"),
    Column("BIRD", 5, lambda one, _: str(one["bird"])),
    Column("PROTOCOL", 6, lambda one, _: str(one["protocol"])),
    Column("OUR AS", 7, lambda one, _: str(one["local_as"])),
)
