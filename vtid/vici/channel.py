"""Channel: one open connection to charon, its requests and their time limits. An edge.

Rules of this file:

* One task reads all the time, whatever else is waited for: charon queues without bound.
* Every request has a time limit; each part of a streamed answer has its own.
* Every error is a `ViciError` with one line: what is wrong with the socket, and the way out.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vtid.turns import Turn
from vtid.vici.codec import ProtocolError
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

    from vtid.vici.codec import Message, Request


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


class UnknownCommandError(ViciError):
    """This charon has no such command; the connection goes on."""


Part: TypeAlias = "Callable[[Message], None]"
"""Gets one part of a streamed answer."""


def ignore(_message: Message) -> None:
    """Ignore a part of a streamed answer."""


class _Waiting:
    """A request that waits for its answer and gets its parts."""

    __slots__ = ("answer", "part")

    def __init__(self, part: Part) -> None:
        self.answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self.part = part


class Channel:
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
    ) -> Channel:
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
                turn = Turn()
                while (event := self._session.next_event()) is not None:
                    self._handle(event)
                    await turn.pause()
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
        part: Part = ignore,
    ) -> Message:
        """Run a command; `part` gets each event `stream`, which has its own limit each time."""
        answer = await self._answer(
            lambda: self._session.request(command, message, stream=stream), part
        )
        if not isinstance(answer, Answered):
            raise UnknownCommandError(f"charon at {self._socket} has no command {command!r}")
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

    async def _answer(self, ask: Callable[[], tuple[Pending, bytes]], part: Part = ignore) -> Event:
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
                f"VICI socket {socket}: permission denied: give it to vtid's group, as "
                "strongswan.service.d/vtid.conf does, or run vtid as root"
            )
        case ConnectionRefusedError():
            return f"VICI socket {socket} exists, but nothing listens on it: start strongSwan"
        case TimeoutError():
            return f"VICI socket {socket}: no connection in time: charon hangs"
        case _:
            return f"VICI socket {socket}: {error.strerror or error}"
