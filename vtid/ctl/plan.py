"""`vtictl plan`: what vtid would do, as the commands and the diff that a person can read.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

import os
import sys
from itertools import groupby
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TO_DO, TROUBLE, RemoteError, ask
from vtid.ctl.output import show
from vtid.ctl.remote import add_command
from vtid.printable import escape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers
    from vtid.ctl.terminal import Line

TIMEOUT = 300.0
"""Seconds: a configuration of ten thousand tunnels takes its time."""

CONFIG_MAX = 16 * 1024 * 1024
"""Bytes of a configuration; vtid takes no more."""

_EXAMPLES = (
    "vtictl plan",
    "vtictl plan --config /etc/vtid/vtid.toml.new",
    "vtictl plan --config - -o json <vtid.toml.new",
)

_COLOURS = {"+": "green", "-": "red"}

_INTERFACES = (("CreateLink", "create"), ("SetLink", "change"), ("DeleteLink", "delete"))


def add_commands(subparsers: Subparsers) -> None:
    """Add `plan`."""
    text = "show what vtid would do now, as commands and as a diff of BIRD's file"
    trouble, to_do = "the configuration is refused, or vtid cannot say", "there is something to do"
    plan = add_command(subparsers, "plan", _plan, text, trouble, *_EXAMPLES, to_do=to_do)
    plan.add_argument(
        "--config",
        metavar="FILE",
        help="show what a reload would do if the configuration were FILE; `-` is standard input",
    )


def _plan(args: argparse.Namespace) -> int:
    if args.config is None:
        answer = ask(args.socket, "GET", "/v1/plan", TIMEOUT)
    else:
        answer = _ask_for(args.socket, args.config)
    show(args, answer, lines(answer))
    if not answer["ok"]:
        return TROUBLE
    return TO_DO if answer["ops"] or _differs(answer["birds"]) else OK


def _ask_for(socket: str, file: str) -> Json:
    from urllib.parse import urlencode  # noqa: PLC0415 - only here

    name = "standard input" if file == "-" else file
    text = _text(file)
    if len(text) > CONFIG_MAX:
        raise RemoteError(f"{name}: larger than {CONFIG_MAX} bytes, which no configuration is")
    return ask(socket, "POST", f"/v1/plan?{urlencode({'file': name})}", TIMEOUT, text)


def _text(file: str) -> bytes:
    """Return a configuration, with the files of `conf.d` beside it. Raises RemoteError.

    They are read here: vtid's user may not be able to.
    """
    if file == "-":
        return sys.stdin.buffer.read(CONFIG_MAX + 1)
    folder = os.path.join(os.path.dirname(file), "conf.d")  # noqa: PTH118, PTH120 - see `_read`
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []  # noqa: PTH112, PTH208
    if names and os.stat(folder).st_uid not in {0, os.geteuid()}:  # noqa: PTH116
        raise RemoteError(f"{folder}: belongs to another user, and is part of what {file} says")
    text = _read(file)
    for name in names:
        if name.endswith(".toml") and not name.startswith("."):
            path = os.path.join(folder, name)  # noqa: PTH118
            text += f"\n\0file: {escape(path)}\n".encode() + _read(path, is_plain=True)
    return text


def _read(file: str, *, is_plain: bool = False) -> bytes:
    """Read a file; one that `is_plain` has to be a regular file. Raises RemoteError."""
    import stat  # noqa: PLC0415 - only here

    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | (os.O_NONBLOCK if is_plain else 0))
        with os.fdopen(descriptor, "rb") as source:
            if is_plain and not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RemoteError(f"{file}: is no regular file")
            return source.read(CONFIG_MAX + 1)
    except OSError as error:
        raise RemoteError(f"{file}: {error.strerror}") from error


def _differs(birds: list[Json]) -> bool:
    return any(bird["diff"] or bird["error"] for bird in birds)


def lines(plan: Json) -> Iterator[Line]:
    """Write the commands of each tunnel with their reason, the diffs, and how much it is."""
    from vtid.ctl.commands import commands  # noqa: PLC0415 - few commands need it

    if not plan["ok"]:
        yield "configuration refused:"
        yield from plan["errors"]
        return
    yield from (f"# {line}" for line in plan["changes"])
    yield from (f"# warning: {line}" for line in plan["warnings"])
    for (tunnel, reason), ops in groupby(plan["ops"], lambda op: (op["tunnel"], op["reason"])):
        if said := [line for op in ops for line in commands(op)]:
            yield f"# {tunnel}: {reason}"
            yield from said
    for bird in plan["birds"]:
        yield from _bird(bird)
    yield _count(plan)


def _bird(bird: Json) -> Iterator[Line]:
    if bird["error"]:
        yield ((f"! BIRD {bird['instance']}: {bird['error']}", "red"),)
    if bird["diff"]:
        yield f"# BIRD {bird['instance']}: birdc configure"
        of_diff = bird["diff"].rstrip("\n").split("\n")
        yield from (((line, _COLOURS.get(line[:1], "")),) for line in of_diff)


def _count(plan: Json) -> str:
    ops = plan["ops"]
    if not ops and not _differs(plan["birds"]):
        return "nothing to do"
    if not ops:
        return "# nothing else"
    interfaces = [
        f"{count} to {verb}"
        for name, verb in _INTERFACES
        if (count := sum(op["op"] == name for op in ops))
    ]
    tunnels = len({op["tunnel"] for op in ops})
    counted = f"{_number(len(ops), 'operation')} on {_number(tunnels, 'tunnel')}"
    return f"# {counted}" + (f"; interfaces: {', '.join(interfaces)}" if interfaces else "")


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
