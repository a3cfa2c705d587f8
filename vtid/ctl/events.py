"""`vtictl events`: what happens, as it happens.

Rules of this file:

* Those of `remote`.
* Once connected, it goes on until it is interrupted: when vtid is restarted, it connects again and
  asks for what came in between.
* Each line is complete and written at once, so that a pipe has it, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from vtid.ctl.client import UNREACHABLE, RemoteError, ask
from vtid.ctl.output import SCHEMA_VERSION
from vtid.ctl.remote import add_command
from vtid.ctl.stream import messages
from vtid.ctl.terminal import print_lines
from vtid.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers
    from vtid.ctl.stream import Message
    from vtid.ctl.terminal import Line

_RETRY = 1.0
"""Seconds between two attempts to connect again."""

_COLOURS = {"error": "red", "critical": "red", "warning": "yellow"}
_GOOD = {"tunnel up", "BGP up", "charon connected", "BIRD connected", "peer answers again"}

_HEAD = ("id", "at", "level", "event", "tunnel", "peer", "detail")
"""What has its own place in a line; `id` has none."""

_GAPS = {
    "restarted": "vtid was started again: what came in between is in its log",
    "expired": "{missed} events are missing: vtid has the latest only",
}


_EXAMPLES = ("vtictl events", "vtictl events V2-1", "vtictl events --since all --json")


def add_commands(subparsers: Subparsers) -> None:
    """Add `events`."""
    text = "show what happens, as it happens"
    parser = add_command(
        subparsers,
        "events",
        _events,
        text,
        "vtid refused",
        *_EXAMPLES,
        has_output=False,
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object per line, with the ID of each event"
    )
    parser.add_argument(
        "--since",
        type=_id,
        default="",
        metavar="ID",
        help="start after this event; `all`: with those that vtid still has",
    )
    parser.add_argument("tunnel", nargs="*", metavar="TUNNEL", help="only about these")


def _id(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no ID of an event")
    return text


def _events(args: argparse.Namespace) -> int:
    for name in args.tunnel:
        _say_if_absent(args.socket, name)
    for message in _followed(args.socket, _target(args)):
        if message.data:
            _show(args, message)
    raise AssertionError  # it has no end


def _target(args: argparse.Namespace) -> str:
    from urllib.parse import urlencode  # noqa: PLC0415 - only few commands need it

    since = [("since", args.since)] if args.since else []
    query = urlencode(since + [("tunnel", name) for name in args.tunnel])
    return f"/v1/events?{query}" if query else "/v1/events"


def _followed(path: str, target: str) -> Iterator[Message]:
    """Yield messages for ever. Raises RemoteError where vtid cannot be reached at first."""
    last_id, told = "", True
    while True:
        try:
            for message in messages(path, target, last_id):
                last_id = message.id or last_id
                told = False
                yield message
            why = f"vtid ended the connection on {path}"
        except RemoteError as error:
            if error.status != UNREACHABLE or not last_id:
                raise
            why = str(error)
        if not told:
            _say(f"{why}; trying again until it is back")
        told = True
        time.sleep(_RETRY)


def _say_if_absent(path: str, name: str) -> None:
    from urllib.parse import quote  # noqa: PLC0415 - as above

    try:
        ask(path, "GET", f"/v1/tunnels/{quote(name)}")
    except RemoteError as error:
        if not error.is_absent:
            raise
        _say(f"{error}; waiting for it")


def _say(text: str) -> None:
    print(f"vtictl: {escape(text)}", file=sys.stderr, flush=True)  # noqa: T201 - not an event


def _show(args: argparse.Namespace, message: Message) -> None:
    event: Json = json.loads(message.data)
    if args.json:
        print(json.dumps({"schema_version": SCHEMA_VERSION, **event}))  # noqa: T201 - the answer
    else:
        print_lines([_gap(event) if message.type == "gap" else line(event)])
    sys.stdout.flush()


def _gap(event: Json) -> Line:
    reason = str(event.get("reason"))
    words = _GAPS.get(reason, "events are missing: {reason}")
    return ((f"-- {words.format(missed=event.get('missed'), reason=reason)}", "yellow"),)


def line(event: Json) -> Line:
    """Return an event as a line for people, in local time."""
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.get("at", 0)))
    what = str(event.get("event", ""))
    colour = _COLOURS.get(str(event.get("level")), "green" if what in _GOOD else "")
    peer = f" ({event['peer']})" if event.get("peer") else ""
    facts = [f"{key}={value}" for key, value in event.items() if key not in _HEAD]
    words = ", ".join(filter(None, (str(event.get("detail") or ""), " ".join(facts))))
    return (
        (f"{at}  {event.get('tunnel') or 'vtid'}{peer}: ", ""),
        (what, colour),
        (f": {words}" if words else "", ""),
    )
