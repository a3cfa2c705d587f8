"""`vtictl suggest`: a configuration for what charon has, by `vtid --suggest`. Needs no daemon."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TROUBLE, USAGE
from vtid.ctl.help import explain
from vtid.ctl.process import run_vtid
from vtid.ctl.terminal import print_lines
from vtid.printable import escape

if TYPE_CHECKING:
    import argparse

    from vtid.ctl.remote import Subparsers

DEFAULT_VICI = "/run/charon.vici"


def add_command(subparsers: Subparsers) -> None:
    """Add `suggest`."""
    text = "print a configuration for the connections and SAs that charon has"
    parser = subparsers.add_parser("suggest", help=text)
    statuses = {OK: "it is printed", TROUBLE: "charon cannot be asked", USAGE: "wrong usage"}
    explain(parser, text, statuses, "vtictl suggest >vtid.toml")
    text = "charon's VICI socket (default: %(default)s)"
    parser.add_argument("--vici", default=DEFAULT_VICI, metavar="SOCKET", help=text)
    parser.set_defaults(func=_suggest)


def _suggest(args: argparse.Namespace) -> int:
    done = run_vtid("--suggest", f"--vici={args.vici}")
    if done.returncode:
        print(f"vtictl suggest: {escape(done.stderr.strip())}", file=sys.stderr)  # noqa: T201
        return TROUBLE
    print_lines(done.stdout.splitlines())
    return OK
