"""`vtictl debug-bundle`: one archive for whoever is to find out what is wrong.

Rules of this file:

* What goes in is a list (`MEMBERS`, `PROCESSES`, what `vtid --collect` has). It comes from vtid's
  own answers, in which secrets are hidden, and each text is scrubbed once more (`scrub`). No file
  of this machine is copied: neither configurations, nor keys, nor logs.
* It has addresses, names and identities of peers. Only its owner can read it; an existing file is
  never replaced.
* Each member has a largest size, and so has all of it.
* What cannot be had, or not in time, is a line in `missing.txt`: a bundle is needed most when
  something is down, or hangs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from vtid.ctl.client import OK, TROUBLE, USAGE, RemoteError, request
from vtid.ctl.help import explain
from vtid.ctl.output import add_output, show
from vtid.ctl.process import add_config, run_vtid
from vtid.ctl.remote import add_socket
from vtid.printable import escape
from vtid.scrub import QUOTES_VARS, scrub

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.remote import Subparsers

MEMBERS = {
    "summary.json": "/v1/summary",
    "status.json": "/v1/status",
    "plan.json": "/v1/plan",
    "bgp.json": "/v1/bgp",
    "recent.json": "/v1/recent",
    "metrics.txt": "/metrics",
}
"""What vtid is asked for, by name in the archive."""

PROCESSES = {"description.json": "--describe", "doctor.json": "--doctor"}
"""What a `vtid` of its own prints: the configuration without secrets with versions; findings."""

COLLECT = "--collect"
"""What prints the members that are about this machine: log, links, SAs, BIRD's protocols."""

PROCESS_LIMIT = 300.0
"""Seconds for a `vtid` of its own; it waits for charon and each BIRD for a minute at most."""

ANSWER_LIMIT, AGAIN_LIMIT = 30.0, 5.0
"""Seconds for an answer of the running vtid, and for others after one that did not come."""

MODE = 0o600

MEMBER_MAX, ALL_MAX = 16 * 1024 * 1024, 64 * 1024 * 1024
"""Characters of a member, and of all of them; the archive is some ten times smaller."""


def add_command(subparsers: Subparsers) -> None:
    """Add `debug-bundle`."""
    text = "write an archive for a bug report: state, configuration without secrets, log, versions"
    parser = subparsers.add_parser("debug-bundle", help=text)
    statuses = {OK: "it is written", TROUBLE: "it is not", USAGE: "wrong usage"}
    explain(parser, text, statuses, "vtictl debug-bundle", "vtictl debug-bundle /tmp/vtid.tar.gz")
    text = "the archive, a new file (default: vtid-debug-TIME.tar.gz, here)"
    parser.add_argument("file", nargs="?", default="", metavar="FILE", help=text)
    add_config(parser)
    add_socket(parser)
    add_output(parser)
    parser.set_defaults(func=_bundle)


def _bundle(args: argparse.Namespace) -> int:
    path = args.file or time.strftime("vtid-debug-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime())
    missing: list[str] = []
    members = dict(_bounded(_members(args, missing), missing))
    members["missing.txt"] = "".join(f"{line}\n" for line in missing)
    try:
        write(path, members, time.time())
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"vtictl debug-bundle: {escape(path)}: {reason}", file=sys.stderr)  # noqa: T201
        return TROUBLE
    notes = (
        "It has addresses, names and identities of peers:",
        "look through it before you send it.",
    )
    gaps = [f"! missing: {line}" for line in missing]
    show(args, {"file": path, "missing": missing}, [f"{path} is written.", *notes, *gaps])
    return OK


def _members(args: argparse.Namespace, missing: list[str]) -> Iterator[tuple[str, str]]:
    """Yield names and texts; add what cannot be had to `missing`."""
    for name, option in PROCESSES.items():
        if text := _printed(option, args.config, name, missing):
            yield name, text
    yield from _collected(args.config, missing)
    limit = ANSWER_LIMIT
    for name, target in MEMBERS.items():
        try:
            status, text = request(args.socket, "GET", target, limit)
        except RemoteError as error:
            missing.append(f"{name}: {error}")
            limit = AGAIN_LIMIT
            continue
        if status == 200:  # noqa: PLR2004 - HTTP OK
            yield name, _indented(text) if name.endswith(".json") else text
        else:
            missing.append(f"{name}: HTTP status {status}")


def _collected(config: str, missing: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what is about this machine."""
    if text := _printed(COLLECT, config, "log, links, SAs, BIRD", missing):
        found = json.loads(text)
        missing += found["missing"]
        yield from found["members"].items()


def _printed(option: str, config: str, what: str, missing: list[str]) -> str:
    """Return what a `vtid` of its own prints; empty, with a line in `missing`, if it does not."""
    from subprocess import TimeoutExpired  # noqa: PLC0415 - few commands need it

    try:
        done = run_vtid(option, f"--config={config}", limit=PROCESS_LIMIT)
    except TimeoutExpired:
        missing.append(f"{what}: vtid {option} did not end in {PROCESS_LIMIT:.0f} s")
        return ""
    if done.returncode:
        missing.append(f"{what}: vtid {option} ended with status {done.returncode}")
        return ""
    return done.stdout


def _bounded(members: Iterator[tuple[str, str]], missing: list[str]) -> Iterator[tuple[str, str]]:
    """Scrub each text, and cut what is too long: of a log the beginning, else the end."""
    room = ALL_MAX
    for name, text in members:
        most, clean = min(MEMBER_MAX, room), scrub(text)
        if len(clean) > most:
            missing.append(f"{name}: only {most} of {len(clean)} characters")
            clean = clean[-most:] if name == "log.txt" else clean[:most]
        room -= len(clean)
        yield name.replace("/", "_"), clean


def _indented(text: str) -> str:
    return json.dumps(json.loads(text, object_hook=_without_free_text), indent=1) + "\n"


_FREE = ("vars", "diff", "config_error", "quoted")
"""Keys of what may have anything: `vars` of the configuration, BIRD's file made from it, and what
an error quotes of them."""


def _without_free_text(found: Json) -> Json:
    subject = str(found.get("subject", ""))
    quotes = subject == "configuration" or subject.startswith("bird ") or found.get("refusal")
    free = (*_FREE, "error") if quotes else _FREE
    return {key: "…" if key in free and value else _cut(value) for key, value in found.items()}


def _cut(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value; of a text, what stands before a quote of the configuration."""
    if isinstance(value, str) and QUOTES_VARS in value:
        return f"{value.partition(QUOTES_VARS)[0]}{QUOTES_VARS}…"
    return value


def write(path: str, members: dict[str, str], now: float) -> None:
    """Write the archive. Raises OSError, also where the file is there already."""
    import io  # noqa: PLC0415 - only this command needs them
    import tarfile  # noqa: PLC0415

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with (
            os.fdopen(descriptor, "wb") as file,
            tarfile.open(fileobj=file, mode="w:gz") as archive,
        ):
            for name, text in members.items():
                data = text.encode("utf-8", "backslashreplace")
                info = tarfile.TarInfo(f"vtid-debug/{name}")
                info.size, info.mode, info.mtime = len(data), MODE, int(now)
                archive.addfile(info, io.BytesIO(data))
    except OSError:
        os.unlink(path)  # noqa: PTH108 - light; half an archive is none
        raise
