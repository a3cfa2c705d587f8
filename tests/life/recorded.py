"""What a vtid recorded while a test ran, as a case that can be told again without any peer.

A recording begins with vtid's start. A test begins later, and with nothing: so the case is what
vtid knew then (its configuration, and that there is nothing) and all that it was told from there
on, in steps.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

NOTHING: dict[str, dict[str, Any]] = {
    "SaSnapshot": {"sas": []},
    "LinkSnapshot": {"links": [], "addresses": []},
    "ClampSnapshot": {"clamps": []},
}
"""What a test begins with, in each namespace that vtid has looked at."""

TEMPORARY = re.compile(r"/\w+/vtid-\w+/")
"""Where the gateways had their files."""

LEAD = 1.0
"""Seconds between what was known and the first thing that happened."""


def steps(lines: Sequence[str], marks: Sequence[int]) -> list[list[str]]:
    """Cut a recording at line numbers; where the first is not vtid's start, there is nothing."""
    parts = [list(lines[one:other]) for one, other in pairwise([*marks, len(lines)])]
    begins = float(json.loads(lines[marks[0]])["at"]) if marks[0] < len(lines) else 0.0
    known = [
        json.dumps({"at": begins - LEAD, **line}, ensure_ascii=False)
        for line in _known([json.loads(line) for line in lines[1 : marks[0]]])
    ]
    return [[lines[0], *known, *parts[0]], *parts[1:]]


def write(folder: Path, parts: Sequence[Sequence[str]]) -> None:
    """Write the inputs of a case, a file a step."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(parts, 1):
        text = TEMPORARY.sub("/run/life/", "".join(f"{line}\n" for line in part))
        (folder / f"{number:02d}-input.jsonl").write_text(text)


def _known(before: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The configuration that was loaded last, and that there is nothing."""
    configurations = [line for line in before if "ConfigLoaded" in line]
    for line in configurations[-1:]:
        yield {"ConfigLoaded": line["ConfigLoaded"]}
    for kind, nothing in NOTHING.items():
        places = {line[kind].get("netns") for line in before if kind in line}
        for netns in sorted(places, key=str):
            yield {kind: nothing if netns is None else {"netns": netns, **nothing}}
