"""`vtid` as a process of its own, for commands that need what takes long to import.

The process has the Python and the vtid of this one, and imports nothing from the current directory.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import vtid

if TYPE_CHECKING:
    import argparse
    from subprocess import CompletedProcess


_ELSE = "/etc/vtid/vtid.toml"

DEFAULT_CONFIG = os.environ.get("VTID_CONFIG") or _ELSE

BY_DEFAULT = f"by default $VTID_CONFIG or {_ELSE}"
"""For helps."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the configuration file which that process reads."""
    parser.add_argument(
        "--config",
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help=f"the configuration, {BY_DEFAULT}",
    )


def run_vtid(*arguments: str, limit: float | None = None) -> CompletedProcess[str]:
    """Run `vtid` with arguments to its end, and return what it printed and its exit status.

    It is killed after `limit` seconds, if there are any. Raises subprocess.TimeoutExpired.
    """
    import subprocess  # noqa: PLC0415 - few commands need it

    return subprocess.run(
        [sys.executable, "-P", "-m", "vtid", *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=_environment(),
        timeout=limit,
    )


def _environment() -> dict[str, str]:
    """Return the environment in which that process finds the vtid of this one."""
    package = os.path.dirname(os.path.abspath(vtid.__file__))  # noqa: PTH100, PTH120 - light
    paths = [os.path.dirname(package), os.environ.get("PYTHONPATH", "")]  # noqa: PTH120
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
