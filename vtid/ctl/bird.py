"""`vtictl bird`: what vtid writes for BIRD.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TROUBLE, ask
from vtid.ctl.output import show
from vtid.ctl.remote import add_command

if TYPE_CHECKING:
    import argparse

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers


def add_commands(subparsers: Subparsers) -> None:
    """Add `bird render`."""
    parser = subparsers.add_parser(
        "bird",
        help="show what vtid writes for BIRD",
        description="Show what vtid writes for BIRD.",
        epilog="`vtictl bird render --help` has examples.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    render = add_command(
        commands,
        "render",
        _render,
        "show what would be written into BIRD's include file",
        "a file cannot be read or, with --diff, says something else",
        "vtictl bird render",
        "vtictl bird render private --diff",
    )
    render.add_argument("bird", nargs="?", default="", metavar="BIRD", help="only of this [[bird]]")
    render.add_argument("--diff", action="store_true", help="show how the file differs from it")
    render.add_argument("--passwords", action="store_true", help="do not hide passwords")


def _render(args: argparse.Namespace) -> int:
    from urllib.parse import urlencode  # noqa: PLC0415 - only this command needs it

    query = {"bird": args.bird, "passwords": "yes" if args.passwords else ""}
    answer = ask(args.socket, "GET", f"/v1/bird/files?{urlencode(query)}")
    files = answer["files"]
    show(args, answer, (line for file in files for line in _lines(file, diff=args.diff)))
    wrong = any(file["error"] or (args.diff and file["diff"]) for file in files)
    return TROUBLE if wrong else OK


def _lines(file: Json, *, diff: bool) -> list[str]:
    if file["error"]:
        return [f"# {file['instance']}: {file['error']}"]
    text: str = file["diff"] if diff else f"# {file['instance']}: {file['path']}\n{file['text']}"
    return text.splitlines()
