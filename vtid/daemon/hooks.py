"""Hooks: programs of the administrator that are told of tunnels. An edge.

    Transitions ──▶ waiting, the newest of each tunnel ──▶ AT_ONCE threads ──▶ programs, in order

Rules of this file:

* No tunnel waits for a hook. A transition that nobody has taken up gives way to a newer one of the
  same tunnel, and the oldest of all gives way where too many wait.
* The programs run one after the other for each transition, and one transition of a tunnel after
  the other; different tunnels do not wait for each other.
* The directory is looked at for each transition: a program that was added or corrected counts at
  once. It is also looked at when it is configured and every few minutes (`look_soon`), so that
  what may not be run is known before a tunnel comes up.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from vtid.daemon.hook_files import programs
from vtid.daemon.hook_process import Outcome, give_up_privileges, run
from vtid.http.telemetry import Reading
from vtid.model.levels import Subsystem
from vtid.model.status import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vtid.core.transitions import Transition

log = structlog.get_logger(Subsystem.DAEMON)

AT_ONCE = 4
"""Programs that run at the same time."""

LIMIT = 30.0
"""Seconds that one program may take."""

MOST = 20_000
"""Transitions that wait: peers that choose their names may come and go for as long as they like."""

SCHEMA_VERSION = 1
"""Of the JSON; it grows when a field goes or has another meaning."""

RESULTS = ("done", "failed", "timeout", "stopped", "refused", "superseded")
"""What becomes of a program and a transition; `refused` and `superseded` ran nothing."""


class Hooks:
    """The queue in front of the programs, and who runs them."""

    def __init__(self, *, owner: int = 0, limit: float = LIMIT) -> None:
        """Begin without a directory; programs have to belong to the user `owner`."""
        self.results = Counter(dict.fromkeys(RESULTS, 0))
        self._owner = owner
        self._limit = limit
        self._folder: Path | None = None
        self._waiting: dict[str, tuple[float, Transition]] = {}
        """By name, the one that waits for longest first; each with the Unix time it happened at."""
        self._running: set[str] = set()
        self._woken = asyncio.Event()
        self._refused: dict[str, float] = {}
        """What the newest look refused, one line each, and the Unix time since when."""
        self._barred: dict[str, float] = {}
        """Why no program may be run, and since when; only the thread of a transition finds out."""
        self._look_due = asyncio.Event()

    def use(self, folder: str | None) -> None:
        """Run the programs of a directory from now on, or none."""
        self._folder = Path(folder) if folder else None
        self._refused = {}
        if not folder:
            self._waiting.clear()

    def post(self, transitions: Iterable[Transition]) -> None:
        """Have programs told of transitions. Never waits; for the event loop's thread."""
        for one in transitions if self._folder else ():
            if self._waiting.pop(one.name, None):
                self.results["superseded"] += 1
            self._waiting[one.name] = (time.time(), one)
            if len(self._waiting) > MOST:
                del self._waiting[next(iter(self._waiting))]
                self.results["superseded"] += 1
            self._woken.set()

    async def run(self) -> None:
        """Run programs until cancelled; those that still run then are ended, within seconds."""
        stopped, stop = os.pipe2(os.O_CLOEXEC)
        threads = ThreadPoolExecutor(AT_ONCE, "hook")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_looking())
                for _ in range(AT_ONCE):
                    tasks.create_task(self._work(threads, stopped))
        finally:
            os.close(stop)  # now the other end can be read
            await asyncio.to_thread(threads.shutdown)
            os.close(stopped)

    def look_soon(self) -> None:
        """Have `run` look. Never waits; there is one look at a time, also where it hangs."""
        self._look_due.set()

    async def look(self) -> None:
        """Look which programs may not be run; nothing is run."""
        if folder := self._folder:
            found = await asyncio.to_thread(programs, folder, self._owner)
            if folder == self._folder:  # no other was configured meanwhile
                self._refused = _since(self._refused, found.refused)

    def troubles(self) -> Iterator[Trouble]:
        """Yield why nothing may be run, and what may not be as one trouble, for the summary."""
        if not self._folder:
            return
        for line, since in self._barred.items():
            yield Trouble("hooks", line, since)
        if not self._refused:
            return
        first, *others = self._refused
        more = (
            f"{len(others) + 1} are refused (`vtictl doctor` names them), first " if others else ""
        )
        yield Trouble("hooks", more + first, min(self._refused.values()))

    def readings(self) -> tuple[Reading, ...]:
        """Return what there is to read, for Prometheus."""
        results = "Programs of `hooks` that were run, and why others were not."
        waiting = "Tunnels that programs of `hooks` are yet to be told of."
        return (
            Reading("counter", "vtid_hooks", results, self._by_result, ("result",)),
            Reading("gauge", "vtid_hooks_waiting", waiting, lambda: {(): len(self._waiting)}),
        )

    def _by_result(self) -> dict[tuple[str, ...], float]:
        return {(result,): count for result, count in self.results.items()}

    async def _keep_looking(self) -> None:
        while True:
            await self._look_due.wait()
            self._look_due.clear()
            await self.look()

    async def _work(self, threads: Executor, stopped: int) -> None:
        while True:
            name, at, transition = await self._next()
            self._running.add(name)
            try:
                if self._folder:
                    content = f"{json.dumps(document(at, transition))}\n".encode()
                    told = _Told(self._folder, self._owner, content, self._limit, stopped)
                    running = asyncio.get_running_loop().run_in_executor(threads, told.run)
                    self._take(told.folder, await running, transition)
            except Exception as error:  # noqa: BLE001 - no hook may end vtid; it is told
                self._note(transition, [("", Outcome("failed", repr(error)))])
            finally:
                self._running.discard(name)
                self._woken.set()

    async def _next(self) -> tuple[str, float, Transition]:
        """Take the transition that waits for longest, of a tunnel that no program is told of."""
        while True:
            for name in self._waiting:  # of those in front, AT_ONCE at most are under way
                if name not in self._running:
                    return (name, *self._waiting.pop(name))
            self._woken.clear()
            await self._woken.wait()

    def _take(self, folder: Path, result: _Result, transition: Transition) -> None:
        """Take what became of a transition; another directory may be configured by now."""
        self._barred = _since(self._barred, result.barred)
        if folder == self._folder and not result.barred:
            self._refused = _since(self._refused, result.refused)
        self.results["refused"] += len(result.barred) + len(result.refused)
        self._note(transition, result.ends)

    def _note(self, transition: Transition, ends: Iterable[tuple[str, Outcome]]) -> None:
        of = {"tunnel": transition.facts.tunnel, "happened": str(transition.turn)}
        for program, outcome in ends:
            self.results[outcome.result] += 1
            if outcome.result == "done":
                log.debug("hook done", hook=program, **of)
            else:
                log.warning("hook failed", hook=program, **of, detail=outcome.words)


