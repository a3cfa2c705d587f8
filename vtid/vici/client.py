"""The edge to charon: keeps one VICI connection and posts what it says as inputs.

    connect ─▶ version ─▶ register events ─▶ list-sas ─▶ SaSnapshot ─▶ events …
       ▲                                                                  │
       └────────── wait, longer each time ◀── ViciLost(reason) ◀── any trouble

Rules of this file:

* Snapshot and events are one sequence: events are registered first, and those that come while
  the SAs are listed are posted after the snapshot. Each of them is either in it already, where
  telling it again changes nothing, or newer.
* list-sas is asked to wait for busy IKE_SAs. With `noblock` charon leaves out those that are
  checked out at the moment, and what a snapshot leaves out would be torn down.
* A snapshot is taken again from time to time, and soon after events that leave open which SAs
  there are: of two rekeys of the same SA, which have crossed each other, one is undone without an
  event, and ike-update does not say whether UDP encapsulation has come or gone.
* One task reads all the time, whatever else is waited for: charon queues without bound.
* Everything has a time limit. A charon that hangs is found by asking for its version.
* A message that cannot be used is logged once and costs nothing but itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import structlog

from vtid.model.input import ChildRekeyed, IkeUpdated, Input, SaSnapshot, ViciLost
from vtid.vici import connection
from vtid.vici.codec import ProtocolError
from vtid.vici.connection import State
from vtid.vici.sas import EVENTS, SaError, parse_event, parse_list_sa, text
from vtid.vici.session import (
    Answered,
    Closed,
    Event,
    Happened,
    Pending,
    Registered,
    Session,
    Streamed,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.model.sa import ChildSa
    from vtid.vici.codec import Message, Request

log = structlog.get_logger()

LOGGED_MAX = 1000
"""Lines remembered as logged."""

LISTING_SHARE = 20
"""A list that an unclear event asks for waits this many times as long as the last list took."""

RECENT = 256
"""Rekeyed SAs remembered; crossing rekeys are moments apart."""

OPTIONAL_EVENTS = frozenset({"ike-rekey", "ike-update"})
"""Events that older strongSwans lack; without the others vtid cannot follow charon."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Times of a client, in seconds."""

    answer: float = 10.0
    """Longest wait for a connection and for an answer."""
    part: float = 60.0
    """Longest wait for the next part of list-sas: a thread of charon may keep an IKE_SA long."""
    alive: float = 5.0
    """Pause between two questions whether charon is alive."""
    snapshot: float = 300.0
    """Pause between two snapshots."""
    settle: float = 2.0
    """Pause between an event that leaves something open and the snapshot that tells it."""
    retry_first: float = 0.25
    """Until the first attempt to connect again; doubled each time …"""
    retry_max: float = 10.0
    """… up to this. A connection that lasted as long starts over with the first."""

    def delay(self, attempt: int) -> float:
        """Pause before an attempt, with jitter so that many clients do not march in step."""
        longest: float = min(self.retry_first * 2 ** min(attempt, 16), self.retry_max)
        jitter: float = random.SystemRandom().uniform(0.5, 1)
        return longest * jitter


class ViciError(Exception):
    """The connection is not there, was lost, or charon refused; says why and the way out."""


Part: TypeAlias = "Callable[[Message], None]"
"""Gets one part of a streamed answer."""


def _ignore(_message: Message) -> None:
    """Ignore a part of a streamed answer."""


