"""`vtictl tunnels`: the table of all tunnels, or of some.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TROUBLE, RemoteError, ask
from vtid.ctl.output import show
from vtid.ctl.remote import add_command
from vtid.ctl.table import SORTS, STATES, table
from vtid.ctl.terminal import print_lines, width
from vtid.units import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers
    from vtid.ctl.terminal import Line

NAMES_TIMEOUT = 2.0
"""Seconds: somebody waits for the completion of a word."""

_EXAMPLES = (
    "vtictl tunnels --state error,down --sort since",
    "vtictl tunnels --peer '192.0.2.*' --wide",
    "vtictl tunnels --watch 5",
)

_CLEAR = "\x1b[H\x1b[2J"


def add_commands(subparsers: Subparsers) -> None:
    """Add `tunnels`."""
    text = "show the tunnels, and why one is not up"
    trouble = "one of those that are shown is in error"
    parser = add_command(subparsers, "tunnels", _tunnels, text, trouble, *_EXAMPLES)
    text = f"only those in these states, with commas between: {', '.join(STATES)}"
    parser.add_argument("--state", type=_states, metavar="STATES", help=text)
    text = "only of this address or identity; `*` is any"
    parser.add_argument("--peer", default="", metavar="PEER", help=text)
    text = "only of this connection, or CONNECTION/CHILD; `*` is any"
    parser.add_argument("--policy", default="", metavar="POLICY", help=text)
    parser.add_argument("--names", action="store_true", help="print the names of all, and no more")
    parser.add_argument("--sort", choices=SORTS, default="name", help="order (default: name)")
    parser.add_argument("--wide", action="store_true", help="show all columns")
    parser.add_argument(
        "--watch",
        type=_seconds,
        nargs="?",
        const=2.0,
        metavar="SECONDS",
        help="show it again and again, every 2 seconds by default, until interrupted",
    )


def _states(text: str) -> str:
    for word in text.split(","):
        if word not in STATES:
            raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(STATES)}")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:  # noqa: PLR2004 - a tenth of a second to a day
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 86400")
    return seconds


def _tunnels(args: argparse.Namespace) -> int:
    if args.names:
        return _names(args)
    while args.watch:
        if sys.stdout.isatty():
            sys.stdout.write(_CLEAR)
        try:
            _once(args)
        except RemoteError as error:  # it may come back
            print_lines([str(error)])
        sys.stdout.flush()
        time.sleep(args.watch)
    return _once(args)


def _names(args: argparse.Namespace) -> int:
    answer = ask(args.socket, "GET", "/v1/names", NAMES_TIMEOUT)
    show(args, answer, answer["tunnels"])
    return OK


def _once(args: argparse.Namespace) -> int:
    from urllib.parse import urlencode  # noqa: PLC0415 - only here

    wanted = {name: getattr(args, name) for name in ("state", "peer", "policy")}
    query = urlencode({name: text for name, text in wanted.items() if text})
    answer = ask(args.socket, "GET", f"/v1/tunnels?{query}")
    answer["tunnels"].sort(key=SORTS[args.sort])
    show(args, answer, _lines(answer, time.time(), args, whole=not query))
    return TROUBLE if any(one["state"] == "error" for one in answer["tunnels"]) else OK


def _lines(answer: Json, now: float, args: argparse.Namespace, *, whole: bool) -> Iterator[Line]:
    if answer["tunnels"]:
        yield from table(answer["tunnels"], now, 0 if args.wide else width())
    else:
        yield "no tunnels" if whole else "no such tunnels"
    if not whole:
        return
    yield from (_pattern(one) for one in answer["patterns"])
    yield from (_initiation(one, now) for one in answer["initiations"] if not one["up"])


def _pattern(one: Json) -> str:
    tunnels = "1 tunnel" if one["tunnels"] == 1 else f"{one['tunnels']} tunnels"
    return f"policy  {one['policy']} ({one['interface']}): {tunnels}, {one['up']} up"


def _initiation(one: Json, now: float) -> str:
    asked = f"charon  asked {one['asked']} times to initiate {one['connection']}/{one['child']}"
    return asked + (f", next in {span(one['next_at'] - now)}" if one["next_at"] > now else "")
