"""Let faults happen to a system by chance, and see it become as it was after each.

    make chaos SEED=7 N=500
    make chaos SEED=7 N=500 STAND_IN=1    # without VTI and an emulated machine: see tests/vxlan.py
    make chaos SEED=7 N=500 STAND_IN=1 JOBS=4    # four systems side by side: most of it is waiting

It runs in the lab (`python -m tests.lab.host run -- python3 -m tests.chaos`). After each fault, and
what an administrator does about it, all has to look as if nothing had happened within `LIMIT`
seconds, or WITHIN=120 where others keep the kernel busy: what vtid made, what it has open, and
everything of others. Each fault that this does not hold for is a violation: it is printed with the
differences and with the command that repeats it.

Rules of this file: after a violation the system is built anew, so that none follows from another.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import TYPE_CHECKING

from tests.chaos import daemon_faults, kernel_faults, limit_faults  # noqa: F401 - their faults
from tests.chaos.fault import FAULTS, drawn
from tests.chaos.world import standing
from tests.lab.machine.shell import CheckError, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.fault import Trial
    from tests.chaos.world import World

LIMIT = 60.0
"""Seconds after a fault is over within which all has to be as it was."""

NOT_STOOD_IN = {"the clock jumps", "a link has other keys"}
"""The clock is that of the machine, which is then not one of our own; a VXLAN keeps its keys."""

DEFECTS = ("Traceback", "internal error", "a defect in vtid")
"""Words of vtid's log that nothing excuses."""

UNDOABLE = (subprocess.SubprocessError, OSError, RuntimeError)
"""What is raised where a daemon does not end, or does not start again."""

GROWTH = 64 << 20
"""Bytes of memory that vtid may have gained in the end."""


@dataclass(slots=True)
class Record:
    """What happened so far."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """How long it took until all was as before, by fault."""
    violations: list[str] = field(default_factory=list)
    more: str = ""
    """What the command that repeats a trial has besides."""
    limit: float = LIMIT
    memory: int = 0
    """The most bytes that vtid had in use."""

    def add(self, other: Record) -> None:
        """Add what happened in another system."""
        for name, found in other.seconds.items():
            self.seconds[name] += found
        self.violations += other.violations
        self.memory = max(self.memory, other.memory)

    def summary(self) -> str:
        """Return a table of the faults, the slowest first, and the closing line."""
        rows = sorted(self.seconds.items(), key=lambda row: -max(row[1]))
        lines = [f"{'fault':40} {'times':>5} {'median':>7} {'longest':>8}"]
        lines += [
            f"{name:40} {len(found):5} {median(found):6.1f}s {max(found):7.1f}s"
            for name, found in rows
        ]
        number = max((len(self.violations), sum(map(len, self.seconds.values()))), default=0)
        return "\n".join([*lines, "", f"{number} faults, {len(self.violations)} violations"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0 if there was no violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=500, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="NUMBER")
    parser.add_argument("--only", default="", help="words of a fault's name")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no fault after these")
    parser.add_argument("--stand-in", action="store_true", help="VXLANs instead of VTIs")
    parser.add_argument("--jobs", type=int, default=1, help="systems side by side")
    parser.add_argument("--within", type=float, default=LIMIT, metavar="SECONDS")
    options = parser.parse_args(arguments)
    record = Record()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("fork")) as pool:
        for part in pool.map(partial(_share, options), range(options.jobs)):
            record.add(part)
    print(f"\n{record.summary()}; vtid had up to {record.memory >> 20} MiB", flush=True)
    return 1 if record.violations else 0


def _share(options: argparse.Namespace, job: int) -> Record:
    """Run the trials that fall to one of the jobs, each of which has systems of its own."""
    faults = [one for one in FAULTS if not (options.stand_in and one.name in NOT_STOOD_IN)]
    numbers = range(options.first, options.first + options.faults)
    trials = [drawn(options.seed, number, faults, options.only) for number in numbers]
    left = trials[job :: options.jobs]
    record = Record(more=" STAND_IN=1" if options.stand_in else "", limit=options.within)
    until = time.monotonic() + options.seconds
    while left and time.monotonic() < until:
        left = _in_one_system(left, record, until, in_place=options.stand_in)
    return record


def _in_one_system(
    trials: list[Trial], record: Record, until: float, *, in_place: bool
) -> list[Trial]:
    """Run trials up to the first violation; return those that are left."""
    with standing(in_place=in_place) as world:
        before = world.vtid.memory()
        for done, trial in enumerate(trials, 1):
            if time.monotonic() > until:
                return []
            if not _run(world, trial, record):
                return trials[done:]
            record.memory = max(record.memory, world.vtid.memory())
            if world.vtid.memory() > before + GROWTH:
                _note(record, trial, [f"vtid has {world.vtid.memory() >> 20} MiB"])
                return trials[done:]
    return []


def _run(world: World, trial: Trial, record: Record) -> bool:
    """Let one trial happen; whether all was well afterwards."""
    world.expected_end = world.expected_errors = False
    began = time.monotonic()
    found = []
    try:
        _happen(world, trial)
        began = time.monotonic()
        eventually(world.expect_undisturbed, record.limit)
    except CheckError as error:
        found = str(error).splitlines()
    except UNDOABLE as error:
        found = [f"the fault, or what is done about it: {error!r}"]
    log = world.new_log()
    if not world.expected_errors:
        found += [line for line in log.splitlines() if any(word in line for word in DEFECTS)]
    took = time.monotonic() - began
    if found:
        _note(record, trial, [*found, *(f"  log: {line}" for line in log.splitlines()[-30:])])
    else:
        for fault in trial.faults:
            record.seconds[fault.name].append(took)
        print(f"{trial.number:4} {took:5.1f} s  {trial}", flush=True)
    return not found


def _happen(world: World, trial: Trial) -> None:
    with ExitStack() as stack:
        for fault, draw in zip(trial.faults, trial.draws(), strict=True):
            stack.enter_context(fault.act(world, draw))
        time.sleep(trial.hold)


def _note(record: Record, trial: Trial, found: list[str]) -> None:
    record.violations.append(str(trial))
    lines = (f"VIOLATION of seed {trial.seed}: {trial}", *found)
    said = "\n     ".join((*lines, f"repeat: {trial.command}{record.more}"))
    print(f"{trial.number:4} {said}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
