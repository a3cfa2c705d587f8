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

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_commands(subparsers: Subparsers) -> None:
    """Add `log-level`."""
    text = "show or change what vtid logs, as `vtictl log-level vici debug --for 10m`"
    parser = add_command(subparsers, "log-level", _log_level, text, "never")
    parser.description = (
        "Show the log level of each part of vtid; with a level, change it for all parts or one. "
        "A reload restores what is configured, and so does the level `default`."
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[SUBSYSTEM] LEVEL",
        help=f"part, of {', '.join(SUBSYSTEMS)} (default: all); level, of {', '.join(LEVELS)}",
    )
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

    if not args.words and args.seconds:
        raise RemoteError("log-level: --for wants a LEVEL", USAGE)
    if args.words:
        query = urlencode({**_wanted(args.words), "seconds": args.seconds})
        answer = ask(args.socket, "POST", f"/v1/log-level?{query}")
    else:
        answer = ask(args.socket, "GET", "/v1/log-level")
    show(args, answer, grid(_COLUMNS, answer["levels"], time.time(), width()))
    return OK


def _wanted(words: list[str]) -> dict[str, str]:
    """Return subsystem and level; raises RemoteError."""
    *subsystems, level = words
    if len(subsystems) > 1:
        raise RemoteError("log-level: give at most SUBSYSTEM and LEVEL", USAGE)
    if level not in LEVELS:
        raise RemoteError(f"log-level: no level {level!r}; there are: {', '.join(LEVELS)}", USAGE)
    for one in subsystems:
        if one not in SUBSYSTEMS:
            known = ", ".join(SUBSYSTEMS)
            raise RemoteError(f"log-level: no subsystem {one!r}; there are: {known}", USAGE)
    return {"level": level, "subsystem": "".join(subsystems)}


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
