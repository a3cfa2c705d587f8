"""`vtictl plan`: what vtid would do, as the commands and the diff that a person can read.

Rules of this file: those of `remote`.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TO_DO, ask
from vtid.ctl.output import show
from vtid.ctl.remote import add_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers
    from vtid.ctl.terminal import Line

_COLOURS = {"+": "green", "-": "red"}

_INTERFACES = (("CreateLink", "create"), ("SetLink", "change"), ("DeleteLink", "delete"))


def add_commands(subparsers: Subparsers) -> None:
    """Add `plan`."""
    text = "show what vtid would do now, as commands and as a diff of BIRD's file"
    add_command(subparsers, "plan", _plan, text, "vtid cannot say, 2 there is something")


def _plan(args: argparse.Namespace) -> int:
    answer = ask(args.socket, "GET", "/v1/plan")
    show(args, answer, lines(answer))
    return TO_DO if answer["ops"] else OK


def lines(plan: Json) -> Iterator[Line]:
    """Write the commands of each tunnel with their reason, the diffs, and how much it is."""
    from vtid.ctl.commands import commands  # noqa: PLC0415 - few commands need it

    for (tunnel, reason), ops in groupby(plan["ops"], lambda op: (op["tunnel"], op["reason"])):
        if said := [line for op in ops for line in commands(op)]:
            yield f"# {tunnel}: {reason}"
            yield from said
    for bird in plan["birds"]:
        yield from _bird(bird)
    yield _count(plan["ops"])


def _bird(bird: Json) -> Iterator[Line]:
    if bird["error"]:
        yield ((f"! BIRD {bird['instance']}: {bird['error']}", "red"),)
    if bird["diff"]:
        yield f"# BIRD {bird['instance']}: birdc configure"
        of_diff = bird["diff"].rstrip("\n").split("\n")
        yield from (((line, _COLOURS.get(line[:1], "")),) for line in of_diff)


def _count(ops: list[Json]) -> str:
    if not ops:
        return "nothing to do"
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
