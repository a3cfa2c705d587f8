"""Edge: how a file gets into BIRD and, if it does harm, out of it again.

    write ─▶ check ─▶ configure timeout ─▶ watch ─▶ confirm         the file is the last good one
               │              │              └────▶ undo ─▶ blame   the last good file is put back
               └─ refused ────┴──▶ put back, write without the blocks at fault, try again

Rules of this file:

* A file that BIRD has not confirmed has the last good one beside it, whatever happens to vtid.
* While a push is watched nothing is written: what BIRD may go back to is the last good file.
* If BIRD's message points into a tunnel's block, that block alone stays as it was and the others
  go on. So do the blocks of a push that was undone. What was refused is not tried again until it
  changes or `retry` is called.
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
from vtid.bird.watch import UNDO_AFTER, Blame, Verdict, Watch
from vtid.model.input import BirdRefusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.model.bgp import BgpState

log = structlog.get_logger()

ATTEMPTS = 8
"""How often one push is tried, without the blocks BIRD refused, before it is given up."""

LEAVE_LIMIT = 1.0
"""Seconds for the last words to BIRD when vtid stops."""

DENIED_RETRY = 10.0
"""Seconds until a control socket that lets nobody reconfigure is tried again."""

CHECKED = frozenset({20})


class DeniedError(Exception):
    """The control socket is restricted: vtid may look but not reconfigure."""


class Pusher:
    """The file of one BIRD, and the way it takes into BIRD."""

    def __init__(self, name: str, include: str, former: str = "", socket: str = "") -> None:
        """Prepare; `former` is a file whose blocks move here, `socket` BIRD's control socket."""
        self.blocks = Blocks()
        self.protocols = frozenset[str]()
        """Names of the protocols in the file."""
        self.unconfirmed = False
        self.watch: Watch | None = None
        self.refusal: BirdRefusal | None = None
        self.denied = ""
        self.pushes = self.refusals = self.undos = 0
        self.seconds = 0.0
        self._name = name
        self._file = IncludeFile(include, socket)
        self._former = IncludeFile(former) if former else None
        self._written = ""
        self._given_up = False
        self._not_before = 0.0
        self._difference: Difference | None = None
        self._blame: Blame | None = None

    @property
    def path(self) -> str:
        """Path of the file."""
        return str(self._file.path)

    @property
    def due_at(self) -> float | None:
        """When BIRD is to be given the file, None if it has it or does not want it."""
        waits = self.unconfirmed and not self._given_up and self.watch is None
        return self._not_before if waits else None

    @property
    def empty(self) -> bool:
        """Whether the file has no blocks."""
        return self._written == HEADER

    @property
    def error(self) -> str:
        """Why BIRD does not have what it should have; empty if it has."""
        if self.refusal is None:
            return self.denied
        return f"BIRD {self._name!r} refused {self.path}: {words(self.refusal)}"

    def changed(self, tunnel: str) -> None:
        """Expect nothing of a tunnel's sessions that are about to change or go."""
        if self.watch and self._difference:
            self.watch.excuse(self._difference.protocols.get(tunnel, frozenset()))

    # --- the file -----------------------------------------------------------------------------

    async def adopt(self) -> tuple[str, ...]:
        """Read the file, or begin one so that BIRD can include it; return the tunnels in it.

        Raises IncludeError.
        """
        text, self.unconfirmed = await asyncio.to_thread(self._read_or_begin)
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
        good = await asyncio.to_thread(self._file.last_good) if self.unconfirmed else there
        text = await asyncio.to_thread(draft.text, good or HEADER)
        if text != there:
            await asyncio.to_thread(self._file.replace, text)
            self.unconfirmed = True
            self._given_up = False
        self._remember(text)
        self._forget_refusal()

    def _remember(self, text: str) -> None:
        self._written, self.protocols = text, protocols(text)

    def _forget_refusal(self) -> None:
        if not self.blocks.held and not self.unconfirmed:
            self.refusal = None

    # --- into BIRD ----------------------------------------------------------------------------

    async def push(self, control: Control, states: Sequence[BgpState]) -> None:
        """Have BIRD take the file; `states` are its sessions now.

        What BIRD refuses is put back, and the rest tried again. Raises ControlError, IncludeError.
        """
        try:
            for _ in range(ATTEMPTS):
                message = await self._configure(control, states)
                if not message or not await self._put_back(message):
                    return
        except DeniedError as error:
            self.denied, self._not_before = str(error), time.monotonic() + DENIED_RETRY
            return
        await self._restore()
        self._given_up = True

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
        self.denied, self.pushes, now = "", self.pushes + 1, time.monotonic()
        self.seconds = now - began
        log.info("BIRD reconfigured", bird=self._name, tunnels=len(changes.tunnels))
        if up:
            self.watch, self._difference = Watch(up, up & changes.same, now), changes
        else:
            await self._accepted()
        return ""

    def _check(self, control: Control, command: str, reply: Reply, success: frozenset[int]) -> None:
        if reply.code == ACCESS_DENIED:
            raise DeniedError(restricted(control.socket))
        if reply.code not in success:
            raise ControlError(f"BIRD at {control.socket}: `{command}`: {reply.message}")

    async def _put_back(self, message: str) -> bool:
        """Restore the last good file; return whether there is something else to push."""
        self.refusals += 1
        good = await asyncio.to_thread(self._file.last_good)
        self.refusal = refusal(message, self.path, self._written, good)
        await self._restore()
        if not self.blocks.hold(self.refusal.tunnels):
            self._given_up = True
            return False
        await self.write()
        return self.unconfirmed

    async def _restore(self) -> None:
        self._remember(await asyncio.to_thread(self._file.restore))
        self.unconfirmed = False

    async def _accepted(self) -> None:
        await asyncio.to_thread(self._file.accept)
        self.watch, self.unconfirmed = None, False
        self._forget_refusal()

    # --- afterwards ---------------------------------------------------------------------------

    async def judge(self, control: Control, states: Sequence[BgpState]) -> bool:
        """Confirm or undo the last push if it is time; return whether there is something to write.

        Raises ControlError and IncludeError.
        """
        now = time.monotonic()
        if self.watch:
            verdict = self.watch.judge(states, now)
            if verdict is Verdict.GOOD:
                await self._confirm(control)
            elif verdict is Verdict.BAD:
                await self._undo(control, self.watch, states)
        elif self._blame:
            verdict = self._blame.judge(states, now)
            self._blame = self._blame if verdict is Verdict.WAIT else None
            return verdict is Verdict.GOOD and self.retry()
        return False

    async def _confirm(self, control: Control) -> None:
        """Keep the push. If there is nothing to confirm, somebody else configured: push again."""
        reply = await control.ask("configure confirm")
        self.watch = None
        if reply.code != NOTHING_TO_DO:
            self._check(control, "configure confirm", reply, frozenset({CONFIRMED}))
            await self._accepted()

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
        self._given_up = True
        reply = await control.ask("configure undo")
        if reply.code == NOTHING_TO_DO:
            reply = await control.ask("configure")
        self._check(control, "configure undo", reply, RECONFIGURED)

    def retry(self) -> bool:
        """Give what was refused another chance; return whether there is something to write."""
        found = self.blocks.held or self._given_up
        self.blocks.forget_held()
        self._given_up = False
        return found

    def disconnected(self) -> None:
        """BIRD is away: what is not confirmed is pushed again when it is back."""
        self.watch = None

    async def leave(self, socket: str) -> None:
        """Confirm a push that has done no harm so far, because nobody will do it later."""
        if self.watch is None or self.watch.lost:
            return
        with suppress(ControlError, IncludeError):
            async with await Control.connect(socket, LEAVE_LIMIT) as control:
                await self._confirm(control)
