"""What the pair prints: phases with their times, what a person wants to see, the table of checks.

All of it is kept, too, as `results` for the report.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.lab.report.results import Check, Phase, Results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.report.results import Command, GatewayState

WIDTH = 42


@dataclass(slots=True)
class Table:
    """The checks made so far, and the phases before them."""

    rows: list[Check] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    phase_started: float = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a part of the run, and tell when it is over."""
        self.begin()
        yield
        now = time.monotonic()
        phase = Phase(name, now - self.phase_started, now - self.started)
        self.phases.append(phase)
        print(f"[{phase.ended:6.1f} s] {name} ({phase.seconds:.1f} s)", flush=True)

    def begin(self) -> None:
        """Let the time of the next check run from now."""
        self.phase_started = time.monotonic()

    def add(
        self, name: str, *, passed: bool, detail: str, commands: Sequence[Command] = ()
    ) -> None:
        """Enter a check and print it at once."""
        now = time.monotonic()
        seconds = now - self.phase_started
        row = Check(name, passed, " ".join(detail.split()), seconds, tuple(commands))
        self.rows.append(row)
        print(f"[{now - self.started:6.1f} s] {_verdict(row)} {name} ({seconds:.1f} s)", flush=True)

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

    def results(
        self, lab: str, versions: tuple[tuple[str, str], ...], gateways: tuple[GatewayState, ...]
    ) -> Results:
        """Return all that has been seen, as plain data."""
        seconds = time.monotonic() - self.started
        return Results(lab, versions, seconds, tuple(self.phases), tuple(self.rows), (), gateways)


def _verdict(row: Check) -> str:
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
