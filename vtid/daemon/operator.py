"""Operator: what `vtictl` and the metrics ask of the daemon; it is the `Api` of `vtid.http`.

Rules of this file:

* It reads the state and changes nothing: what an operator wants becomes an input for the loop.
* What takes effect is waited for, with a limit: an operator hears when it is done.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import structlog

from vtid import __version__
from vtid.core import status as view
from vtid.core.bgp_sessions import sessions
from vtid.core.listing import briefs, choose, chosen
from vtid.core.summary import summary
from vtid.daemon.adopt import adopt_result
from vtid.daemon.bird_files import changes_of_birds, files_of_birds
from vtid.daemon.flush import count_links, left
from vtid.daemon.levels import LEVELS
from vtid.daemon.recent import written
from vtid.daemon.sas import list_sas
from vtid.http.api import BgpList, FlushResult, LogLevels, ModeResult, Plan, ResyncResult
from vtid.model.input import AdoptAsked, FlushAsked, FullPassDue, ModeAsked, UnderlayChanged
from vtid.model.levels import Subsystem
from vtid.turns import in_turns, used_up

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from vtid.core.state import State
    from vtid.daemon.birds import Birds
    from vtid.daemon.hooks import Hooks
    from vtid.daemon.leftovers import Leftovers
    from vtid.daemon.readiness import Readiness
    from vtid.daemon.recent import RecentInputs
    from vtid.daemon.rehearse import Rehearser
    from vtid.daemon.reload import Reloader
    from vtid.http.api import AdoptResult, BirdFile, RecentInput, ReloadResult, SaList
    from vtid.http.journal import Journal
    from vtid.model.input import Input
    from vtid.model.levels import Level
    from vtid.model.listing import Listing, Wanted
    from vtid.model.loaded import Loaded
    from vtid.model.mode import Mode
    from vtid.model.operation import Op
    from vtid.model.status import BgpRow, Status, Summary, TunnelDetails, TunnelStatus

log = structlog.get_logger(Subsystem.DAEMON)

REST_LIMIT = 30.0
"""Seconds that an operator waits for operations that he asked for."""


class Loop(Protocol):
    """The loop, as far as an operator's wishes go through it."""

    ops_done: int
    """Operations that succeeded and changed something."""
    ops_begun: int
    ops_answered: int
    """Operations that were begun, and those that are done or failed."""

    @property
    def has_inputs(self) -> bool:
        """Whether inputs wait."""
        ...

    async def whole(self) -> None:
        """Wait until no input is half filed."""
        ...

    def post(self, event: Input) -> None:
        """Put an input into the inbox."""
        ...

    def release_birds(self) -> None:
        """Let BIRD follow from now on, whatever is known."""
        ...

    async def rest(self, limit: float | None = None) -> bool:
        """Wait until nothing is under way; return whether that came within `limit` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Operator:
    """What can be asked for."""

    loop: Loop
    state: State
    reloader: Reloader
    readiness: Readiness
    birds: Birds
    leftovers: Leftovers
    hooks: Hooks
    journal: Journal
    rehearser: Rehearser
    loaded: Callable[[], Loaded | None]
    """What charon has loaded, beside the policies; None where that is not known."""
    read_again: Callable[[], Iterable[Awaitable[object]]]
    """Starts reading SAs, links and MSS elements again."""
    charon: Callable[[], str]
    """Returns the path of charon's VICI socket."""
    recent_inputs: RecentInputs
    started_at: float

    async def whole(self) -> None:
        """Wait until no input is half filed: only then may the state be read."""
        await self.loop.whole()

    def status(self, rows: Iterable[TunnelStatus] | None = None) -> Status:
        """Return the status, by default without tunnels, which is cheap."""
        return view.status(
            self.state,
            rows=rows,
            version=__version__,
            started_at=self.started_at,
            config_loaded_at=self.reloader.loaded_at,
            config_error=self.reloader.error,
            waiting_for=self.readiness.waiting_for,
            clock_offset=time.time() - time.monotonic(),
            leftovers=self.leftovers.lines,
            loaded=self.loaded(),
        )

    async def full_status(self) -> Status:
        """Return the status with all tunnels; others have their turn between the tunnels."""
        rows = view.tunnel_rows(self.state, time.time() - time.monotonic())
        found = [[row async for row in in_turns(rows, self.whole)]]
        return self.status(await used_up(view.in_order, found))

    def summary(self) -> Summary:
        """Return the status on one screen, which is cheap with any number of tunnels."""
        birds = self.birds.running.values()
        found = summary(
            self.state,
            version=__version__,
            started_at=self.started_at,
            config_loaded_at=self.reloader.loaded_at,
            waiting_for=self.readiness.waiting_for,
            clock_offset=time.time() - time.monotonic(),
            followed=not self.loop.has_inputs and all(bird.is_current for bird in birds),
            troubles=[*self.reloader.troubles(), *self.leftovers.troubles()],
            last=self.hooks.troubles(),
        )
        return replace(
            found,
            log_levels=LEVELS.changed(),
            operations_begun=self.loop.ops_begun,
            operations_answered=self.loop.ops_answered,
        )

    def tunnel(self, name: str) -> TunnelDetails | None:
        """Return the status of one tunnel with its history, None if there is none of that name."""
        return view.details(self.state, name, time.time() - time.monotonic())

    async def listing(self, wanted: Wanted) -> Listing:
        """Return some tunnels and the last operations, in turns that hold nothing up."""
        every = briefs(self.state, searched=bool(wanted.text))
        found = [brief async for brief in in_turns(every, self.whole)]
        choice = await asyncio.to_thread(choose, found, wanted)
        await self.whole()
        return chosen(self.state, choice, time.time() - time.monotonic())

    def names(self) -> tuple[str, ...]:
        """Return the names of all tunnels, also of those that are yet to come up."""
        there = (tunnel.label or tunnel.name for tunnel in self.state.tunnels.values())
        return tuple(sorted((*there, *(label for _, label in self.state.labels.waiting()))))

    async def plan(self) -> Plan:
        """Return what a full pass would do now, without doing it."""
        ops: list[Op] = []
        async for name in in_turns(tuple(self.state.tunnels), self.whole):
            ops.extend(self.state.preview(time.monotonic(), (name,)))
        return Plan(tuple(ops), await changes_of_birds(self.birds.edges, ops))

    async def plan_for(self, text: str, name: str) -> Plan:
        """Return what a reload would do if the configuration file had this text."""
        return await self.rehearser.plan(text, name)

    async def sas(self, tunnel: str, peer: str) -> SaList:
        """Ask charon for its SAs; raises UnavailableError."""
        return await list_sas(self.state, self.charon(), tunnel, peer, whole=self.whole)

    async def bgp(self, tunnel: str) -> BgpList:
        """Return the BGP sessions of all tunnels, or of one by its label."""
        found: list[BgpRow] = []
        async for rows in in_turns(sessions(self.state, tunnel), self.whole):
            found += rows
        in_order = sorted(found, key=lambda row: (row.tunnel, row.bird, row.protocol))
        return BgpList(tuple(in_order))

    async def recent(self) -> tuple[RecentInput, ...]:
        """Return the last inputs, the oldest first."""
        return await asyncio.to_thread(written, self.recent_inputs.kept())

    def log_levels(self) -> LogLevels:
        """Return the log level of each subsystem."""
        return LogLevels(LEVELS.status())

    def set_log_level(
        self, subsystem: Subsystem | None, level: Level | None, seconds: float
    ) -> LogLevels:
        """Change the log level of a subsystem or of all."""
        some = (subsystem,) if subsystem else tuple(Subsystem)
        if level is None:
            LEVELS.restore(some)
        else:
            LEVELS.set(some, level, seconds)
        about = {"subsystem": subsystem or "all", "to": level or "as configured"}
        log.warning("log level", **about, seconds=seconds or "until the next reload")
        return self.log_levels()

    async def bird_files(self, *, passwords: bool) -> tuple[BirdFile, ...]:
        """Return what would be written for each BIRD."""
        return await files_of_birds(self.birds.edges, passwords=passwords)

    async def reload(self) -> ReloadResult:
        """Read the configuration again; a bad one changes nothing."""
        return await self.reloader.reload(ready=not self.readiness.waiting_for)

    async def flush(self) -> FlushResult:
        """Remove everything of vtid's, until the configuration is loaded again.

        Returns when everything is removed or has failed once; failed operations are tried again.
        """
        before = count_links(self.state)
        log.warning("flush", links=before)
        self.loop.post(FlushAsked())
        self.loop.release_birds()  # also while VICI has never been there
        await self.loop.rest()
        removed = before - count_links(self.state)
        return FlushResult(removed, tuple(left(self.state, self.birds.running)))

    async def resync(self) -> ResyncResult:
        """Read everything again, and put right what is not as it should be.

        Returns when that is done or has failed once, or `REST_LIMIT` is over. It is not finished
        where anything could not be read in time, or charon is away.
        """
        before, was_read = self.loop.ops_done, False
        log.info("resync")
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_LIMIT):
                await asyncio.gather(*self.read_again())
                was_read = True
        self.loop.post(UnderlayChanged())
        self.loop.post(FullPassDue())
        rested = await self.loop.rest(REST_LIMIT)
        finished = was_read and rested and self.state.vici_error is None
        return ResyncResult(self.loop.ops_done - before, finished)

    async def set_mode(self, mode: Mode, labels: tuple[str, ...]) -> ModeResult:
        """Pause, drain or resume tunnels, all where there are no labels.

        Returns when what follows from it is done or has failed, or `REST_LIMIT` is over.
        """
        for about in [{"tunnel": label} for label in labels] or [{"tunnels": "all"}]:
            log.warning("mode", mode=str(mode), **about)
        self.loop.post(ModeAsked(mode, labels))
        finished = await self.loop.rest(REST_LIMIT)
        return ModeResult(mode, len(labels) or len(self.names()), finished)

    async def adopt(self, names: tuple[str, ...]) -> AdoptResult:
        """Make interfaces that somebody else made vtid's own, all that are wanted without names.

        Returns when that is done or refused, and what differed is changed; see `set_mode`.
        """
        log.warning("adopt", interfaces=", ".join(names) or "all")
        self.loop.post(AdoptAsked(names))
        finished = await self.loop.rest(REST_LIMIT)
        return adopt_result(self.state, names, finished=finished)