def _since(before: Mapping[str, float], lines: Iterable[str]) -> dict[str, float]:
    """Return lines with the Unix time since when they are so; log those that were not before."""
    now = time.time()
    found = {line: before.get(line, now) for line in lines}
    for line in found:
        if line not in before:
            log.warning("hook refused", detail=line)
    return found


def document(at: float, transition: Transition) -> dict[str, object]:
    """Return what a program is told, as JSON; `at` is the Unix time at which it happened."""
    return {
        "schema_version": SCHEMA_VERSION,
        "event": str(transition.turn),
        "time": round(at, 3),
        "initial": transition.initial,
        "changed": transition.changed,
        "state": str(transition.state),
        "reason": transition.reason,
        **asdict(transition.facts),
    }


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one transition."""

    barred: tuple[str, ...] = ()
    """Why no program was run; the directory was not looked at then."""
    refused: tuple[str, ...] = ()
    ends: tuple[tuple[str, Outcome], ...] = ()
    """How the programs that were run ended, by name."""


@dataclass(frozen=True, slots=True)
class _Told:
    """All programs, told of one transition. Its thread has nothing else to do."""

    folder: Path
    owner: int
    content: bytes
    limit: float
    stop: int

    def run(self) -> _Result:
        """Run the programs that may be run."""
        try:
            give_up_privileges()
        except OSError as error:
            why = f"{error.strerror}: programs would have vtid's capabilities; run vtid as a user"
            return _Result(barred=(why,))
        found = programs(self.folder, self.owner)
        ends: list[tuple[str, Outcome]] = []
        for program in found.good:
            try:
                outcome = run(program, self.content, self.limit, self.stop)
            except OSError as error:
                outcome = Outcome("failed", f"cannot be run: {error.strerror}")
            ends.append((program.name, outcome))
            if ends[-1][1].result == "stopped":
                break
        return _Result(refused=found.refused, ends=tuple(ends))
