"""Commands of `vtictl` that ask the daemon, over its control socket.

Rules of this file:

* Standard library only, and what costs time to import is imported when a command runs.
* Answers may carry a peer's words: whatever is not printable is escaped before it reaches the
  terminal.
* Exit status: as in `client`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TO_DO, TROUBLE, RemoteError, ask, request
from vtid.ctl.help import OF_ALL, explain
from vtid.ctl.output import add_output, show
from vtid.ctl.progress import change
from vtid.ctl.screen import screen
from vtid.ctl.terminal import print_lines
from vtid.ctl.view import details, reloaded
from vtid.printable import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - no public name
    Command = Callable[[argparse.Namespace], int]

RELOAD_TIMEOUT = 300.0
"""Seconds: to read ten thousand tunnels takes its time."""

FLUSH_TIMEOUT = 900.0
"""Seconds to wait for the answer to a flush: thousands of tunnels take their time."""

RESYNC_TIMEOUT = 120.0
"""Seconds; vtid itself gives up after a minute."""

DEFAULT_SOCKET = "/run/vtid/control.sock"

# --- command line --------------------------------------------------------------------------------


def add_commands(subparsers: Subparsers) -> None:
    """Add the commands; each sets `func`, a function from the arguments to the exit status."""
    text, trouble = "show the daemon on one screen, and what is wrong", "something is in trouble"
    add_command(subparsers, "status", _status, text, trouble)
    text = "show one tunnel, with the reasons"
    examples = ("vtictl show V2-1", "vtictl show private/vti3 -o yaml")
    show = add_command(subparsers, "show", _show, text, "it is in error", *examples)
    text = "its name as `vtictl tunnels` shows it, or its interface after NETNS/"
    show.add_argument("tunnel", type=_named, metavar="TUNNEL", help=text)
    text = "read the configuration again, and say what changed when that is in effect"
    trouble = "it was refused, was not in effect in time, or something went wrong"
    add_command(subparsers, "reload", _reload, text, trouble)
    add_command(
        subparsers, "ready", _ready, "check readiness, for health checks", "it is not ready"
    )
    text = "read SAs, interfaces and clamps again, and correct what is not as it should be"
    add_command(subparsers, "resync", _resync, text, "it was not finished in time")
    text = "remove every interface, clamp and BIRD block of vtid; traffic stops"
    trouble, examples = "something was not removed", ("vtictl flush", "vtictl flush --yes")
    flush = add_command(subparsers, "flush", _flush, text, trouble, *examples)
    flush.add_argument("--yes", action="store_true", help="do not ask")
    text = "print the metrics as Prometheus gets them"
    add_command(subparsers, "metrics", _metrics, text, has_output=False)


def _named(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("an empty name: `vtictl tunnels` lists the tunnels")
    return text


def add_socket(parser: argparse.ArgumentParser, default: str = "") -> None:
    """Add the option that says where vtid listens."""
    parser.add_argument(
        "--socket",
        default=default or os.environ.get("VTID_SOCKET") or DEFAULT_SOCKET,
        metavar="PATH",
        help=f"vtid's control socket; by default $VTID_SOCKET or {DEFAULT_SOCKET}",
    )


def add_command(
    subparsers: Subparsers,
    name: str,
    command: Command,
    text: str,
    trouble: str = "",
    *examples: str,
    to_do: str = "",
    has_output: bool = True,
) -> argparse.ArgumentParser:
    """Add a command that asks the daemon.

    `trouble` and `to_do` say when its exit status is 1 and 2, where it can be; `has_output`
    whether it has `--output`.
    """
    parser = subparsers.add_parser(name, help=text)
    own = {status: words for status, words in ((TROUBLE, trouble), (TO_DO, to_do)) if words}
    explain(parser, text, OF_ALL | own, *(examples or (f"vtictl {name}",)))
    # before or behind the command; what stands behind counts
    add_socket(parser, default=argparse.SUPPRESS)
    if has_output:
        add_output(parser)
    parser.set_defaults(func=_guarded(command))
    return parser


def _guarded(command: Command) -> Command:
    """Turn a `RemoteError` into its line on stderr and its exit status."""

    def run(args: argparse.Namespace) -> int:
        try:
            return command(args)
        except RemoteError as error:
            print(f"vtictl: {escape(str(error))}", file=sys.stderr)  # noqa: T201 - the answer
            return error.status

    return run


# --- commands ------------------------------------------------------------------------------------


def _status(args: argparse.Namespace) -> int:
    summary = ask(args.socket, "GET", "/v1/summary")
    show(args, summary, screen(summary, time.time()))
    return TROUBLE if summary["troubles"] else OK


def _show(args: argparse.Namespace) -> int:
    from urllib.parse import quote  # noqa: PLC0415 - only this command needs it

    tunnel = ask(args.socket, "GET", f"/v1/tunnels/{quote(args.tunnel)}")
    show(args, tunnel, details(tunnel, time.time()))
    return TROUBLE if tunnel["state"] == "error" else OK


def _reload(args: argparse.Namespace) -> int:
    result = change(args.socket, "/v1/reload", RELOAD_TIMEOUT)
    show(args, result, reloaded(result))
    good = result["ok"] and result["finished"] and not result["problems"]
    return OK if good else TROUBLE


def _resync(args: argparse.Namespace) -> int:
    answer = change(args.socket, "/v1/resync", RESYNC_TIMEOUT)
    count = answer["operations"]
    lines = [f"{count} operations were needed" if count else "all was as it should be"]
    if not answer["finished"]:
        lines.append("! not finished yet: `vtictl status` says what is wrong")
    show(args, answer, lines)
    return OK if answer["finished"] else TROUBLE


def _ready(args: argparse.Namespace) -> int:
    status, body = request(args.socket, "GET", "/readyz")
    ready, lines = status == 200, body.rstrip("\n").split("\n")  # noqa: PLR2004 - HTTP OK
    show(args, {"ready": ready, "checks": lines[1:]}, lines)
    return OK if ready else TROUBLE


def _flush(args: argparse.Namespace) -> int:
    if not args.yes and not _confirmed():
        raise RemoteError("nothing was removed; answer `yes`, or give --yes")
    answer = change(args.socket, "/v1/flush", FLUSH_TIMEOUT)
    left = [f"! not removed: {line}" for line in answer["left"]]
    done = f"{answer['removed']} interfaces removed; `vtictl reload` brings them back"
    show(args, answer, [done, *left])
    return TROUBLE if answer["left"] else OK


def _confirmed() -> bool:
    print(  # noqa: T201 - a question, apart from the answer on stdout
        "This removes every interface, clamp and BIRD block of vtid; traffic stops. Type yes: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip() == "yes"


def _metrics(args: argparse.Namespace) -> int:
    _, body = request(args.socket, "GET", "/metrics")
    print_lines(body.rstrip("\n").split("\n"))
    return OK
