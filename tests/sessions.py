"""The recorded sessions of docs/sessions.md: what is typed there, and what was answered.

The page is its own script. Each line `$ COMMAND` of an indented block is run in the lab, in the
order of the page, and what stands below it is what the lab answered. To record it anew, after a
change of what is typed there as well (about a minute and a half):

    .venv/bin/python -m tests.lab.host run -- python3 -m pytest -p no:cacheprovider \
        /src/tests/life/test_sessions_lab.py -m lab; cp lab-out/sessions.md docs/

Rules of this file:

* Pure text. What is run, and where, is of tests/life/test_sessions_lab.py.
* What differs from run to run has a fixed value that looks like one: times, IDs, counters.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[1] / "docs" / "sessions.md"

_TYPED = re.compile(r"^ {4}\$ (.+)\n((?:\n* {4}(?!\$ ).*\n)*)", re.MULTILINE)
"""A command, and the lines below it."""

_FIXED = (
    (r"(?m:^)vtictl: (not \w+ yet: |\d+ of \d+ operations done, ).*\n", ""),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", "2026-03-02 09:30:12"),
    (r"(?<= )\d\d:\d\d:\d\d\.\d{3}", "09:30:12.345"),
    (r"(?m:^) +\w+(?= ago  )", "    42s"),
    (r"\b\d+h\d+m\b", "23h59m"),
    (r"\b(\d+m)?\d+s\b", "42s"),
    (r"\[\d+\]", "[1]"),
    (r"\{\d+\}", "{2}"),
    (r"\bindex \d+", "index 12"),
    (r"(?<= )\d+(\.\d+)?k/\d+(\.\d+)?k", "130k/130k"),
    (r"\bfe80:[0-9a-f:]+", "fe80::5efe:c000:201"),
    (r"\b\d+ of \d+ answered", "4 of 4 answered"),
    (r"\d+\.\d ms\b", "0.6 ms"),
    (r"\b\d+ (?=operations followed)", "4 "),
    (r"\bstrongSwan \d+(\.\d+)+", "strongSwan 5.9.8"),
    (r"\bBIRD \d+(\.\d+)+", "BIRD 2.0.12"),
    (r"\b0\+checkout", "1.0.0"),
)
"""What differs, and what stands for it."""


def typed(page: str) -> list[tuple[str, str]]:
    """Return the commands of the page with their answers, in order."""
    return [(found[1], _without_margin(found[2])) for found in _TYPED.finditer(page)]


def answered(page: str, answer: Callable[[str], str]) -> str:
    """Return the page with the answers that the commands have now."""

    def with_answer(found: re.Match[str]) -> str:
        lines = [f"$ {found[1]}", *answer(found[1]).splitlines()]
        return "".join(f"    {line}".rstrip() + "\n" for line in lines)

    return _TYPED.sub(with_answer, page)


def fixed(answer: str) -> str:
    """Return an answer with fixed values; the columns behind them stay where they are."""
    for pattern, value in _FIXED:
        answer = re.sub(rf"({pattern})(  +)?", lambda found: _padded(found, value), answer)  # noqa: B023 - called at once
    return answer


def _padded(found: re.Match[str], value: str) -> str:
    gap = found[found.re.groups] or ""
    return value + (gap and "  ").ljust(len(found[1]) + len(gap) - len(value)) if gap else value


def words(page: str) -> list[list[str]]:
    """Return the words of each command and answer: how wide a column was does not count."""
    return [[line, *answer.split()] for line, answer in typed(page)]


def _without_margin(lines: str) -> str:
    return re.sub(r"^ {4}", "", lines, flags=re.MULTILINE)
