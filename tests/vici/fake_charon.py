"""A charon made of a script, for faults that a real one does not commit on demand."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from vici.protocol import Message as ViciMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Handler = Callable[["FakeCharon"], Awaitable[None]]

RESPONSE, UNKNOWN, CONFIRM, EVENT_UNKNOWN = 1, 2, 5, 6


def frame(payload: bytes) -> bytes:
    return struct.pack("!I", len(payload)) + payload


def response(**message: Any) -> bytes:
    return frame(bytes([RESPONSE]) + encode(message))


def event(name: str, message: dict[str, Any]) -> bytes:
    return frame(bytes([7, len(name)]) + name.encode() + encode(message))


def encode(message: dict[str, Any]) -> bytes:
    encoded: bytes = ViciMessage.serialize(message)  # type: ignore[no-untyped-call]
    return encoded


class FakeCharon:
    """Answers `version`, `list-sas` and registrations in order; `handlers` replace an answer.

    `asked` has the names of all commands and registrations. `send` reaches the last client that
    registered for `child-updown`; before there is one, the last client.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.sas: list[dict[str, Any]] = []
        self.unknown_events: set[str] = set()
        self.handlers: dict[str, Handler] = {}
        self.asked: list[str] = []
        self.connections = 0
        self._connection = asyncio.Condition()
        self.closed = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._listens = False
        self._server: asyncio.Server | None = None

    @classmethod
    @asynccontextmanager
    async def at(cls, path: Path, *more: Any) -> AsyncIterator[Self]:
        """Listen at `path` while the context lasts."""
        charon = cls(path, *more)
        await charon.start()
        try:
            yield charon
        finally:
            await charon.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        self.hang_up()

    async def connected(self, times: int) -> None:
        """Wait until that many connections have come, since the start."""
        async with asyncio.timeout(5), self._connection:
            await self._connection.wait_for(lambda: self.connections >= times)

    def send(self, data: bytes) -> None:
        assert self._writer
        self._writer.write(data)

    def hang_up(self) -> None:
        if self._writer:
            self._writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._listens:
            self._writer = writer
        async with self._connection:
            self.connections += 1
            self._connection.notify_all()
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!I", await reader.readexactly(4))
                await self._answer(await reader.readexactly(length), writer)
        self._listens = self._listens and self._writer is not writer
        self.closed.set()

    async def _answer(self, payload: bytes, writer: asyncio.StreamWriter) -> None:
        registers, name = payload[0] == 3, payload[2 : 2 + payload[1]].decode()
        self.asked.append(name)
        if registers and name == "child-updown":
            self._writer, self._listens = writer, True
        if handler := self.handlers.get(name):
            await handler(self)
        elif registers:
            known = name not in self.unknown_events
            writer.write(frame(bytes([CONFIRM if known else EVENT_UNKNOWN])))
        elif name == "version":
            writer.write(response(daemon="charon-systemd", version="5.9.8"))
        elif name == "list-sas":
            for sa in self.sas:
                self.send(event("list-sa", sa))
            self.send(response())
        else:
            writer.write(frame(bytes([UNKNOWN])))
