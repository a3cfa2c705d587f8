"""Preview: what would be written into an include file, and how that differs from it. Pure.

Rules of this file:

* Files of ours are compared block by block, in the order of their tunnels: the time grows with the
  blocks that differ, not with the square of all lines.
"""

from __future__ import annotations

import json
import re
from difflib import SequenceMatcher, unified_diff
from typing import TYPE_CHECKING

from vtid.bird.render import BEGIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Part = tuple[str, list[str]]
    """The tunnel of a block, empty for what stands before the first one, and its lines."""

CONTEXT = 3
"""Lines around a change, within its block."""

_PASSWORD = re.compile(r'(\bpassword\s+)("[^"]*"?|\S+)', re.IGNORECASE)


def has_password(text: str) -> bool:
    """Return whether BIRD's configuration may have a password; fast on megabytes of text."""
    return "password" in text.lower()


def without_passwords(text: str) -> str:
    """Return BIRD's configuration, or a part of it, with `…` for every password."""
    return _PASSWORD.sub(r'\1"…"', text)


def difference(path: str, there: str, wanted: str) -> str:
    """Return the unified diff from the present file to the wanted one; empty if they are equal."""
    if there == wanted:
        return ""
    title = f"{path} (wanted)"
    try:
        parts = _paired(_parts(there), _parts(wanted))
    except ValueError:
        old, new = there.splitlines(keepends=True), wanted.splitlines(keepends=True)
        return "".join(unified_diff(old, new, path, title))
    return "".join((f"--- {path}\n", f"+++ {title}\n", *_hunks(parts)))


def _parts(text: str) -> list[Part]:
    """Split a file where its blocks begin. Raises ValueError where they are not in order."""
    parts: list[Part] = [("", [])]
    for line in text.splitlines(keepends=True):
        if line.startswith(BEGIN):
            tunnel = json.loads(line.removeprefix(BEGIN))
            if not isinstance(tunnel, str) or tunnel <= parts[-1][0]:
                raise ValueError(f"not in order: {line}")
            parts.append((tunnel, []))
        parts[-1][1].append(line)
    return parts


def _paired(old: list[Part], new: list[Part]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the lines of each tunnel in both files."""
    before, after = dict(old), dict(new)
    for tunnel in sorted(before | after):
        yield before.get(tunnel, []), after.get(tunnel, [])


def _hunks(parts: Iterator[tuple[list[str], list[str]]]) -> Iterator[str]:
    at_old = at_new = 0
    for old, new in parts:
        if old != new:
            matcher = SequenceMatcher(None, old, new, autojunk=False)
            for group in matcher.get_grouped_opcodes(CONTEXT):
                yield from _hunk(group, old, new, at_old, at_new)
        at_old, at_new = at_old + len(old), at_new + len(new)


def _hunk(
    group: Sequence[tuple[str, int, int, int, int]],
    old: list[str],
    new: list[str],
    at_old: int,
    at_new: int,
) -> Iterator[str]:
    """Write one hunk; the files' lines before the block are `at_old` and `at_new`."""
    (_, old_from, _, new_from, _), (_, _, old_to, _, new_to) = group[0], group[-1]
    old_range = _range(at_old + old_from, at_old + old_to)
    yield f"@@ -{old_range} +{_range(at_new + new_from, at_new + new_to)} @@\n"
    for tag, i, j, k, m in group:
        if tag == "equal":
            yield from (f" {line}" for line in old[i:j])
        else:
            yield from (f"-{line}" for line in old[i:j])
            yield from (f"+{line}" for line in new[k:m])


def _range(start: int, stop: int) -> str:
    """Write a range of lines as diff(1) does; one without lines names the line before."""
    length = stop - start
    return f"{start + 1}" if length == 1 else f"{start + bool(length)},{length}"
