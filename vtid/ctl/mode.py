"""`vtictl pause`, `drain` and `resume`: what vtid does for a tunnel, until it is started again.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TIMEOUT, TROUBLE, USAGE, RemoteError
from vtid.ctl.output import show
from vtid.ctl.progress import change
from vtid.ctl.remote import add_command

if TYPE_CHECKING:
    import argparse

    from vtid.ctl.remote import Command, Subparsers

_COMMANDS = {
    "pause": ("paused", "leave tunnels as they are, whatever happens, for work by hand"),
    "drain": ("drained", "take BGP sessions and routes from tunnels, so that traffic leaves them"),
    "resume": ("managed", "look after paused or drained tunnels again"),
}
"""Mode and help of each command."""


def add_commands(subparsers: Subparsers) -> None:
    """Add `pause`, `drain` and `resume`."""
    trouble = "there is no such tunnel, or it was not finished in time"
    for name, (mode, text) in _COMMANDS.items():
        examples = (f"vtictl {name} V2-1 private/vti3", f"vtictl {name} --all")
        parser = add_command(subparsers, name, _setter(name, mode), text, trouble, *examples)
        parser.add_argument("--all", action="store_true", help="all, also those that come later")
        parser.add_argument("tunnel", nargs="*", metavar="TUNNEL", help="as in `vtictl tunnels`")


def _setter(name: str, mode: str) -> Command:
    def run(args: argparse.Namespace) -> int:
        if bool(args.tunnel) == args.all:
            raise RemoteError(f"{name}: name the tunnels, or say --all", USAGE)
        return _set(args, mode)

    return run


def _set(args: argparse.Namespace, mode: str) -> int:
    from urllib.parse import urlencode  # noqa: PLC0415 - only here

    query = urlencode([("mode", mode), *(("tunnel", name) for name in args.tunnel)])
    answer = change(args.socket, f"/v1/mode?{query}", TIMEOUT)
    count = answer["tunnels"]
    lines = [f"{count} tunnel{'' if count == 1 else 's'} {mode}"]
    if not answer["finished"]:
        lines.append("! not finished yet: `vtictl status` says what is wrong")
    show(args, answer, lines)
    return OK if answer["finished"] else TROUBLE
