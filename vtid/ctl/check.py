"""`vtictl check`: whether a configuration is good, by `vtid --check` as a process of its own.

What reads a configuration takes longer to import than all of `vtictl`. The process has the Python
and the vtid of this one, and imports nothing from the current directory.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import vtid
from vtid.ctl.client import OK, TROUBLE
from vtid.ctl.output import add_output, show

if TYPE_CHECKING:
    import argparse

    from vtid.ctl.remote import Subparsers

DEFAULT_CONFIG = "/etc/vtid/vtid.toml"


def add_command(subparsers: Subparsers) -> None:
    """Add `check`."""
    text = "check a configuration, without using it"
    parser = subparsers.add_parser(
        "check", help=text, description=text, epilog="exit status: 0 good, 1 not, 64 wrong usage"
    )
    parser.add_argument(
        "file", nargs="?", default=DEFAULT_CONFIG, metavar="FILE", help="default: %(default)s"
    )
    add_output(parser)
    parser.set_defaults(func=_check)


def _check(args: argparse.Namespace) -> int:
    import subprocess  # noqa: PLC0415 - only this command needs it

    command = [sys.executable, "-P", "-m", "vtid", "--check", f"--config={args.file}"]
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=_environment()
    )
    said, errors = done.stdout.splitlines(), done.stderr.splitlines()
    good = done.returncode == 0
    show(args, {"ok": good, "errors": errors}, [*said, *errors])
    return OK if good else TROUBLE


def _environment() -> dict[str, str]:
    """Return the environment in which that process finds the vtid of this one."""
    package = os.path.dirname(os.path.abspath(vtid.__file__))  # noqa: PTH100, PTH120 - light
    paths = [os.path.dirname(package), os.environ.get("PYTHONPATH", "")]  # noqa: PTH120
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