class ViciClient:
    """Follows one charon; `post` gets every input, in order, on the event loop.

    `version` is what charon calls its version while it is connected, else empty.
    """

    def __init__(
        self, socket: str, post: Callable[[Input], None], limits: Limits | None = None
    ) -> None:
        self.version = ""
        self._limits = limits or Limits()
        self._socket = socket
        self._post = post
        self._link: _Link | None = None
        self._state = State.DISCONNECTED
        self._held: list[Input] = []
        """Inputs that came while charon listed its SAs."""
        self._followed_since: float | None = None
        """When this connection's first list was posted."""
        self._unclear = asyncio.Event()
        self._rekeyed = deque[int](maxlen=RECENT)
        self._lost = ""
        self._logged: set[str] = set()

    async def run(self) -> None:
        """Connect, follow, and reconnect, without end; every loss is posted as `ViciLost`."""
        attempt = 0
        while True:
            try:
                await self._follow()
            except ViciError as error:
                self._lose(str(error))
            since = self._followed_since
            if since and time.monotonic() - since > self._limits.retry_max:
                attempt = 0
            self._followed_since = None
            await asyncio.sleep(self._limits.delay(attempt))
            attempt += 1

    async def request(
        self,
        command: str,
        message: Request | None = None,
        *,
        stream: str = "",
        part: Part = _ignore,
    ) -> Message:
        """Run a command that answers soon and return its answer, whatever `success` in it says.

        `part` gets each event `stream` that the command answers with. charon runs the commands of
        a connection one by one: one that takes long looks like a charon that hangs. Raises
        `ViciError`.
        """
        if self._link is None:
            raise ViciError(f"not connected to charon at {self._socket}")
        return await self._link.request(command, message, stream=stream, part=part)

    def _move(self, event: connection.Event) -> None:
        self._state = connection.after(self._state, event)

    async def _follow(self) -> None:
        """Connect and follow charon. Raises `ViciError` at the end of the connection."""
        link = await _Link.open(self._socket, self._limits, self._happened)
        self._link = link
        self._move(connection.Event.CONNECTED)
        error = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(link.read())
                tasks.create_task(self._talk(link))
        except* ViciError as group:
            error = group.exceptions[0]
        finally:
            self._link, self.version = None, ""
            self._held.clear()
            self._move(connection.Event.LOST)
            link.close(str(error or "vtid gave the connection up"))
        if error:
            raise error

    async def _talk(self, link: _Link) -> None:
        version = text(await link.request("version"), "version", "of unknown version")
        for event in (*EVENTS, "list-sa"):
            if not await link.register(event):
                self._missing(event, version)
        self.version = version
        self._move(connection.Event.REGISTERED)
        while True:
            began = time.monotonic()
            await self._snapshot(link)
            took = time.monotonic() - began
            due = time.monotonic() + self._limits.snapshot
            while time.monotonic() < due and not await self._is_unclear():
                await link.request("version")
            if self._unclear.is_set():
                self._move(connection.Event.UNCLEAR)
                # an unclear event from now on may be too young for the list that follows
                self._unclear.clear()
                await asyncio.sleep(max(self._limits.settle, LISTING_SHARE * took))
            self._move(connection.Event.LIST_DUE)

    async def _is_unclear(self) -> bool:
        """Wait for the next keepalive or for an unclear event; return whether there was one."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._unclear.wait(), self._limits.alive)
        return self._unclear.is_set()

    def _makes_unclear(self, event: Input) -> bool:
        """Whether only list-sas shows which SAs there are after this event."""
        match event:
            case ChildRekeyed(old_unique_id=old):
                crossed = old in self._rekeyed
                self._rekeyed.append(old)
                return crossed
            case IkeUpdated():
                return True
        return False

    def _missing(self, event: str, version: str) -> None:
        line = f"charon {version} at {self._socket} has no event {event}"
        if event not in OPTIONAL_EVENTS:
            raise ViciError(f"{line}: vtid needs a newer strongSwan")
        if self._is_news(line):
            log.warning("charon lacks an event", detail=f"{line}; vtid relies on list-sas instead")

    async def _snapshot(self, link: _Link) -> None:
        """List all SAs and post them, then the events that came meanwhile."""
        sas: list[ChildSa] = []

        def part(message: Message) -> None:
            found, errors = parse_list_sa(message, time.time())
            sas.extend(found)
            for error in errors:
                self._ignored(error)

        await link.request("list-sas", stream="list-sa", part=part)
        if self._followed_since is None:
            log.info("charon connected", version=self.version, socket=self._socket, sas=len(sas))
            self._followed_since, self._lost = time.monotonic(), ""
        held, self._held = self._held, []
        self._move(connection.Event.LISTED)
        for event in (SaSnapshot(tuple(sas)), *held):
            self._post(event)

    def _happened(self, name: str, message: Message) -> None:
        try:
            inputs = parse_event(name, message, time.time())
        except SaError as error:
            self._ignored(error)
            return
        for event in inputs:
            if self._makes_unclear(event):
                self._unclear.set()
        if self._state is State.LISTING:
            self._held += inputs
            return
        for event in inputs:
            self._post(event)

    def _ignored(self, error: SaError) -> None:
        if self._is_news(str(error)):
            log.warning("VICI message ignored", detail=str(error))

    def _is_news(self, line: str) -> bool:
        """Whether a line has not been logged before; so a repeated message costs one line."""
        if line in self._logged:
            return False
        if len(self._logged) >= LOGGED_MAX:
            self._logged.clear()
        self._logged.add(line)
        return True

    def _lose(self, reason: str) -> None:
        """Post and log a loss, unless the last attempt failed for the same reason."""
        if reason != self._lost:
            self._lost = reason
            log.warning("VICI lost", detail=reason)
            self._post(ViciLost(reason))


class _Waiting:
    """A request that waits for its answer and gets its parts."""

    __slots__ = ("answer", "part")

    def __init__(self, part: Part) -> None:
        self.answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self.part = part


class _Link:
    """One open connection and its pending requests. Every error is a `ViciError`."""

    def __init__(
        self,
        socket: str,
        limits: Limits,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        happened: Callable[[str, Message], None],
    ) -> None:
        self._socket = socket
        self._limits = limits
        self._reader, self._writer = streams
        self._happened = happened
        self._session = Session()
        self._waiting: dict[int, _Waiting] = {}

    @classmethod
    async def open(
        cls, socket: str, limits: Limits, happened: Callable[[str, Message], None]
    ) -> _Link:
        """Connect to `socket`; `happened` gets each event."""
        try:
            async with asyncio.timeout(limits.answer):
                return cls(socket, limits, await asyncio.open_unix_connection(socket), happened)
        except OSError as error:
            raise ViciError(_why(socket, error)) from error

    async def read(self) -> None:
        """Read until an error. Only this reads the socket, and it waits for nothing else."""
        try:
            while True:
                self._session.receive_data(await self._reader.read(1 << 16))
                while (event := self._session.next_event()) is not None:
                    self._handle(event)
        except ProtocolError as error:
            raise ViciError(f"{self._socket} does not speak VICI: {error}") from error
        except OSError as error:
            raise ViciError(_why(self._socket, error)) from error

    async def request(
        self,
        command: str,
        message: Request | None = None,
        *,
        stream: str = "",
        part: Part = _ignore,
    ) -> Message:
        """Run a command; `part` gets each event `stream`, which has its own limit each time."""
        answer = await self._answer(
            lambda: self._session.request(command, message, stream=stream), part
        )
        if not isinstance(answer, Answered):
            raise ViciError(f"charon at {self._socket} has no command {command!r}")
        return answer.message

    async def register(self, event: str) -> bool:
        """Register an event; False where charon has none of this name."""
        answer = await self._answer(lambda: self._session.register(event))
        return isinstance(answer, Registered)

    def close(self, reason: str) -> None:
        """Close, and fail every pending request."""
        self._writer.close()
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(ViciError(reason))

    async def _answer(
        self, ask: Callable[[], tuple[Pending, bytes]], part: Part = _ignore
    ) -> Event:
        """Send what `ask` returns and wait for its answer."""
        try:
            pending, data = ask()
        except ProtocolError as error:
            raise ViciError(f"cannot ask charon at {self._socket}: {error}") from error
        loop = asyncio.get_running_loop()
        patience = self._limits.part if pending.stream else self._limits.answer
        try:
            async with asyncio.timeout(patience) as limit:

                def prolong(message: Message) -> None:
                    limit.reschedule(loop.time() + patience)
                    part(message)

                waiting = self._waiting[pending.number] = _Waiting(prolong)
                self._writer.write(data)
                return await waiting.answer
        except TimeoutError:
            raise ViciError(
                f"charon at {self._socket} did not answer {pending.name!r} within {patience:g} s: "
                "it hangs or is stopped; restart strongSwan if it does not recover"
            ) from None
        finally:
            self._waiting.pop(pending.number, None)

    def _handle(self, event: Event) -> None:
        match event:
            case Happened(name, message):
                self._happened(name, message)
            case Streamed(pending, message):
                if waiting := self._waiting_for(pending):
                    waiting.part(message)
            case Answered(pending) | Registered(pending) | Unknown(pending):
                if waiting := self._waiting_for(pending):
                    waiting.answer.set_result(event)
            case Closed():
                raise ViciError(f"charon closed {self._socket}: it has ended or is restarting")

    def _waiting_for(self, pending: Pending) -> _Waiting | None:
        """Return the pending request; None if it has just timed out."""
        waiting = self._waiting.get(pending.number)
        return waiting if waiting and not waiting.answer.done() else None


def _why(socket: str, error: OSError) -> str:
    """Return one line that says what is wrong with the socket and what helps."""
    match error:
        case FileNotFoundError():
            return (
                f"VICI socket {socket} is absent: start strongSwan (charon-systemd), load its "
                "plugin vici, and compare [vici] socket with charon.plugins.vici.socket"
            )
        case PermissionError():
            return (
                f"VICI socket {socket}: permission denied: run vtid as root or in the group "
                "that charon.group in strongswan.conf names"
            )
        case ConnectionRefusedError():
            return f"VICI socket {socket} exists, but nothing listens on it: start strongSwan"
        case TimeoutError():
            return f"VICI socket {socket}: no connection in time: charon hangs"
        case _:
            return f"VICI socket {socket}: {error.strerror or error}"
