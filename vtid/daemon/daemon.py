"""The daemon: wires the edges to the state, and runs THE loop.

    charon ── ViciClient.run ──┐                              ┌─▶ Kernel.execute  (worker threads)
    kernel ── Kernel.watch ────┤                              │
    nftables ─ Nft.watch ──────┼─▶ inbox ─▶ Daemon._loop ─────┼─▶ Nft.execute     (worker threads)
    BIRD ──── Bird.run ────────┤   state.apply / state.work   ├─▶ Bird.execute    (returns at once)
    SIGHUP, control API ───────┘             ▲                └─▶ Echo.execute    (worker threads)
                                             └── OpDone, OpFailed ──┘

Rules of this file:

* The loop is the only one that touches the state, so there are no locks.
* It never waits for a peer: the operations of a pass run in a task of their own, and their results
  come back as inputs.
* Stopping ends the tasks and touches nothing: the tunnels stay.
"""

from __future__ import annotations

import asyncio
import math
import random
import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from vtid.config.changes import changes
from vtid.config.keys import Config, ConfigLoaded
from vtid.core.state import State
from vtid.daemon import notify
from vtid.daemon.access import access
from vtid.daemon.birds import Birds
from vtid.daemon.charon import CharonWatch
from vtid.daemon.collector import Collector
from vtid.daemon.executor import Executor, Result
from vtid.daemon.flush import is_done
from vtid.daemon.hooks import Hooks
from vtid.daemon.learnt import Learnt
from vtid.daemon.leftovers import Leftovers
from vtid.daemon.levels import LEVELS, of_op
from vtid.daemon.loop import measured_loop
from vtid.daemon.operator import REST_LIMIT, Operator
from vtid.daemon.readiness import Readiness
from vtid.daemon.readings import Edges, readings
from vtid.daemon.recent import RecentInputs
from vtid.daemon.recording import Recorder
from vtid.daemon.rehearse import Rehearser
from vtid.daemon.reload import Reloader, left_out
from vtid.daemon.traffic import Traffic
from vtid.http.journal import Journal
from vtid.http.server import ReadOnly, ReloadResult, Server, ServerError
from vtid.http.telemetry import Telemetry
from vtid.kernel.client import Kernel
from vtid.kernel.echo import Echo
from vtid.model.groups import Group
from vtid.model.input import (
    FullPassDue,
    Input,
    OpDone,
    OpFailed,
    ViciLost,
)
from vtid.model.levels import Level, Subsystem
from vtid.model.status import TunnelState
from vtid.netns import Namespaces
from vtid.nft.client import Nft
from vtid.turns import Turn
from vtid.vici.client import ViciClient
from vtid.vici.initiate import initiate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence
    from pathlib import Path

    from vtid.http.telemetry import Reading
    from vtid.model.operation import Op

log = structlog.get_logger(Subsystem.DAEMON)
_core_log = structlog.get_logger(Subsystem.CORE)
_op_logs = {one: structlog.get_logger(one) for one in Subsystem}

FULL_PASS_INTERVAL = 300.0
"""Seconds between passes over all tunnels, in case something was missed."""

INPUTS_AT_ONCE = 64
"""Inputs of one pass; what follows from one of them need not wait for all."""

STATUS_INTERVAL = 2.0
"""Seconds between two looks at what `systemctl status` says."""

RELEASE_LIMIT = 10.0
"""Seconds that BIRD waits for the first operations: a tunnel in trouble must not block it."""


class _StopError(Exception):
    """Ends the task group: SIGTERM or SIGINT."""


