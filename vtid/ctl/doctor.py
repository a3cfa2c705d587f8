"""`vtictl doctor`: what is wrong on this gateway and how to fix it, by `vtid --doctor`.

It needs no daemon: it asks charon and the kernel itself. What it finds is in docs/doctor.md.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, TROUBLE, USAGE
from vtid.ctl.help import explain
from vtid.ctl.output import add_output, show
from vtid.ctl.process import add_config, run_vtid
from vtid.printable import escape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers


_BAD_USE = "wrong usage, or a configuration that cannot be used"


def add_command(subparsers: Subparsers) -> None:
    """Add `doctor`."""
    text = "say what is wrong between vtid, charon and this machine, and how to fix it"
    parser = subparsers.add_parser("doctor", help=text)
    statuses = {OK: "nothing found", TROUBLE: "something found", USAGE: _BAD_USE}
    explain(parser, text, statuses, "vtictl doctor", "vtictl doctor -o json")
    add_config(parser)
    add_output(parser)
    parser.set_defaults(func=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    done = run_vtid("--doctor", f"--config={args.config}")
    if done.returncode:
        for line in done.stderr.splitlines():
            print(f"vtictl doctor: {escape(line)}", file=sys.stderr)  # noqa: T201 - the answer
        return USAGE
    answer = json.loads(done.stdout)
    show(args, answer, lines(answer["findings"], answer["not_seen"]))
    return TROUBLE if answer["findings"] else OK


def lines(findings: list[Json], not_seen: list[Json]) -> Iterator[str]:
    """Write findings for people, and what was not looked at."""
    if not findings:
        yield "nothing found" + (", of what could be looked at" if not_seen else "")
    for one in findings:
        yield f"{one['id']}: {one['subject']}"
        yield f"    {one['what']}"
        yield f"    fix: {one['fix']}"
    for gap in not_seen:
        yield f"not looked at: {gap['what']}: {gap['why']}"
