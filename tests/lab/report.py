"""What the lab prints: phases with their times, what a person wants to see, the table of checks."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = 42


@dataclass(frozen=True, slots=True)
class Row:
    """One check that was made."""

    name: str
    passed: bool
    detail: str
    seconds: float


@dataclass(slots=True)
class Table:
    """The checks made so far."""

    rows: list[Row] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    phase_started: float = 0.0

    @contextmanager
    def phase(self, name: str, *, quiet: bool = False) -> Iterator[None]:
        """Time what is done, and tell when it is over."""
        self.phase_started = time.monotonic()
        yield
        now = time.monotonic()
        if not quiet:
            print(
                f"[{now - self.started:6.1f} s] {name} ({now - self.phase_started:.1f} s)",
                flush=True,
            )

    def add(self, name: str, *, passed: bool, detail: str) -> None:
        """Enter a check and print it at once."""
        row = Row(name, passed, " ".join(detail.split()), time.monotonic() - self.phase_started)
        self.rows.append(row)
        now = time.monotonic() - self.started
        print(f"[{now:6.1f} s] {_verdict(row)} {name} ({row.seconds:.1f} s)", flush=True)

    def print(self) -> None:
        """Print the table and the closing line."""
        print("\n== checks ==")
        for row in self.rows:
            print(f"{_verdict(row)}  {row.name:{WIDTH}}  {row.detail}")
        passed = sum(row.passed for row in self.rows)
        print(f"\n{passed} passed, {len(self.rows) - passed} failed", flush=True)

    def exit_status(self) -> int:
        """0 if something was checked and all of it passed."""
        return 0 if self.rows and all(row.passed for row in self.rows) else 1


def _verdict(row: Row) -> str:
    return "PASS" if row.passed else "FAIL"


def show(title: str, command: Sequence[str] = (), text: str = "") -> None:
    """Print what a command says, or a text, under a title."""
    if command:
        result = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        text = result.stdout
    print(f"\n== {title} ==\n{text.rstrip()}", flush=True)