class Daemon:
    """One vtid. `run()` returns after SIGTERM or SIGINT."""

    def __init__(
        self,
        config: Config,
        config_file: Path,
        record: Path | None = None,
        journal: Journal | None = None,
    ) -> None:
        """Prepare, without any effect. Raises RecordingError if it cannot record.

        `journal` is where the log's records go as well.
        """
        seed = random.SystemRandom().getrandbits(32)
        self._recorder = Recorder(record, seed) if record else None
        self._config = config
        self._started = config.daemon
        """What only a start uses of the configuration; the rest of the first one may go."""
        self._reloader = Reloader(config_file, config, self._use_reloaded)
        self._state = State(jitter=random.Random(seed).random)  # noqa: S311 - spreads load
        self._inbox: deque[tuple[float, Input]] = deque()
        """Inputs, each with when it came."""
        self._woken, self._passed = asyncio.Event(), asyncio.Event()
        self._whole = asyncio.Event()
        """Set unless an input is half filed."""
        self._whole.set()
        self._stopping = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._readiness = Readiness()
        self._watched: set[str] = set()
        self._leftovers = Leftovers()
        self._collector = Collector()
        self._hooks = Hooks()
        self._recent = RecentInputs()
        self.ops_done = self.ops_begun = self.ops_answered = 0
        self._namespaces = Namespaces()
        self._of_nft = Namespaces()
        """Threads of their own: nftables does not wait for the lock that deletions hold."""
        self._kernel = Kernel(self._namespaces, self.post, self._leave)
        self._echo = Echo(self.post, self._kernel.raised)
        self._nft = Nft(self._of_nft, self.post)
        self._charon = ViciClient(config.vici.socket, self.post)
        self._vici: asyncio.Task[None] | None = None
        self._birds = Birds(self._tasks, self.post)
        self._birds_released = False
        self._settled_at = math.inf
        self._executor = Executor(
            self._kernel,
            self._nft,
            self._birds.edges,
            charon=self._initiate,
            echo=self._echo.execute,
            report=self._account,
        )
        self._charon_watch = CharonWatch(lambda: self._config)
        self._traffic = Traffic(
            self._kernel, self._nft, self._state, lambda: self._watched, self.whole
        )
        self._telemetry = Telemetry(self._readings())
        sockets = config.daemon
        self.operator = Operator(
            loop=self,
            state=self._state,
            reloader=self._reloader,
            readiness=self._readiness,
            birds=self._birds,
            leftovers=self._leftovers,
            hooks=self._hooks,
            journal=journal or Journal(),
            rehearser=Rehearser(
                self._state,
                lambda: (self._started, self._config),
                self._kernel.look_up,
                self._birds.edges,
                self.whole,
            ),
            loaded=lambda: self._charon_watch.loaded,
            read_again=self._read_again,
            charon=lambda: self._config.vici.socket,
            recent_inputs=self._recent,
            started_at=time.time(),
        )
        path, group = sockets.read_only_socket, sockets.read_only_group
        self._server = Server(
            sockets.control_socket,
            sockets.metrics,
            self.operator,
            self._telemetry,
            read_only=ReadOnly(path, group) if path and group else None,
        )

    # --- life ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; the tunnels are left as they are.

        Raises ServerError where a socket cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._server.use(access(self._config.metrics))
        await self._server.start()
        self._collector.watch()
        try:
            async with self._tasks:
                self._use(self._config)
                self._tasks.create_task(self._loop())
                self._tasks.create_task(self._look_around())
                self._tasks.create_task(self._traffic.run())
                self._tasks.create_task(Learnt(self._kernel, self._state.underlay, self.post).run())
                self._tasks.create_task(self._charon_watch.run())
                self._tasks.create_task(self._watchdog())
                self._tasks.create_task(self._tell_service_manager())
                self._tasks.create_task(self._reloader.watch())
                self._tasks.create_task(self._hooks.run())
                loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
                self._tasks.create_task(self._stop_when_told())
        except* _StopError:
            pass
        finally:
            self._collector.close()
            await self._server.stop()
            self._echo.close()
            self._namespaces.close()
            self._of_nft.close()
            if self._recorder:
                self._recorder.close()

    def _readings(self) -> tuple[Reading, ...]:
        edges = Edges(
            kernel=self._kernel,
            nft=self._nft,
            charon=lambda: self._charon,
            namespaces=self._state.namespaces,
            traffic=self._traffic,
            writes=lambda: self._kernel.writes + self._echo.writes,
        )
        own = readings(edges, self._reloader, queued=lambda: len(self._inbox))
        charon = self._charon_watch.readings()
        in_group = (replace(one, group=Group.CHARON) for one in charon)
        return (*own, *in_group, *self._hooks.readings())

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop that tells the telemetry how long each of its turns takes."""
        return measured_loop(self._telemetry.lag)

    async def _stop_when_told(self) -> None:
        await self._stopping.wait()
        notify.notify("STOPPING=1")
        log.info("stopping")
        raise _StopError

    def _use(self, config: Config) -> None:
        """Start the edges that a configuration needs, and hand it to the state."""
        if self._vici is None or config.vici != self._config.vici:
            self._start_vici(config)
        self._birds.use(config.birds)
        for bird in config.birds:
            self._readiness.expect_bird(bird.name)
        for netns in {"", *(tunnel.netns for tunnel in config.policies)} - self._watched:
            self._watch(netns)
        self._config = config
        self._hooks.use(config.daemon.hooks)
        self._hooks.look_soon()
        self._telemetry.disabled = frozenset(config.metrics.disable)
        self._charon_watch.look_soon()
        self._tasks.create_task(self._leftovers.look(frozenset(self._watched)))
        self.post(ConfigLoaded(config))

    def _start_vici(self, config: Config) -> None:
        if self._vici:
            self._vici.cancel()
            self.post(ViciLost(f"[vici] socket is now {config.vici.socket}"))
        self._charon = ViciClient(config.vici.socket, self.post)
        self._vici = self._tasks.create_task(self._charon.run())

    def _watch(self, netns: str) -> None:
        self._watched.add(netns)
        self._tasks.create_task(self._kernel.watch(netns))
        self._tasks.create_task(self._nft.watch(netns))
        self._readiness.expect_namespace(netns)

    def _leave(self, netns: str) -> None:
        """Keep nothing open in a namespace that the kernel's edge does not follow any more."""
        self._echo.leave(netns)
        self._of_nft.forget(netns)

    # --- the loop -----------------------------------------------------------------------------

    def post(self, event: Input) -> None:
        """Put an input into the inbox. For edges; only from the event loop's thread."""
        self._inbox.append((time.monotonic(), event))
        self._woken.set()

    async def _loop(self) -> None:
        while True:
            await self._wait()
            with self._telemetry.time_pass():
                ops = await self._pass()
            for duration in self._state.take_durations():
                self._telemetry.done(duration)
            await self._log_notes()
            self._hooks.post(self._state.transitions.take())
            if ops:
                self.ops_begun += len(ops)
                self._tasks.create_task(self._executor.run(ops))
            self._release_birds()
            self._collector.count_anew()
            self._passed.set()
            self._passed.clear()
            await asyncio.sleep(0)

    async def _pass(self) -> list[Op]:
        """Apply some inputs and plan what they changed, in turns; return the operations."""
        now, turn = time.monotonic(), Turn()
        self._whole.clear()
        try:
            since = await self._take_inputs(now, turn)
            ops: list[Op] = []
            for step in self._state.working(now, since=since):
                ops.extend(step)
                await turn.pause()
        finally:
            self._whole.set()
        return ops

    async def whole(self) -> None:
        """Wait until no input is half filed: only then may the state be read."""
        while not self._whole.is_set():
            await self._whole.wait()

    async def _wait(self) -> None:
        """Sleep until there is an input or a deadline."""
        if self._inbox or self._state.has_work():
            return
        self._woken.clear()
        deadline = self._state.next_deadline()
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        with suppress(TimeoutError):
            # not wait_for: it may swallow a cancellation that comes with an input (Python 3.11)
            async with asyncio.timeout(timeout):
                await self._woken.wait()

    async def _take_inputs(self, now: float, turn: Turn) -> float:
        """Apply some of the inputs; a storm must not keep the loop from everything else.

        Returns when the first of them came, or now.
        """
        count = min(len(self._inbox), INPUTS_AT_ONCE)
        taken = [self._inbox.popleft() for _ in range(count)]
        events = tuple(event for _, event in taken)
        if self._recorder:
            self._recorder.passed(now, events, taken[0][0] if taken else None)
        self._recent.took(events)
        for event in events:
            self._telemetry.input(type(event).__name__)
            for _ in self._state.filing(event, now):
                await turn.pause()
            await turn.pause()
            if self._readiness.tick_off(event):
                notify.notify("READY=1")
                log.info("ready", tunnels=len(self._state.tunnels))
        if not taken:
            return now
        came_at = taken[0][0]
        self._telemetry.waited(now - came_at)
        return came_at

    async def _log_notes(self) -> None:
        turn = Turn()
        for note in self._state.take_notes():
            await turn.pause()
            facts = {"tunnel": note.tunnel, "peer": note.peer, "detail": note.detail}
            known = {name: fact for name, fact in facts.items() if fact}
            getattr(_core_log, note.level)(note.event, **known)

    def _release_birds(self) -> None:
        """Let the BIRD edges push once everything is known and the first operations are done.

        Waiting only saves pushes, so it has a limit: one tunnel must not keep BIRD from all others.
        """
        if self._birds_released or not self._state.settled:
            return
        now = time.monotonic()
        self._settled_at = min(self._settled_at, now)
        if self._state.is_busy() and now < self._settled_at + RELEASE_LIMIT:
            return
        self.release_birds()

    def release_birds(self) -> None:
        """Let BIRD follow from now on, whatever is known."""
        self._birds_released = True
        self._birds.release()

    async def _initiate(self, ops: Sequence[Op]) -> Sequence[Result]:
        return await initiate(self._charon, ops) if ops else ()

    def _account(self, result: Result) -> None:
        outcome = "failed" if isinstance(result, OpFailed) else "done"
        if isinstance(result, OpDone) and not result.changed:
            outcome = "unchanged"
        self.ops_done += outcome == "done"
        self.ops_answered += 1
        self._telemetry.op(type(result.op).__name__, outcome)
        subsystem = of_op(result.op)
        if LEVELS.takes(subsystem, "debug"):  # without it nobody hears this line, not even events
            log = _op_logs[subsystem]
            log.debug("operation", op=result.op, outcome=outcome)
        self.post(result)

    # --- timers -------------------------------------------------------------------------------

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(FULL_PASS_INTERVAL)
            for netns in tuple(self._watched):  # a reload may add one meanwhile
                # the kernel has no event for some changes by others
                await self._kernel.resync(netns)
            self.post(FullPassDue())
            self._hooks.look_soon()

    async def _watchdog(self) -> None:
        interval = notify.watchdog_interval()
        while interval:
            notify.notify("WATCHDOG=1")
            await asyncio.sleep(interval / 2)

    async def _tell_service_manager(self) -> None:
        told = ""
        while True:
            counts = ((state, self._state.count.get(state, 0)) for state in TunnelState)
            states = ", ".join(f"{count} {state}" for state, count in counts if count)
            line = f"tunnels: {states or 'none'}"
            if line != told:
                notify.status(line)
                told = line
            await asyncio.sleep(STATUS_INTERVAL)

    # --- what operators ask for ---------------------------------------------------------------

    def _on_hangup(self) -> None:
        self._tasks.create_task(self.reload())

    async def reload(self) -> ReloadResult:
        """Read the configuration again; a bad one changes nothing."""
        return await self.operator.reload()

    async def _use_reloaded(self, config: Config) -> ReloadResult:
        before, began, done = self._config, time.time(), self.ops_done
        warnings = tuple(self._use_at_once(config))
        for line in warnings:
            log.warning("configuration partly in use", detail=line)
        finished = await self.rest(REST_LIMIT, read=True)
        return ReloadResult(
            ok=True,
            warnings=warnings,
            changes=await asyncio.to_thread(changes, before, config),
            operations=self.ops_done - done,
            finished=finished,
            problems=tuple(map(str, self.operator.summary().since(began))),
        )

    def _use_at_once(self, config: Config) -> Iterator[str]:
        """Take a new configuration; yield what of it is not in use."""
        yield from left_out(self._started, config)
        try:
            self._server.use(access(config.metrics))
        except ServerError as error:
            yield f"{error}; who may use the metrics addresses stays as it was"
        LEVELS.reloaded(Level(config.daemon.log_level))
        self._use(config)

    async def rest(self, limit: float | None = None, *, read: bool = False) -> bool:
        """Wait until nothing is under way and BIRD has followed; return whether that came in time.

        `limit` is in seconds, None for ever. With `read`, each namespace has to be read before, or
        be out of reach. Operations that failed are not waited for.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while self.has_inputs or not self._is_at_rest(read=read):
                    await self._passed.wait()
                return True
        return False

    @property
    def has_inputs(self) -> bool:
        """Whether inputs wait, or are being applied."""
        return bool(self._inbox) or not self._whole.is_set()

    def _read_again(self) -> Iterator[Awaitable[None]]:
        """Start reading SAs, links and MSS elements again."""
        yield self._charon.resync()
        for resync in (self._kernel.resync, self._nft.resync):
            for netns in self._watched:
                yield resync(netns)

    def _is_at_rest(self, *, read: bool) -> bool:
        known = self._state.namespaces_known or not read
        return known and is_done(self._state, self._birds.running)
