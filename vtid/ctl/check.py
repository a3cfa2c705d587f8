"""`vtictl check`: whether a configuration is good, by `vtid --check` as a process of its own.

What reads a configuration takes longer to import than all of `vtictl`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TROUBLE, USAGE
from vtid.ctl.help import explain
from vtid.ctl.output import add_output, show
from vtid.ctl.process import BY_DEFAULT, DEFAULT_CONFIG, run_vtid

if TYPE_CHECKING:
    import argparse

    from vtid.ctl.remote import Subparsers


WARNING = "warning: "
"""What a line of `vtid --check` begins with that is no error."""


def add_command(subparsers: Subparsers) -> None:
    """Add `check`."""
    text = "check a configuration, without using it"
    parser = subparsers.add_parser("check", help=text)
    statuses = {OK: "it is good", TROUBLE: "it is not", USAGE: "wrong usage"}
    explain(parser, text, statuses, "vtictl check", "vtictl check /etc/vtid/vtid.toml.new -o json")
    text = f"the configuration, {BY_DEFAULT}"
    parser.add_argument("file", nargs="?", default=DEFAULT_CONFIG, metavar="FILE", help=text)
    add_output(parser)
    parser.set_defaults(func=_check)


def _check(args: argparse.Namespace) -> int:
    done = run_vtid("--check", f"--config={args.file}")
    said, told = done.stdout.splitlines(), done.stderr.splitlines()
    good = done.returncode == 0
    warnings = [line.removeprefix(WARNING) for line in told if line.startswith(WARNING)]
    errors = [line for line in told if not line.startswith(WARNING)]
    show(args, {"ok": good, "errors": errors, "warnings": warnings}, [*said, *told])
    return OK if good else TROUBLE
