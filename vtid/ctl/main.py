"""`vtictl`: the operator's command.

Rules of this file:

* It starts fast, so it imports nothing heavy: no dataclasses, aiohttp or rich.
* The commands are in files of their own; `mtu`, `check`, `suggest`, `doctor`, `debug-bundle` and
  `completion` need no daemon. Each parser has `func`: from the arguments to the exit status.

Exit status: 0 all is well, 1 trouble or refused, 2 `plan` has operations, 3 the daemon cannot be
reached, 64 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from vtid.ctl import (
    adopt,
    bgp,
    bird,
    bundle,
    check,
    completion,
    doctor,
    events,
    log_level,
    mode,
    mtu,
    plan,
    remote,
    sas,
    suggest,
    tunnels,
    wait,
)
from vtid.ctl.client import USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run `vtictl` with `argv`, by default the process's own, and return its exit status."""
    args = _parser().parse_args(argv)
    try:
        status: int = args.func(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        status = 0
    except OSError as error:
        print(f"vtictl: cannot write the answer: {error.strerror}", file=sys.stderr)  # noqa: T201
        status = 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    else:
        return status
    # nothing is left to flush at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


class _Parser(argparse.ArgumentParser):
    """Ends with EX_USAGE, as 2 is an answer of `plan`."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="vtictl",
        description="See and steer what vtid makes of strongSwan's SAs.",
        epilog="`vtictl COMMAND --help` explains a command, and has examples.",
    )
    remote.add_socket(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    remote.add_commands(commands)
    tunnels.add_commands(commands)
    sas.add_commands(commands)
    bgp.add_commands(commands)
    plan.add_commands(commands)
    bird.add_commands(commands)
    wait.add_commands(commands)
    events.add_commands(commands)
    mode.add_commands(commands)
    log_level.add_commands(commands)
    adopt.add_command(commands)
    check.add_command(commands)
    suggest.add_command(commands)
    doctor.add_command(commands)
    bundle.add_command(commands)
    mtu.add_command(commands)
    completion.add_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
