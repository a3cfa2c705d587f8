"""Push: load the include file into BIRD and, if it does harm, undo it. An edge.

    write ─▶ check ─▶ configure timeout ─▶ watch ─▶ confirm         the file is the last good one
               │              │              └────▶ undo ─▶ blame   the last good file is restored
               └─ refused ────┴──▶ restore, write without the blocks at fault, try again

Rules of this file:

* `states` has the states of the file; this file acts on them.
* A file that BIRD has not confirmed has the last good one beside it, whatever happens to vtid.
* Nothing is written while a push is watched: BIRD may go back to the last good file.
* If BIRD's message points into a tunnel's block, only that block is held back. So are the blocks of
  a push that was undone. They are tried again when they change or `retry` is called.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from vtid.bird.blocks import Blocks, Difference, difference
from vtid.bird.control import Control, ControlError
from vtid.bird.diagnosis import restricted
from vtid.bird.include import IncludeError, IncludeFile
from vtid.bird.refusal import refusal, words
from vtid.bird.render import HEADER, protocols
from vtid.bird.reply import (
    ACCESS_DENIED,
    CONFIGURATION_ERROR,
    CONFIRMED,
    NOTHING_TO_DO,
    RECONFIGURED,
    Reply,
)
from vtid.bird.states import UNCONFIRMED, Event, State, after
from vtid.bird.watch import UNDO_AFTER, Blame, Verdict, Watch
from vtid.model.input import BirdRefusal
from vtid.model.levels import Subsystem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.model.bgp import BgpState

log = structlog.get_logger(Subsystem.BIRD)

ATTEMPTS = 8
"""Attempts of one push, each without the blocks that BIRD refused before."""

LEAVE_LIMIT = 1.0
"""Seconds to confirm a push when vtid stops."""

DENIED_RETRY = 10.0
"""Seconds until a restricted control socket is tried again."""

CHECKED = frozenset({20})


class DeniedError(Exception):
    """The control socket is restricted (`restrict`); the text says the way out."""


class Pusher:
    """The include file of one BIRD, and its way into BIRD."""

    def __init__(self, name: str, include: str, former: str = "", socket: str = "") -> None:
        """Prepare; `former` is a file whose blocks move here, `socket` BIRD's control socket."""
        self.blocks = Blocks()
        self.protocols = frozenset[str]()
        """Names of the protocols in the file."""
        self.state = State.UNREAD
        self.watch: Watch | None = None
        self.refusal: BirdRefusal | None = None
        self.pushes = self.refusals = self.undos = 0
        self.seconds = 0.0
        self._name = name
        self._file = IncludeFile(include, socket)
        self._former = IncludeFile(former) if former else None
        self._written = ""
        self._denied = ""
        self._denied_until = 0.0
        self._difference: Difference | None = None
        self._blame: Blame | None = None

    @property
    def path(self) -> str:
        """Path of the file."""
        return str(self._file.path)

    @property
    def unconfirmed(self) -> bool:
        """Whether the file is newer than what BIRD is known to keep."""
        return self.state in UNCONFIRMED

    @property
    def due_at(self) -> float | None:
        """When to push the file, on the monotonic clock; None if there is nothing to push."""
        due = {State.WAITING: 0.0, State.DENIED: self._denied_until}
        return due.get(self.state)

    @property
    def empty(self) -> bool:
        """Whether the file has no blocks."""
        return self._written == HEADER

    @property
    def error(self) -> str:
        """Why BIRD does not have the file as it should be; empty if it has."""
        if self.refusal is None:
            return self._denied if self.state is State.DENIED else ""
        return f"BIRD {self._name!r} refused {self.path}: {words(self.refusal)}"

    def changed(self, tunnel: str) -> None:
        """Stop watching the sessions of a tunnel: they are about to change or go."""
        if self.watch and self._difference:
            self.watch.excuse(self._difference.protocols.get(tunnel, frozenset()))

    def _move(self, event: Event) -> None:
        self.state = after(self.state, event)

    # --- the file -----------------------------------------------------------------------------

    async def adopt(self) -> tuple[str, ...]:
        """Read the file, or begin one so that BIRD can include it; return the tunnels in it.

        Raises IncludeError.
        """
        text, unfinished = await asyncio.to_thread(self._read_or_begin)
        self._move(Event.UNFINISHED if unfinished else Event.READ)
        self._remember(text)
        return self.blocks.adopt(text)

    def _read_or_begin(self) -> tuple[str, bool]:
        if self._former:
            self._file.take_over(self._former)
        text = self._file.read()
        if text is None:
            text = HEADER
            self._file.create()
        return text, self._file.unfinished()

    async def write(self) -> None:
        """Make the file equal to what it should be; raises IncludeError."""
        draft = self.blocks.draft()
        there = await asyncio.to_thread(self._file.read)
        # not what is there: another program may have changed it
        good = await asyncio.to_thread(self._file.last_good) if self.unconfirmed else self._written
        text = await asyncio.to_thread(draft.text, good or HEADER)
        if text != there:
            await asyncio.to_thread(self._file.replace, text)
            self._move(Event.WRITTEN)
        self._remember(text)
        self._forget_refusal()

    def _remember(self, text: str) -> None:
        self._written, self.protocols = text, protocols(text)

    def _forget_refusal(self) -> None:
        if not self.blocks.held and not self.unconfirmed:
            self.refusal = None

    # --- into BIRD ----------------------------------------------------------------------------

    async def push(self, control: Control, states: Sequence[BgpState]) -> None:
        """Make BIRD load the file; `states` are its sessions now.

        Blocks that BIRD refuses are put back, and the rest is tried again.

        Raises ControlError and IncludeError.
        """
        try:
            for _ in range(ATTEMPTS):
                message = await self._configure(control, states)
                if not message or not await self._put_back(message):
                    return
        except DeniedError as error:
            self._deny(error)
            return
        await self._restore()
        self._move(Event.REFUSED)

    def _deny(self, error: DeniedError) -> None:
        self._denied, self._denied_until = str(error), time.monotonic() + DENIED_RETRY
        if self.unconfirmed:
            self._move(Event.DENIED)

    async def _configure(self, control: Control, states: Sequence[BgpState]) -> str:
        """Check and load BIRD's configuration; return its message if it refuses."""
        good = await asyncio.to_thread(self._file.last_good)
        changes = await asyncio.to_thread(difference, good, self._written)
        up = frozenset(one.protocol for one in states if one.established) - changes.touched
        began = time.monotonic()
        for command, success in (
            ("configure check", CHECKED),
            (f"configure timeout {UNDO_AFTER}" if up else "configure", RECONFIGURED),
        ):
            reply = await control.ask(command)
            if reply.code == CONFIGURATION_ERROR:
                return reply.message
            self._check(control, command, reply, success)
        self.pushes, now = self.pushes + 1, time.monotonic()
        self.seconds = now - began
        log.info("BIRD reconfigured", bird=self._name, tunnels=len(changes.tunnels))
        if up:
            self.watch, self._difference = Watch(up, up & changes.same, now), changes
            self._move(Event.LOADED_TO_WATCH)
        else:
            await self._accepted(Event.LOADED)
        return ""

    def _check(self, control: Control, command: str, reply: Reply, success: frozenset[int]) -> None:
        if reply.code == ACCESS_DENIED:
            raise DeniedError(restricted(control.socket))
        if reply.code not in success:
            raise ControlError(f"BIRD at {control.socket}: `{command}`: {reply.message}")

    async def _put_back(self, message: str) -> bool:
        """Restore the last good file; return whether there is anything else to push."""
        self.refusals += 1
        good = await asyncio.to_thread(self._file.last_good)
        self.refusal = refusal(message, self.path, self._written, good)
        await self._restore()
        if not self.blocks.hold(self.refusal.tunnels):
            self._move(Event.REFUSED)
            return False
        self._move(Event.RESTORED)
        await self.write()
        return self.unconfirmed

    async def _restore(self) -> None:
        self._remember(await asyncio.to_thread(self._file.restore))

    async def _accepted(self, event: Event) -> None:
        """Make the file the last good one; `event` is why."""
        await asyncio.to_thread(self._file.accept)
        self._move(event)
        self._forget_refusal()

    # --- afterwards ---------------------------------------------------------------------------

    async def judge(self, control: Control, states: Sequence[BgpState]) -> bool:
        """Confirm or undo the last push if it is time; return whether the file must be written.

        A socket that was restricted meanwhile leaves the undoing to BIRD's own time-out. Raises
        ControlError and IncludeError.
        """
        now = time.monotonic()
        if self.watch:
            verdict = self.watch.judge(states, now)
            try:
                if verdict is Verdict.GOOD:
                    await self._confirm(control)
                elif verdict is Verdict.BAD:
                    await self._undo(control, self.watch, states)
            except DeniedError as error:
                self._deny(error)
        elif self._blame:
            verdict = self._blame.judge(states, now)
            self._blame = self._blame if verdict is Verdict.WAIT else None
            return verdict is Verdict.GOOD and self.retry()
        return False

    async def _confirm(self, control: Control) -> None:
        """Confirm the push. Nothing to confirm: another program configured BIRD, so push again."""
        reply = await control.ask("configure confirm")
        self.watch = None
        if reply.code == NOTHING_TO_DO:
            self._move(Event.NOT_CONFIRMED)
            return
        try:
            self._check(control, "configure confirm", reply, frozenset({CONFIRMED}))
            await self._accepted(Event.CONFIRMED)
        except (ControlError, DeniedError, IncludeError):
            self._move(Event.NOT_CONFIRMED)
            raise

    async def _undo(self, control: Control, watch: Watch, states: Sequence[BgpState]) -> None:
        tunnels = self._difference.tunnels if self._difference else frozenset()
        errors = {state.protocol: state.last_error for state in states}
        shown = ", ".join(f"{name} ({errors.get(name) or 'gone'})" for name in watch.lost[:3])
        self.refusal = BirdRefusal(
            f"undone, {len(watch.lost)} of {len(watch.up)} sessions did not come back: {shown}",
            tunnels=tuple(sorted(tunnels)),
        )
        await self._restore()
        self.watch, self.undos = None, self.undos + 1
        self._blame = Blame(watch.lost, time.monotonic())
        self.blocks.hold(tunnels)
        self._move(Event.UNDONE)
        reply = await control.ask("configure undo")
        if reply.code == NOTHING_TO_DO:
            reply = await control.ask("configure")
        self._check(control, "configure undo", reply, RECONFIGURED)

    def retry(self) -> bool:
        """Give what BIRD refused another chance; return whether the file must be written."""
        found = self.blocks.held or self.state is State.GIVEN_UP
        self.blocks.forget_held()
        self._move(Event.RETRIED)
        return found

    def disconnected(self) -> None:
        """Note that BIRD is away: an unconfirmed file is pushed again when it is back."""
        self.watch = None
        self._move(Event.DISCONNECTED)

    async def leave(self, socket: str) -> None:
        """Confirm a push that has done no harm so far: after the end of vtid BIRD would undo it."""
        if self.watch is None or self.watch.lost:
            return
        with suppress(ControlError, DeniedError, IncludeError):
            async with await Control.connect(socket, LEAVE_LIMIT) as control:
                await self._confirm(control)
