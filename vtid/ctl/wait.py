"""`vtictl wait`: waits until tunnels are as they should be, for scripts. And `vtictl version`.

Rules of this file:

* Those of `remote`.
* What is missing is told while it waits, on standard error (`progress`).
* While vtid cannot be reached, waiting goes on: it may be on its way up.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TROUBLE, UNREACHABLE, RemoteError, ask
from vtid.ctl.output import show
from vtid.ctl.progress import Progress
from vtid.ctl.remote import add_command
from vtid.ctl.screen import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers

_POLL = 0.2
"""Seconds between two looks."""

_SHOWN = 5
"""Lines about what is missing in the end."""


def add_commands(subparsers: Subparsers) -> None:
    """Add `wait` and `version`."""
    text, trouble = "wait until tunnels are up, down or in sync", "it did not come in time"
    examples = ("vtictl wait --for up V2-1", "vtictl wait --for synced --timeout 300")
    parser = add_command(subparsers, "wait", _wait, text, trouble, *examples)
    parser.add_argument(
        "--for",
        dest="state",
        choices=("up", "down", "synced"),
        required=True,
        help="what to wait for; synced: all is as it should be, and nothing is under way",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long at most (default: %(default).0f)",
    )
    parser.add_argument("tunnel", nargs="*", metavar="TUNNEL", help="only these (default: all)")
    text = "show the versions of vtictl and vtid"
    add_command(subparsers, "version", _version, text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def _wait(args: argparse.Namespace) -> int:
    deadline = time.monotonic() + args.timeout
    status, missing = _look(args)
    with Progress() as progress:
        while missing and (left := deadline - time.monotonic()) > 0:
            progress.tell(f"not {args.state} yet: {'; '.join(missing[:_SHOWN])}")
            time.sleep(min(_POLL, left))
            status, missing = _look(args)
    lines = [f"not {args.state} in {args.timeout:g} s:", *missing[:_SHOWN]] if missing else []
    if len(missing) > _SHOWN:
        lines.append(f"… and {len(missing) - _SHOWN} more")
    show(args, {"reached": not missing, "missing": missing}, lines)
    return status if missing else OK


def _look(args: argparse.Namespace) -> tuple[int, list[str]]:
    """Return what is missing, and the exit status if it stays so."""
    try:
        if args.tunnel:
            return TROUBLE, [line for name in args.tunnel for line in _of_one(args, name)]
        return TROUBLE, list(_of_all(ask(args.socket, "GET", "/v1/summary"), args.state))
    except RemoteError as error:
        return error.status, [str(error)]


def _of_one(args: argparse.Namespace, name: str) -> Iterator[str]:
    from urllib.parse import quote  # noqa: PLC0415 - only this command needs it

    try:
        tunnel = ask(args.socket, "GET", f"/v1/tunnels/{quote(name)}")
    except RemoteError as error:
        if not error.is_absent:
            raise
        if args.state != "down":  # one of a pattern exists only while it is up
            yield str(error)
        return
    reached = tunnel["synced"] if args.state == "synced" else tunnel["state"] == args.state
    if not reached:
        yield f"{name}: {tunnel['state']}, {tunnel['error'] or tunnel['reason']}"


def _of_all(summary: Json, wanted: str) -> Iterator[str]:
    if wanted != "synced":
        counts = ((state, summary["tunnels"][state]) for state in STATES if state != wanted)
        yield from (f"{count} {state}" for state, count in counts if count)
    elif not summary["synced"]:
        for one in summary["troubles"]:
            yield f"{one['subject']}: {one['error']}" if one["subject"] else one["error"]
        if not summary["troubles"]:
            yield "operations are under way, or a BIRD has yet to follow"


def _version(args: argparse.Namespace) -> int:
    from vtid import __version__  # noqa: PLC0415 - only this command needs it

    status, daemon, error = OK, "", ""
    try:
        daemon = ask(args.socket, "GET", "/v1/summary")["version"]
    except RemoteError as unreachable:
        status, error = UNREACHABLE, str(unreachable)
    lines = [f"vtictl  {__version__}", f"vtid    {daemon or error}"]
    show(args, {"vtictl": __version__, "vtid": daemon}, lines)
    return status
