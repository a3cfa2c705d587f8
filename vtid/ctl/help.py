"""Help: what each command's `--help` says behind its arguments.

Rules of this file:

* Every command says what its exit statuses mean, and shows how it is called; a test parses the
  examples.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from vtid.ctl.client import OK, UNREACHABLE, USAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_ALL = {OK: "all is well, or done", UNREACHABLE: "vtid cannot be reached", USAGE: "wrong usage"}
"""Exit statuses of commands that ask the daemon."""

OF_NO_DAEMON = {OK: "all is well, or done", USAGE: "wrong usage"}
"""Exit statuses of the others."""


_STATUSES = "exit status:"


class _Formatter(argparse.HelpFormatter):
    """Wraps what a command does, and leaves the list below its arguments as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(_STATUSES) else super()._fill_text(text, width, indent)


def explain(
    parser: argparse.ArgumentParser, text: str, statuses: Mapping[int, str], *examples: str
) -> None:
    """Have a parser say what its command does, by which statuses it ends, and show examples."""
    parser.formatter_class = _Formatter
    parser.description = f"{text[0].upper()}{text[1:]}."
    lines = [_STATUSES, *(f"  {status:<2}  {statuses[status]}" for status in sorted(statuses))]
    lines += ["", "examples:", *(f"  {example}" for example in examples)]
    parser.epilog = "\n".join(lines)
