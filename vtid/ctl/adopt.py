"""`vtictl adopt`: make interfaces that a script, networkd or a person made vtid's own.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.ctl import remote
from vtid.ctl.client import OK, TIMEOUT, TROUBLE, USAGE, RemoteError
from vtid.ctl.output import show
from vtid.ctl.progress import change

if TYPE_CHECKING:
    import argparse

    from vtid.ctl.remote import Subparsers


def add_command(subparsers: Subparsers) -> None:
    """Add `adopt`."""
    text = "make interfaces that others made vtid's own, if they are what its policies want"
    trouble = "one is not what its policy wants, or it was not finished in time"
    examples = ("vtictl adopt private/vti3", "vtictl adopt --all")
    parser = remote.add_command(subparsers, "adopt", _adopt, text, trouble, *examples)
    parser.add_argument("--all", action="store_true", help="all that are there and wanted")
    parser.add_argument(
        "interface",
        nargs="*",
        metavar="INTERFACE",
        help="name, after NETNS/ unless in vtid's own namespace",
    )


def _adopt(args: argparse.Namespace) -> int:
    if bool(args.interface) == args.all:
        raise RemoteError("adopt: name the interfaces, or say --all", USAGE)
    from urllib.parse import urlencode  # noqa: PLC0415 - only here

    query = urlencode([("interface", name) for name in args.interface])
    answer = change(args.socket, f"/v1/adopt?{query}", TIMEOUT)
    lines = [f"{name} is vtid's own now" for name in answer["adopted"]]
    lines += [f"! {line}" for line in answer["refused"]]
    if not answer["finished"]:
        lines.append("! not finished yet: `vtictl status` says what is wrong")
    show(args, answer, lines or ["there is nothing to adopt"])
    return OK if answer["finished"] and not answer["refused"] else TROUBLE
