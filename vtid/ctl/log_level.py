"""`vtictl log-level`: shows and changes the log level of vtid, or of one part of it.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, USAGE, RemoteError, ask
from vtid.ctl.columns import Column, grid
from vtid.ctl.output import show
from vtid.ctl.remote import add_command
from vtid.ctl.terminal import width
from vtid.units import span

if TYPE_CHECKING:
    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers

LEVELS = ("debug", "info", "warning", "error", "default")
SUBSYSTEMS = ("daemon", "core", "vici", "kernel", "nft", "bird", "http")

LONGEST = 7 * 86400
"""Seconds for which a level can be set."""

_EXAMPLES = (
    "vtictl log-level",
    "vtictl log-level vici debug --for 10m",
    "vtictl log-level default",
)

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_commands(subparsers: Subparsers) -> None:
    """Add `log-level`."""
    text = "show or change what vtid logs"
    parser = add_command(subparsers, "log-level", _log_level, text, "", *_EXAMPLES)
    parser.description = (
        "Show the log level of each part of vtid; with a level, change it for one part or all. "
        "A reload restores what is configured, and so does the level `default`."
    )
    text = f"part of vtid: {', '.join(SUBSYSTEMS)} (default: all)"
    words = (*SUBSYSTEMS, *LEVELS)  # the level alone comes first
    parser.add_argument("first", nargs="?", choices=words, metavar="SUBSYSTEM", help=text)
    text = f"lines from this level upwards: {', '.join(LEVELS)}"
    parser.add_argument("second", nargs="?", choices=LEVELS, metavar="LEVEL", help=text)
    parser.add_argument(
        "--for",
        dest="seconds",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="return to the configured level after a time such as 90s, 10m, 2h, 1d (at most 7d)",
    )


def duration(text: str) -> float:
    """Return the seconds of a time such as `10m`; without a unit it is seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    seconds = int(number) * _UNITS[unit] if number.isascii() and number.isdecimal() else 0
    if not 0 < seconds <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 10m, 2h; 7d at most")
    return float(seconds)


def _log_level(args: argparse.Namespace) -> int:
    from urllib.parse import urlencode  # noqa: PLC0415 - only here

    wanted = _wanted(args.first, args.second)
    if wanted:
        query = urlencode({**wanted, "seconds": args.seconds})
        answer = ask(args.socket, "POST", f"/v1/log-level?{query}")
    elif args.seconds:
        raise RemoteError("log-level: --for wants a LEVEL", USAGE)
    else:
        answer = ask(args.socket, "GET", "/v1/log-level")
    show(args, answer, grid(_COLUMNS, answer["levels"], time.time(), width()))
    return OK


def _wanted(first: str | None, second: str | None) -> dict[str, str]:
    """Return subsystem and level, nothing where none is given. Raises RemoteError."""
    if first is None:
        return {}
    subsystem, level = (first, second) if first in SUBSYSTEMS else ("", first)
    if level is None:
        raise RemoteError(f"log-level {first}: give a LEVEL: {', '.join(LEVELS)}", USAGE)
    if second is not None and level is first:
        raise RemoteError(f"log-level: {first!r} is a LEVEL; the SUBSYSTEM comes first", USAGE)
    return {"level": level, "subsystem": subsystem}


def returns(one: Json, now: float) -> str:
    """Write when a level returns to the configured one; empty where it is that."""
    if one["level"] == one["configured"]:
        return ""
    if not one["until"]:
        return f"then {one['configured']}, at the next reload"
    return f"then {one['configured']}, in {span(one['until'] - now)}"


def _colour(one: Json) -> str:
    return "" if one["level"] == one["configured"] else "yellow"


_COLUMNS = (
    Column("SUBSYSTEM", 0, lambda one, _: str(one["subsystem"])),
    Column("LEVEL", 0, lambda one, _: str(one["level"]), _colour),
    Column("", 1, returns),
)
