"""The whole lab: six gateways at three sites, run by vtid.

    R1 ── V1-1, V1-2 ── public segment ── V2-1, V2-2 ── R2, and the same for V3-1, V3-2 and R3

It runs inside the lab (`python -m tests.lab.host run -- python3 -m tests.lab.mesh PLAN [WORD …]`)
by the plan of the document, `mesh`, or of its older version, `ipv4`; checks what must hold, brings
about failures and measures them, and ends with `N passed, N failed`.

Rules of this file: whatever happens, daemons are ended and namespaces removed; what the daemons
said stays in the output folder.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vici.exception import CommandException

from tests.lab.alerts import alarms
from tests.lab.alerts.alarms import Alarms
from tests.lab.checks import failures, mesh_checks
from tests.lab.checks.scenarios import SCENARIOS
from tests.lab.machine import forked, keep
from tests.lab.machine.shell import CheckError, eventually
from tests.lab.machine.versions import versions
from tests.lab.report import report, results, seen
from tests.lab.report.transcript import transcript
from tests.lab.topology import network, stations
from tests.lab.topology.figures import PLANS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.lab.checks.failures import Scenario
    from tests.lab.checks.mesh_checks import Check
    from tests.lab.topology.figures import Plan
    from tests.lab.topology.stations import Mesh

OUT = Path("/out")
ERRORS = (
    CheckError,
    OSError,
    LookupError,
    ValueError,
    subprocess.TimeoutExpired,
    CommandException,
)
COMING_PATIENCE = 180.0
"""Seconds in which each next thing that has to come may come, on an emulated, busy processor."""


class Record:
    """What has been seen so far; each thing is printed when it is seen."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
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
            self.say(f"{name} ({phase.seconds:.1f} s)")

    def check(self, check: Check, mesh: Mesh, patience: float) -> None:
        """Make a check, again and again while it fails and there is patience."""
        before = self.age()
        passed, detail, commands = _attempts(partial(check.look, mesh), patience)
        row = results.Check(check.name, passed, detail, self.age() - before, commands)
        self.checks.append(row)
        self.say(f"{'PASS' if passed else 'FAIL'} {row.name} ({row.seconds:.1f} s): {detail}")

    def failure(self, scenario: Scenario, mesh: Mesh, alarms: Alarms) -> None:
        """Bring about a failure and measure what it costs; look at the alerts that fire."""
        before = self.age()
        outages: tuple[results.Outage, ...] = ()
        fired = ""
        with transcript() as commands:
            try:
                with failures.watching(mesh, alarms.began(scenario.name, scenario.cause)) as watch:
                    try:
                        detail = scenario.act(mesh, watch)
                    finally:
                        outages = watch.outages()
                fired = alarms.ended(lasts=scenario.lasts)
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
            fired,
        )
        self.failures.append(row)
        self.say(f"{'PASS' if passed else 'FAIL'} {row.name} ({row.seconds:.1f} s): {detail}")
        if fired:
            self.say(f"     alerts: {fired}")
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
            lab=self.lab,
            versions=versions(),
            seconds=self.age(),
            phases=tuple(self.phases),
            checks=tuple(self.checks),
            failures=tuple(self.failures),
            gateways=gateways,
        )

    def say(self, text: str) -> None:
        """Print something with the time since the start."""
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


def main(plan: Plan, words: Sequence[str]) -> int:
    """Run a lab, with the failures that have one of the words in their name, or all.

    With `--alerts` among them, a Prometheus runs beside it. The exit status is 0 if every check
    passed.
    """
    watched = "--alerts" in words
    words = [word for word in words if word != "--alerts"]
    record = Record(plan.name)
    try:
        with _standing(plan, record) as mesh:
            for check in mesh_checks.up(plan):
                record.check(check, mesh, 15)
            with alarms.watching(mesh, OUT) if watched else nullcontext(Alarms()) as watching:
                for scenario in SCENARIOS:
                    if not words or any(word in scenario.name for word in words):
                        record.failure(scenario, mesh, watching)
            record.check(mesh_checks.ENCRYPTED, mesh, 0)
            record.say("all is through")
            _report(plan, record)
            keep.hold()
    except CheckError as error:
        print(f"the lab does not come up: {error}")
        failed = results.Check("the lab comes up", passed=False, detail=str(error), seconds=0)
        record.checks.append(failed)
        _report(plan, record)
    return 0 if record.passed() else 1


def _report(plan: Plan, record: Record) -> None:
    """Leave the report in the output folder and print the closing line."""
    found = record.results(seen.gateways(plan.gateways))
    report.write(OUT, found)
    print(f"\n{found.passed} passed, {found.failed} failed", flush=True)


@contextmanager
def _standing(plan: Plan, record: Record) -> Iterator[Mesh]:
    """Build the lab and wait until it stands."""
    with ExitStack() as stack:
        importing = threading.Thread(target=forked.import_vtid, daemon=True)
        importing.start()
        with record.phase("namespaces, links and addresses"):
            stack.enter_context(network.built(plan))
        with record.phase("daemons started"):
            mesh = stack.enter_context(stations.running(plan, OUT, importing))
        with record.phase("daemons ready"):
            eventually(partial(stations.expect_started, mesh), COMING_PATIENCE)
        for check in mesh_checks.COMING:
            with record.phase(f"waited for: {check.name}"):
                passed, detail, _ = _attempts(partial(check.look, mesh), COMING_PATIENCE)
            if not passed:
                raise CheckError(detail)
        record.say("the lab stands")
        yield mesh


if __name__ == "__main__":
    chosen = next(plan for plan in PLANS if plan.name == sys.argv[1])
    sys.exit(main(chosen, sys.argv[2:]))
