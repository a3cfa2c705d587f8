"""Rules for a lab: failures that last minutes elsewhere take seconds there. Pure.

Every duration of a rule (`for:`, and the ranges of queries) is divided, down to what scrapes
can show; thresholds stay.
"""

from __future__ import annotations

import re

FACTOR = 60
"""A minute of the rules is a second of the lab."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_DURATION = re.compile(r"(?<=for: )(\d+)([smhd])\b|(?<=\[)(\d+)([smhd])(?=\])")

SHORTEST = 9
"""Seconds of a range: two scrapes have to be in it."""

LEAST_FOR = 7
"""Seconds that a condition has to last: a scrape fails now and then on a busy machine."""


def hasten(rules: str) -> str:
    """Return a file of rules with its durations in seconds of the lab."""
    return _DURATION.sub(_shorter, rules)


def _shorter(found: re.Match[str]) -> str:
    held = found[1] is not None
    number, unit = (found[1], found[2]) if held else (found[3], found[4])
    seconds = int(number) * _UNITS[unit] / FACTOR
    return f"{max(LEAST_FOR if held else SHORTEST, round(seconds))}s"
