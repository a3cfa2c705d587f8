"""One BIRD: what its include file should be, the push that makes it so, and its sessions' state.

Rules of this file:

* `execute` answers at once: BIRD follows and never gates.
* One task does everything else, in this order: adopt the file, write it, push it, poll. Changes
  are collected for a moment before they are written; an equal file causes nothing at all.
* Nothing is written for tunnels before `release`: until then BIRD keeps what it has.
* The operator's own template is read at start and at `reload`; a new one is taken only if it
  renders every session there is. One that cannot be used is tried again until it can.
* A file that BIRD refuses is put back at once. If BIRD's message points into a tunnel's block,
  that block alone stays as it was and the others go on. What was refused is not tried again until
  it changes, BIRD restarts or somebody else reconfigures it.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from vtid.bird.control import Control, ControlError
from vtid.bird.include import IncludeError, IncludeFile
from vtid.bird.protocols import ProtocolReader, bfd_sessions, clock, with_bfd
from vtid.bird.quote import RenderError
from vtid.bird.render import HEADER, compose, line_at, parse, protocols, render
from vtid.bird.reply import CONFIGURATION_ERROR, ReplyError, has_moved, status_times
from vtid.bird.template import SHIPPED, load, shipped
from vtid.model import (
    BgpState,
    BirdBlock,
    BirdSnapshot,
    BirdState,
    DeleteBird,
    Input,
    Op,
    OpDone,
    OpFailed,
    PutBird,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = structlog.get_logger()

SETTLE = 0.2
"""Seconds without a change after which the file is written."""

SETTLE_MAX = 1.0
"""Seconds after the first change at which it is written in any case."""

POLL = 5.0
POLL_SOON = 1.0
POLLS_SOON = 10
"""Seconds between polls, and for how many polls after a push they come sooner."""

POLL_SHARE = 20
"""A poll takes at most one part in so many of the time, however many sessions there are."""

BACKOFF_MIN, BACKOFF_MAX = 1.0, 15.0
"""Seconds between attempts to connect."""

FILE_RETRY = 10.0
"""Seconds until a file or template that could not be used is tried again."""

ATTEMPTS = 8
"""How often one push is tried, without the blocks BIRD refused, before it is given up."""


class Bird:
    """One `[[bird]]` of the configuration."""

    def __init__(
        self,
        name: str,
        socket: str,
        include: str,
        post: Callable[[Input], None],
        template: str = "bgp",
    ) -> None:
        """Prepare; `template` is the name of one that comes with vtid, or the path of another."""
        self._name = name
        self._socket = socket
        self._file = IncludeFile(include)
        self._template_name = template
        self._template = shipped(template) if template in SHIPPED else None
        self._template_at = 0.0 if self._template is None else math.inf
        self._template_error = ""
        self._post = post
        self._woken = asyncio.Event()
        self._released = False

        self._sources: dict[str, BirdBlock] = {}
        self._blocks: dict[str, str] = {}
        self._changes: dict[str, str | None] = {}
        self._refused: dict[str, str] = {}
        self._adopted = False
        self._written, self._ours = "", frozenset[str]()
        self._unconfirmed = False
        self._given_up = False

        self._first_change = self._last_change = math.inf
        self._file_at = 0.0
        self._contact_at = 0.0
        self._backoff = BACKOFF_MIN
        self._polls_soon = 0

        self._control: Control | None = None
        self._times: tuple[str, str] | None = None
        self._version = self._family = ""
        self._states: tuple[BgpState, ...] = ()
        self._pushes = self._refusals = 0
        self._file_error = self._control_error = self._refusal = ""
        self._told = ""

    def release(self) -> None:
        """Allow pushes: configuration, SAs and links are all known."""
        self._released = True
        self._woken.set()

    def reload(self) -> None:
        """Read the operator's template again; what it changes is pushed."""
        if self._template_name not in SHIPPED:
            self._template_at = 0.0
            self._woken.set()

    async def execute(self, ops: Sequence[Op]) -> list[OpDone | OpFailed]:
        """Make blocks part of what the file should be, or not; the push follows by itself."""
        return [self._collect(op) for op in ops]

    async def run(self) -> None:
        """Keep file, BIRD and the picture of its sessions up to date, for ever."""
        try:
            while True:
                await self._step()
                await self._wait()
        finally:
            self._disconnect()

    # --- what the file should be --------------------------------------------------------------

    def _collect(self, op: Op) -> OpDone | OpFailed:
        try:
            match op:
                case PutBird(block=block):
                    text = self._render(block)
                    self._sources[block.tunnel] = block
                    return OpDone(op, changed=self._change(block.tunnel, text))
                case DeleteBird(tunnel=tunnel):
                    self._sources.pop(tunnel, None)
                    return OpDone(op, changed=self._change(tunnel, None))
        except RenderError as error:
            return OpFailed(op, str(error))
        raise TypeError(f"not an operation of BIRD's: {op}")

    def _render(self, block: BirdBlock) -> str:
        if self._template is None:
            why = self._template_error or f"{self._template_name} is yet to be read"
            raise RenderError(f"tunnel {block.tunnel!r}: {why}")
        return render(block, self._template)

    def _change(self, tunnel: str, text: str | None) -> bool:
        if self._changes.get(tunnel, self._blocks.get(tunnel)) == text and self._adopted:
            return False
        self._changes[tunnel] = text
        self._touch()
        return True

    def _touch(self) -> None:
        """Have the file compared and written soon."""
        self._last_change = time.monotonic()
        self._first_change = min(self._first_change, self._last_change)
        self._woken.set()

    def _merge(self) -> None:
        for tunnel, text in self._changes.items():
            if text is None:
                self._blocks.pop(tunnel, None)
            else:
                self._blocks[tunnel] = text
        self._changes.clear()
        for tunnel in [t for t, text in self._refused.items() if self._blocks.get(t) != text]:
            del self._refused[tunnel]

    # --- the task -----------------------------------------------------------------------------

    async def _step(self) -> None:
        """Do what is due now, and tell what came of it."""
        if await self._look_after_file() | await self._look_after_bird():
            self._publish()

    async def _look_after_file(self) -> bool:
        """Read the template, adopt or write the file if that is due; False if it is not."""
        now = time.monotonic()
        try:
            if now >= self._template_at:
                await self._load_template()
            elif not self._adopted and now >= self._file_at:
                await self._adopt()
            elif now >= self._write_at():
                await self._write()
            else:
                return False
        except IncludeError as error:
            self._file_failed(error)
        return True

    async def _look_after_bird(self) -> bool:
        """Push and poll if that is due; False if it is not."""
        if time.monotonic() < self._contact_at and not self._push_due():
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
        due = min(self._write_at(), self._contact_at, self._template_at)
        if not self._adopted:
            due = min(due, self._file_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._woken.wait()
        self._woken.clear()

    def _write_at(self) -> float:
        """When the file is to be compared and written; infinity if it is not."""
        if not (self._released and self._adopted):
            return math.inf
        settled = min(self._last_change + SETTLE, self._first_change + SETTLE_MAX)
        return max(settled, self._file_at)

    def _push_due(self) -> bool:
        return bool(self._control and self._released and self._unconfirmed and not self._given_up)

    # --- the template -------------------------------------------------------------------------

    async def _load_template(self) -> None:
        """Take the operator's template and render with it what has been rendered before."""
        self._template_at = math.inf
        try:
            template = await asyncio.to_thread(load, self._template_name)
            blocks = tuple(self._sources.values())
            texts = await asyncio.to_thread(lambda: {one: render(one, template) for one in blocks})
            self._template, self._template_error = template, ""
            for tunnel, block in self._sources.items():
                self._change(tunnel, texts[block] if block in texts else self._render(block))
        except RenderError as error:
            self._template_error = str(error)
            self._template_at = time.monotonic() + FILE_RETRY

    # --- the file -----------------------------------------------------------------------------

    async def _adopt(self) -> None:
        """Read the file, or begin an empty one so that BIRD can include it."""
        try:
            text = await asyncio.to_thread(self._file.read)
            if text is None:
                text = HEADER
                await asyncio.to_thread(self._file.create)
            self._unconfirmed = await asyncio.to_thread(self._file.unfinished)
        except IncludeError as error:
            if str(error) != self._file_error:
                self._post(BirdSnapshot(self._name, (), str(error)))
            raise
        self._adopted, self._file_error = True, ""
        self._blocks = parse(text)
        self._remember(text)
        self._post(BirdSnapshot(self._name, tuple(self._blocks)))

    async def _write(self) -> None:
        """Make the file equal to what it should be."""
        self._first_change = self._last_change = math.inf
        self._merge()
        there = await asyncio.to_thread(self._file.read)
        good = await asyncio.to_thread(self._file.last_good) if self._unconfirmed else there
        text = compose(self._effective(parse(good or HEADER)))
        if text != there:
            await asyncio.to_thread(self._file.replace, text)
            self._unconfirmed = True
            self._given_up = False
        self._remember(text)
        self._file_error = ""
        if not self._refused and not self._unconfirmed:
            self._refusal = ""

    def _remember(self, text: str) -> None:
        """Note what is in the file."""
        self._written, self._ours = text, protocols(text)

    def _effective(self, good: dict[str, str]) -> dict[str, str]:
        """Return the blocks to write: for refused ones their last good text, if any."""
        blocks = {t: good.get(t) if t in self._refused else self._blocks[t] for t in self._blocks}
        return {tunnel: text for tunnel, text in blocks.items() if text is not None}

    def _file_failed(self, error: IncludeError) -> None:
        self._file_error = str(error)
        self._file_at = time.monotonic() + FILE_RETRY
        if self._adopted:
            self._touch()

    # --- BIRD ---------------------------------------------------------------------------------

    async def _contact(self) -> None:
        """Connect if need be, push what is to be pushed, and ask for the sessions."""
        if self._control is None:
            self._control = await Control.connect(self._socket)
            self._version, self._times = self._control.version, None
            self._family = await self._ask_family(self._control)
            self._control_error, self._backoff = "", BACKOFF_MIN
            self._retry_refused()
        if self._push_due():
            await self._push(self._control)
        started = time.monotonic()
        await self._poll(self._control)
        took = time.monotonic() - started
        pause = POLL_SOON if self._polls_soon else POLL
        self._contact_at = started + max(pause, took * POLL_SHARE)
        self._polls_soon = max(0, self._polls_soon - 1)

    async def _ask_family(self, control: Control) -> str:
        """Return the only address family of a daemon of BIRD 1.x; none for later versions."""
        if not self._version.startswith("1."):
            return ""
        return "ipv6" if (await control.ask("eval ::1")).ok else "ipv4"

    def _control_failed(self, error: Exception) -> None:
        self._disconnect()
        self._control_error = str(error)
        self._contact_at = time.monotonic() + self._backoff
        self._backoff = min(2 * self._backoff, BACKOFF_MAX)

    def _disconnect(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, self._states = None, ()

    def _retry_refused(self) -> None:
        """Give what was refused another chance."""
        if self._refused or self._given_up:
            self._refused.clear()
            self._given_up = False
            self._touch()

    async def _push(self, control: Control) -> None:
        """Have BIRD take the file; what it refuses is put back, the rest tried again."""
        for _ in range(ATTEMPTS):
            refusal = await self._configure(control)
            if not refusal:
                return await self._accepted()
            culprits = await self._put_back(refusal)
            if not culprits:
                break
            await self._write()
            if not self._unconfirmed:
                return None
        if self._unconfirmed:
            await self._restore()
        self._given_up = True
        return None

    async def _configure(self, control: Control) -> str:
        """Check and load BIRD's configuration; return its message if it refuses."""
        for command in ("configure check", "configure"):
            reply = await control.ask(command)
            if reply.code == CONFIGURATION_ERROR:
                return reply.message
            if not reply.ok:
                raise ControlError(f"BIRD at {self._socket}: `{command}`: {reply.message}")
        return ""

    async def _accepted(self) -> None:
        await asyncio.to_thread(self._file.accept)
        self._unconfirmed = False
        self._pushes += 1
        self._polls_soon, self._times = POLLS_SOON, None
        if not self._refused:
            self._refusal = ""

    async def _put_back(self, refusal: str) -> list[str]:
        """Restore the last good file; return the tunnels whose blocks BIRD does not want."""
        self._refusals += 1
        culprits = self._culprits(refusal, parse(await asyncio.to_thread(self._file.last_good)))
        self._refusal = f"BIRD {self._name!r} refused {self._file.path}: {refusal}"
        if culprits:
            self._refused |= {tunnel: self._blocks[tunnel] for tunnel in culprits}
            more = f" and {len(culprits) - 1} more" if len(culprits) > 1 else ""
            self._refusal += f" (tunnel {culprits[0]!r}{more}; all others go on)"
        await self._restore()
        return culprits

    async def _restore(self) -> None:
        self._remember(await asyncio.to_thread(self._file.restore))
        self._unconfirmed = False

    def _culprits(self, refusal: str, good: dict[str, str]) -> list[str]:
        """Find the new blocks that have the line at fault, from `file:line:column message`."""
        where = re.match(r"(.+?):(\d+):\d+ ", refusal, re.ASCII)
        if where is None or Path(where[1]).name != self._file.path.name:
            return []
        tunnel, line = line_at(self._written, int(where[2]))
        written = parse(self._written)
        if tunnel is None or written[tunnel] == good.get(tunnel):
            return []
        others = (t for t, text in written.items() if line in text.split("\n"))
        return [tunnel, *(t for t in others if t != tunnel and written[t] != good.get(t))]

    async def _poll(self, control: Control) -> None:
        status = await control.ask("show status")
        reader = ProtocolReader(self._name, clock(status, time.time()), self._family)
        times = status_times(status)
        if self._times is not None and any(map(has_moved, self._times, times)):
            self._retry_refused()
        self._times = times
        await control.stream("show protocols all", reader.feed)
        reader.close()
        sessions = [
            session
            for name in reader.bfd
            for session in bfd_sessions(await control.ask(f"show bfd sessions '{name}'"))
        ]
        self._states = with_bfd(reader.bgp, sessions)

    # --- what it looks like -------------------------------------------------------------------

    def _publish(self) -> None:
        errors = (
            self._template_error,
            self._file_error,
            self._control_error,
            self._refusal,
            self._misfit(),
            self._not_included(),
        )
        error = "; ".join(text for text in errors if text)
        if error != self._told:
            self._told = error
            if error:
                log.warning("BIRD needs attention", bird=self._name, error=error)
        self._post(
            BirdState(
                instance=self._name,
                connected=self._control is not None,
                version=self._version,
                error=error,
                pushes=self._pushes,
                refusals=self._refusals,
                protocols=self._states,
            )
        )

    def _not_included(self) -> str:
        """Say so where BIRD knows none of the sessions in the file it has accepted."""
        if not self._ours or self._control is None or not self._released or self._unconfirmed:
            return ""
        if any(state.protocol in self._ours for state in self._states):
            return ""
        return (
            f"BIRD {self._name!r} has none of the sessions in {self._file.path}: "
            f'add `include "{self._file.path}";` to its main configuration and reconfigure it'
        )

    def _misfit(self) -> str:
        """Say so where the template or sessions are for another BIRD than the one that answers."""
        wanted = "bgp-1.6" if self._version.startswith("1.") else "bgp"
        if self._version and self._template_name in SHIPPED and self._template_name != wanted:
            return (
                f"BIRD {self._name!r} is version {self._version}: "
                f'write `template = "{wanted}"` under its [[bird]]'
            )
        if not self._family:
            return ""
        for session in (one for block in self._sources.values() for one in block.sessions):
            if (":" in session.neighbor) != (self._family == "ipv6"):
                return (
                    f"BIRD {self._name!r} is the {self._family} daemon of version {self._version}: "
                    f"give {session.neighbor} on {session.interface} to the [[bird]] of the other"
                )
        return ""
