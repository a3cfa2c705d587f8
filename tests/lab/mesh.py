"""The whole lab: six gateways at three sites, run by vtid.

    R1 ── V1-1, V1-2 ── public segment ── V2-1, V2-2 ── R2, and the same for V3-1, V3-2 and R3

It runs inside the lab (`python -m tests.lab.host run -- python3 -m tests.lab.mesh`), checks what
must hold, brings about failures and measures them, and ends with `N passed, N failed`.

Rules of this file: whatever happens, daemons are ended and namespaces removed; what the daemons
said stays in the output folder.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vici.exception import CommandException

from tests.lab import (
    failures,
    forked,
    keep,
    mesh_checks,
    network,
    report,
    results,
    seen,
    stations,
)
from tests.lab.figures import ALL
from tests.lab.shell import CheckError, eventually
from tests.lab.transcript import transcript
from tests.lab.versions import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.failures import Scenario
    from tests.lab.mesh_checks import Check
    from tests.lab.stations import Mesh

OUT = Path("/out")
ERRORS = (
    CheckError,
    OSError,
    LookupError,
    ValueError,
    subprocess.TimeoutExpired,
    CommandException,
)
COMING_PATIENCE = 60.0
"""Seconds in which each next thing that has to come may come."""


class Record:
    """What has been seen so far; each thing is told when it is seen."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.phases: list[results.Phase] = []
        self.checks: list[results.Check] = []
        self.failures: list[results.Failure] = []

    def age(self) -> float:
        return time.monotonic() - self.started

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a part of the run."""
        before = self.age()
        try:
            yield
        finally:
            phase = results.Phase(name, self.age() - before, self.age())
            self.phases.append(phase)
            self._say(f"{name} ({phase.seconds:.1f} s)")

    def check(self, check: Check, mesh: Mesh, patience: float) -> None:
        """Make a check, again and again while it fails and there is patience."""
        before = self.age()
        passed, detail, commands = _attempts(partial(check.look, mesh), patience)
        row = results.Check(check.name, passed, detail, self.age() - before, commands)
        self.checks.append(row)
        self._say(f"{'PASS' if passed else 'FAIL'} {row.name} ({row.seconds:.1f} s): {detail}")

    def failure(self, scenario: Scenario, mesh: Mesh) -> None:
        """Bring about a failure and measure what it costs."""
        before = self.age()
        outages: tuple[results.Outage, ...] = ()
        with transcript() as commands:
            try:
                with failures.watching() as watch:
                    try:
                        detail = scenario.act(mesh, watch)
                    finally:
                        outages = watch.outages()
            except ERRORS as error:
                detail, passed = str(error) or repr(error), False
            else:
                passed = all(outage.seconds <= scenario.allowed for outage in outages)
        row = results.Failure(
            scenario.name,
            passed,
            detail,
            scenario.bound,
            scenario.allowed,
            self.age() - before,
            outages,
            tuple(commands),
        )
        self.failures.append(row)
        self._say(f"{'PASS' if passed else 'FAIL'} {row.name} ({row.seconds:.1f} s): {detail}")
        for outage in outages:
            windows = ", ".join(f"{one.seconds:.1f} s at {one.start:.1f}" for one in outage.windows)
            print(
                f"             {outage.source} → {outage.target} {outage.address}: "
                f"{outage.seconds:.1f} s, {outage.lost} lost of {outage.lost + outage.replies}"
                f"{f' ({windows})' if windows else ''}",
                flush=True,
            )

    def passed(self) -> bool:
        """Whether all went as it must."""
        return all(row.passed for row in self.checks) and all(row.passed for row in self.failures)

    def results(self, gateways: tuple[results.GatewayState, ...]) -> results.Results:
        """Return all that has been seen, as plain data."""
        return results.Results(
            lab="mesh",
            versions=versions(),
            seconds=self.age(),
            phases=tuple(self.phases),
            checks=tuple(self.checks),
            failures=tuple(self.failures),
            gateways=gateways,
        )

    def _say(self, text: str) -> None:
        print(f"[{self.age():6.1f} s] {text}", flush=True)


def _attempts(
    look: Callable[[], str], patience: float
) -> tuple[bool, str, tuple[results.Command, ...]]:
    """Look until it is good or patience is over; the commands are those of the last time."""
    deadline = time.monotonic() + patience
    while True:
        with transcript() as commands:
            try:
                return True, look(), tuple(commands)
            except ERRORS as error:
                if time.monotonic() > deadline:
                    return False, str(error) or repr(error), tuple(commands)
        time.sleep(0.3)


def main() -> int:
    """Run the lab; the exit status is 0 if every check passed."""
    record = Record()
    try:
        with _standing(record) as mesh:
            for check in mesh_checks.UP:
                record.check(check, mesh, 15)
            for scenario in _asked_for():
                record.failure(scenario, mesh)
            record.check(mesh_checks.UP[-1], mesh, 0)
            _report(record)
            keep.hold()
    except CheckError as error:
        print(f"the lab does not come up: {error}")
        failed = results.Check("the lab comes up", passed=False, detail=str(error), seconds=0)
        record.checks.append(failed)
        _report(record)
    return 0 if record.passed() else 1


def _report(record: Record) -> None:
    """Leave the report in the output folder and print the closing line."""
    found = record.results(seen.gateways(ALL))
    report.write(OUT, found)
    print(f"\n{found.passed} passed, {found.failed} failed", flush=True)


def _asked_for() -> list[Scenario]:
    """Scenarios whose name has a word of the command line, or all."""
    words = sys.argv[1:]
    return [one for one in failures.SCENARIOS if not words or any(w in one.name for w in words)]


@contextmanager
def _standing(record: Record) -> Iterator[Mesh]:
    """Build the lab and wait until it stands."""
    with ExitStack() as stack:
        importing = threading.Thread(target=forked.import_vtid, daemon=True)
        importing.start()
        with record.phase("namespaces, links and addresses"):
            stack.enter_context(network.built())
        with record.phase("daemons started"):
            mesh = stack.enter_context(stations.running(OUT, importing))
        with record.phase("daemons ready"):
            eventually(partial(stations.expect_started, mesh), 90)
        for check in mesh_checks.COMING:
            with record.phase(f"waited for: {check.name}"):
                passed, detail, _ = _attempts(partial(check.look, mesh), COMING_PATIENCE)
            if not passed:
                raise CheckError(detail)
        yield mesh


if __name__ == "__main__":
    sys.exit(main())
