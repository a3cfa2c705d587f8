"""Terminal: what `vtictl` writes to it, how wide that may be, and in which colours.

Rules of this file:

* Answers carry words of peers. Whatever is not printable is escaped here, at the last moment, so
  that no text can steer the terminal; colours are added after that.
* Colours only on a terminal that has them, and not where NO_COLOR is set (https://no-color.org).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from vtid.printable import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Span = tuple[str, str]
"""Text, and the name of its colour; empty for none."""
Line = str | tuple[Span, ...]

WIDTH = 80
"""Columns where nothing says how many there are."""

_COLOURS = {"red": "\x1b[31m", "green": "\x1b[32m", "yellow": "\x1b[33m"}
_PLAIN = "\x1b[0m"


def width() -> int:
    """Return the columns of the terminal: $COLUMNS, else those it has, else 80."""
    given = os.environ.get("COLUMNS", "")
    if given.isascii() and given.isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH
    except (OSError, ValueError):  # no terminal, or no file at all
        return WIDTH


def has_colours() -> bool:
    """Whether to write colours."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and sys.stdout.isatty()


def print_lines(lines: Iterable[Line]) -> None:
    """Print lines, whatever the terminal's encoding can show of them."""
    colours = has_colours()
    text = "".join(f"{_painted(line, colours=colours)}\n" for line in lines)
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _painted(line: Line, *, colours: bool) -> str:
    if isinstance(line, str):
        return escape(line)
    return "".join(
        f"{_COLOURS[colour]}{escape(text)}{_PLAIN}" if colour and colours else escape(text)
        for text, colour in line
    )


def wrapped(head: str, text: str, columns: int) -> Iterator[str]:
    """Break text into lines behind `head`, which the other lines leave free.

    Lines are broken between words, and a word that is longer than a line within.
    """
    margin = " " * len(head)
    line, begun = head, False
    for word in escape(text).split():
        rest = word
        if begun and len(line) + 1 + len(rest) > columns:
            yield line
            line, begun = margin, False
        line += " " * begun
        while len(line) + len(rest) > columns:
            cut = max(1, columns - len(line))
            yield line + rest[:cut]
            line, rest = margin, rest[cut:]
        line, begun = line + rest, True
    yield line.rstrip()
