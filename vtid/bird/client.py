"""One BIRD: keeps its include file current, pushes it, and polls the sessions. An edge.

Rules of this file:

* `execute` answers at once; no tunnel waits for BIRD.
* One task does the rest, in this order: read the file, write it, push it, poll. Changes are
  collected for a moment before they are written; an unchanged file causes nothing.
* Nothing is written for tunnels before `release`: until then BIRD keeps what it has.
* What BIRD refused gets another chance when BIRD restarts, when another program reconfigures it,
  and when vtid reloads.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from vtid.bird.content import Content
from vtid.bird.control import Control, ControlError
from vtid.bird.debounce import Debounce
from vtid.bird.include import IncludeError, IncludeFile
from vtid.bird.pace import Pace
from vtid.bird.push import Pusher
from vtid.bird.quote import RenderError
from vtid.bird.reply import ReplyError
from vtid.bird.report import misconfigured, report
from vtid.bird.sessions import Sessions
from vtid.bird.states import State
from vtid.bird.switch import Switches, command
from vtid.model.input import BirdGone, BirdSnapshot, Input, OpDone, OpFailed
from vtid.model.levels import Subsystem
from vtid.model.operation import DeleteBird, Op, PutBird

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

log = structlog.get_logger(Subsystem.BIRD)

FILE_RETRY = 10.0
"""Seconds until a file that could not be used is tried again."""

FILE_LOOK = 30.0
"""Seconds between looks whether another program changed or deleted the file."""


class Bird:
    """One `[[bird]]` of the configuration."""

    def __init__(  # noqa: PLR0917 - the keys of the table, and where results go
        self,
        name: str,
        socket: str,
        include: str,
        post: Callable[[Input], None],
        template: str = "bgp",
        former: str = "",
    ) -> None:
        """Prepare; `template` is the name of one that comes with vtid, or a path.

        `former` is the include file that this BIRD had before: its blocks move to the new one.
        """
        self._name = name
        self._socket = socket
        self._pusher = Pusher(name, include, former, socket)
        self._content = Content(template, self._pusher.blocks)
        self._sessions = Sessions(name, socket)
        self._answered_at = 0.0
        self._post = post
        self._woken = asyncio.Event()
        self._released = self._retiring = self._ended = False

        self._switches, self._switch_at = Switches(), math.inf
        self._debounce = Debounce()
        self._file_at = 0.0
        self._look_at = math.inf
        self._pace = Pace()

        self._file_error = self._control_error = ""
        self._told = ""

    def release(self) -> None:
        """Allow pushes: configuration, SAs and links are all known."""
        self._released = True
        self._woken.set()

    def reload(self) -> None:
        """Read the operator's template again, and give what BIRD refused another chance."""
        self._retry()
        if self._content.template.reload():
            self._woken.set()

    def retire(self) -> None:
        """End as soon as the file is empty and BIRD has taken it."""
        self._retiring = True
        self._woken.set()

    def recall(self) -> bool:
        """Take `retire` back; False if it is too late for that."""
        self._retiring = False
        return not self._ended

    @property
    def is_current(self) -> bool:
        """Whether BIRD has the file as it should be, and nothing waits to be written."""
        waits = self._debounce.due < math.inf or self._pusher.unconfirmed
        return self._adopted and not waits

    @property
    def _adopted(self) -> bool:
        return self._pusher.state is not State.UNREAD

    async def preview(self, ops: Sequence[Op] = ()) -> tuple[str, str, str]:
        """Return the file's path, what it says, and what it should say after operations.

        Raises IncludeError, and RenderError where the template cannot be used.
        """
        path, wanted = self._pusher.path, self._pusher.blocks.wanted
        there = await asyncio.to_thread(IncludeFile(path).read)
        return path, there or "", await asyncio.to_thread(self._content.after, wanted, ops)

    async def execute(self, ops: Sequence[Op]) -> list[OpDone | OpFailed]:
        """Add blocks to the file or remove them; the push follows by itself."""
        return [self._collect(op) for op in ops]

    async def run(self) -> None:
        """Keep the file, BIRD and the state of its sessions current, until it has retired."""
        try:
            while not self._is_done():
                await self._step()
                await self._wait()
            self._post(BirdGone(self._name))
        finally:
            await self._pusher.leave(self._socket)
            self._disconnect()

    # --- what the file should be --------------------------------------------------------------

    def _collect(self, op: Op) -> OpDone | OpFailed:
        try:
            match op:
                case PutBird(block=block):
                    changed = self._content.put(block)
                    self._switch_soon(block.tunnel, block.switched)
                case DeleteBird(tunnel=tunnel):
                    changed = self._content.delete(tunnel)
                    self._switches.change(tunnel)
                case _:
                    raise TypeError(f"not an operation of BIRD's: {op}")
        except RenderError as error:
            return OpFailed(op, str(error))
        if changed:
            self._changed(op.tunnel)
        return OpDone(op, changed=changed)

    def _changed(self, tunnel: str) -> None:
        self._pusher.changed(tunnel)
        self._touch()

    def _switch_soon(self, tunnel: str, switched: Iterable[tuple[str, bool]]) -> None:
        if self._switches.change(tunnel, switched):
            self._switch_at = 0.0
            self._woken.set()

    def _touch(self) -> None:
        """Compare and write the file soon."""
        self._debounce.changed(time.monotonic())
        self._woken.set()

    def _retry(self) -> None:
        """Give what BIRD refused another chance."""
        if self._pusher.retry():
            self._touch()

    def _is_done(self) -> bool:
        self._ended = self._retiring and self.is_current and self._pusher.empty
        return self._ended

    # --- the task -----------------------------------------------------------------------------

    async def _step(self) -> None:
        """Do what is due now, and publish the result."""
        if await self._tend_file() | await self._tend_bird():
            self._publish()

    async def _tend_file(self) -> bool:
        """Read the template, adopt or write the file if that is due; False if it is not."""
        now = time.monotonic()
        try:
            if now >= self._content.template.due:
                await self._render_again()
            elif not self._adopted and now >= self._file_at:
                await self._adopt()
            elif now >= self._write_at():
                await self._write()
            else:
                return False
        except IncludeError as error:
            self._file_failed(error)
        return True

    async def _tend_bird(self) -> bool:
        """Push and poll if that is due; False if it is not."""
        switch_at = self._switch_at if self._sessions.control else math.inf
        if time.monotonic() < min(self._pace.due, self._push_at(), switch_at):
            return False
        try:
            await self._contact()
        except (ControlError, ReplyError) as error:
            self._control_failed(error)
        except IncludeError as error:
            self._file_failed(error)
        return True

    async def _wait(self) -> None:
        """Sleep until something is due or has changed."""
        due = min(self._write_at(), self._pace.due, self._push_at(), self._content.template.due)
        if self._sessions.control:
            due = min(due, self._switch_at)
        if not self._adopted:
            due = min(due, self._file_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._woken.wait()
        self._woken.clear()

    def _write_at(self) -> float:
        """When to compare and write the file; infinity for never."""
        if not (self._released and self._adopted) or self._pusher.watch:
            return math.inf
        # what BIRD refused, or vtid undid, waits for a change: the file is as good as it can be
        look_at = math.inf if self._pusher.state is State.GIVEN_UP else self._look_at
        return max(min(self._debounce.due, look_at), self._file_at)

    def _push_at(self) -> float:
        """When to push the file; infinity if there is nothing to push, or BIRD is away."""
        due = self._pusher.due_at if self._sessions.control and self._released else None
        return math.inf if due is None else due

    # --- the file -----------------------------------------------------------------------------

    async def _render_again(self) -> None:
        """Read the operator's template and render every block with it."""
        for tunnel in await self._content.read_template():
            self._changed(tunnel)

    async def _adopt(self) -> None:
        """Post which tunnels the file names, or why it cannot be read."""
        try:
            tunnels = await self._pusher.adopt()
        except IncludeError as error:
            if str(error) != self._file_error:
                self._post(BirdSnapshot(self._name, (), str(error)))
            raise
        self._file_error = ""
        self._look_at = time.monotonic() + FILE_LOOK
        self._post(BirdSnapshot(self._name, tunnels))

    async def _write(self) -> None:
        now = time.monotonic()
        if self._debounce.due < math.inf:
            self._debounce.written(now)
        self._look_at = now + FILE_LOOK
        await self._pusher.write()
        self._file_error = ""

    def _file_failed(self, error: IncludeError) -> None:
        self._file_error = str(error)
        self._file_at = time.monotonic() + FILE_RETRY
        if self._adopted:
            self._touch()

    # --- BIRD ---------------------------------------------------------------------------------

    async def _contact(self) -> None:
        """Connect if necessary, poll the sessions, and push the file if that is due."""
        control = self._sessions.control or await self._connect()
        await self._switch(control)
        started = time.monotonic()
        if started < min(self._pace.due, self._push_at()):
            return
        await self._poll(control)
        if started >= self._push_at():
            await self._pusher.push(control, self._sessions.states)
            self._pace.pushed()
            self._sessions.reconfigured()
            await self._poll(control)
        undos = self._pusher.undos
        if await self._pusher.judge(control, self._sessions.states):
            self._touch()
        if self._pusher.undos != undos:
            self._sessions.reconfigured()
        self._pace.polled(started, time.monotonic(), watching=self._pusher.watch is not None)

    async def _switch(self, control: Control) -> None:
        """Enable and disable sessions; those that BIRD does not have yet follow at later polls."""
        self._switch_at = math.inf
        for name, on in tuple(self._switches.due.items()):
            self._switches.answered(name, await control.ask(command(name, on=on)), on=on)

    async def _connect(self) -> Control:
        control = await self._sessions.connect()
        self._control_error = ""
        self._pace.connected()
        self._file_at = 0.0  # writing a file with passwords has to wait until BIRD's group is known
        self._retry()
        return control

    def _control_failed(self, error: Exception) -> None:
        self._disconnect()
        self._control_error = str(error)
        self._pace.failed(time.monotonic())

    def _disconnect(self) -> None:
        self._sessions.disconnect()
        self._pusher.disconnected()
        self._switches.forget()

    async def _poll(self, control: Control) -> None:
        news = await self._sessions.poll(control)
        self._answered_at = time.time()
        if news:
            self._retry()

    # --- what it looks like -------------------------------------------------------------------

    def _publish(self) -> None:
        looks = (self._name, self._sessions, self._pusher)
        errors = (
            self._content.template.error,
            self._file_error,
            self._control_error,
            self._pusher.error,
            *misconfigured(*looks, self._content, released=self._released),
        )
        error = "; ".join(text for text in errors if text)
        if error != self._told:
            self._told = error
            if error:
                log.warning("BIRD needs attention", bird=self._name, error=error)
        self._post(report(*looks, error, self._answered_at))
