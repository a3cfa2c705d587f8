"""`vtid`: arguments, logging, and then the daemon.

A check of a configuration imports neither the daemon nor what it needs, which takes longest.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vtid import __version__
from vtid.config.load import ConfigError
from vtid.daemon import slim

if TYPE_CHECKING:
    from vtid.daemon.config_file import Found

DEFAULT_CONFIG = Path("/etc/vtid/vtid.toml")

DEFAULT_VICI = "/run/charon.vici"

EX_CONFIG = 78
"""Exit status for a bad configuration (sysexits.h): a restart would not help."""


def main(argv: list[str] | None = None) -> int:
    """Run vtid. Return 0 after a stop or a good check, EX_CONFIG or 1 where it cannot start."""
    # SIGHUP before the daemon handles it must not end the process
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    args = _parser().parse_args(argv)
    if (status := _without_configuration(args)) is not None:
        return status
    return _look(args) if args.check or args.doctor else _run(args)


def _without_configuration(args: argparse.Namespace) -> int | None:
    """Answer what needs no good configuration; return None where that was not asked for."""
    if args.replay:
        return _replay(args.replay)
    if args.suggest:
        return _suggest(args.vici)
    if args.describe:
        from vtid.daemon.describe import description  # noqa: PLC0415 - see above

        print(description(args.config))  # noqa: T201 - the answer
        return 0
    if args.collect:
        from vtid.daemon.collect import collection  # noqa: PLC0415 - see above

        print(collection(args.config))  # noqa: T201 - the answer
        return 0
    return None


def _look(args: argparse.Namespace) -> int:
    """Say what is to be said of the configuration, or of the gateway that has it."""
    found = _load(args.config)
    if found is None:
        return 1 if args.check else EX_CONFIG
    if args.doctor:
        from vtid.daemon.doctor import diagnosis  # noqa: PLC0415 - see above

        print(diagnosis(found.config))  # noqa: T201 - the answer
        return 0
    for line in found.warnings:
        _complain(f"warning: {line}")
    files = f" in {found.files} files" if found.files > 1 else ""
    count = len(found.config.policies)
    print(f"{args.config}: good, {count} tunnels{files}")  # noqa: T201 - the answer
    return 0


def _run(args: argparse.Namespace) -> int:
    """Run the daemon until it is stopped; return 1 if it cannot start, EX_CONFIG if it must not."""
    with slim.left_out():
        found = _load(args.config)
        if found is None:
            return EX_CONFIG
        import asyncio  # noqa: PLC0415 - see above

        from vtid.daemon import log  # noqa: PLC0415
        from vtid.daemon.daemon import Daemon  # noqa: PLC0415
        from vtid.daemon.recording import RecordingError  # noqa: PLC0415
        from vtid.daemon.reload import warn  # noqa: PLC0415
        from vtid.http.journal import Journal  # noqa: PLC0415
        from vtid.http.server import ServerError  # noqa: PLC0415

    journal = Journal()
    level = args.log_level or found.config.daemon.log_level
    log.configure(level, tell=journal.add, is_fixed=bool(args.log_level))
    warn(found.warnings)
    try:
        daemon = Daemon(found.config, args.config, args.record, journal)
        del found  # a reload may leave nothing of it in use
        with asyncio.Runner(loop_factory=daemon.new_loop) as runner:
            runner.run(daemon.run())
    except (ServerError, RecordingError) as error:
        _complain(str(error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vtid", description="Keep VTIs, MTU, MSS, BGP and metrics in step with strongSwan."
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=os.environ.get("VTID_CONFIG") or DEFAULT_CONFIG,
        metavar="FILE",
        help=f"configuration, with conf.d beside it; by default $VTID_CONFIG or {DEFAULT_CONFIG}",
    )
    parser.add_argument("--check", action="store_true", help="check the configuration and exit")
    parser.add_argument(
        "--suggest",
        action="store_true",
        help="print a configuration for the connections and SAs that charon has, and exit",
    )
    parser.add_argument(
        "--doctor",
        action="store_true",
        help="print what is wrong on this gateway, as JSON, and exit; `vtictl doctor` shows it",
    )
    parser.add_argument(
        "--describe",
        action="store_true",
        help="print configuration without secrets, and versions, as JSON, and exit",
    )
    parser.add_argument(
        "--collect",
        action="store_true",
        help="print links, SAs, BIRD's protocols and the unit's log, as JSON, and exit; "
        "`vtictl debug-bundle` keeps them",
    )
    parser.add_argument(
        "--vici",
        default=DEFAULT_VICI,
        metavar="SOCKET",
        help="charon's VICI socket, for --suggest; default: %(default)s",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        help="lowest level that is logged, instead of `log_level`; a reload keeps it",
    )
    recordings = parser.add_mutually_exclusive_group()
    recordings.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write every input to FILE, as JSON lines, up to 1 GiB",
    )
    recordings.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="print the operations that a recording leads to; touches nothing",
    )
    parser.add_argument("--version", action="version", version=f"vtid {__version__}")
    return parser


def _load(path: Path) -> Found | None:
    from vtid.daemon import config_file  # noqa: PLC0415 - with hashlib, which `slim` keeps small

    try:
        return config_file.read(path)
    except ConfigError as error:
        for line in config_file.lines(error):
            _complain(line)
        return None


def _replay(path: Path) -> int:
    """Print the operations that a recording leads to; return 1 if it cannot be read."""
    from vtid.daemon.recording import RecordingError, Replay, op_line, read  # noqa: PLC0415

    try:
        seed, lines = read(path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError, RecordingError) as error:
        _complain(f"{path}: {error}")
        return 1
    for at, op in Replay(seed).tell(lines):
        print(op_line(at, op))  # noqa: T201 - the answer
    return 0


def _suggest(socket: str) -> int:
    """Print a configuration for what charon has; return 1 if it cannot be asked."""
    from vtid.daemon.suggest import suggestion  # noqa: PLC0415 - see above
    from vtid.vici.channel import ViciError  # noqa: PLC0415

    try:
        print(suggestion(socket), end="")  # noqa: T201 - the answer
    except ViciError as error:
        _complain(str(error))
        return 1
    return 0


def _complain(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - before and beside the log


if __name__ == "__main__":
    sys.exit(main())
