"""Control: one connection to BIRD's control socket. An edge.

Rules of this file:

* Every request has a time limit. After any error, and where a reply was not taken to its end, the
  connection is closed: the stream is out of step. The caller connects again.
* `stream` passes a reply on as it arrives and keeps none of it; `ask` is for short replies.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Self

from vtid.bird.reply import MAX_REPLY, Reply, ReplyError, ReplyParser, version

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

TIME_LIMIT = 30.0
"""Seconds for one request; 10,000 BGP protocols take BIRD 0.5 s to reconfigure."""

CHUNK = 65536


class ControlError(Exception):
    """BIRD cannot be reached or understood; the text names the socket and the way out."""


class Control:
    """An open connection; made by `connect`."""

    def __init__(
        self,
        socket: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        time_limit: float,
    ) -> None:
        self.socket = socket
        self._reader = reader
        self._writer = writer
        self._parser = ReplyParser()
        self._time_limit = time_limit
        self.version = ""

    @classmethod
    async def connect(cls, socket: str, time_limit: float = TIME_LIMIT) -> Self:
        """Connect and read the welcome; raises ControlError."""
        try:
            async with asyncio.timeout(time_limit):
                reader, writer = await asyncio.open_unix_connection(socket)
        except OSError as error:
            raise _unreachable(socket, error) from error
        control = cls(socket, reader, writer, time_limit)
        try:
            control.version = version(await control._receive())
        except ReplyError as error:
            raise control._error(str(error)) from error
        finally:
            if not control.version:
                control.close()
        return control

    async def ask(self, command: str) -> Reply:
        """Send one command and return the reply, good or bad; raises ControlError."""
        try:
            self._send(command)
            return await self._receive()
        except BaseException:
            self.close()
            raise

    async def stream(self, command: str, take: Callable[[bytes], None]) -> None:
        """Send one command and pass its reply to `take`, some whole lines at a time.

        Raises ControlError, also where `take` raises ReplyError.
        """
        try:
            self._send(command)
            await self._in_time(self._pass_on(take))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, command: str) -> None:
        self._writer.write(command.encode("ascii") + b"\n")

    async def _receive(self) -> Reply:
        whole = bytearray()

        def take(lines: bytes) -> None:
            whole.extend(lines)
            if len(whole) > MAX_REPLY:
                raise ReplyError(f"reply of over {MAX_REPLY} bytes")

        await self._in_time(self._pass_on(take))
        return Reply(bytes(whole))

    async def _in_time(self, receiving: Coroutine[None, None, None]) -> None:
        try:
            async with asyncio.timeout(self._time_limit):
                await receiving
        except TimeoutError as error:
            raise self._error(
                f"no answer within {self._time_limit:g} s; is the daemon busy?"
            ) from error
        except (OSError, ReplyError) as error:
            raise self._error(str(error)) from error

    async def _pass_on(self, take: Callable[[bytes], None]) -> None:
        """Pass the pieces of one reply to `take`; raises ReplyError and OSError."""
        ended = False
        while not ended:
            data = await self._reader.read(CHUNK)
            if not data:
                raise ReplyError("BIRD closed the connection")
            for piece in self._parser.receive(data):
                if ended:
                    raise ReplyError("more replies than requests")
                take(piece.data)
                ended = piece.ends

    def _error(self, what: str) -> ControlError:
        return ControlError(f"BIRD at {self.socket}: {what}")


def _unreachable(socket: str, error: OSError) -> ControlError:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            way_out = "start BIRD, or name the socket of its -s option with `socket = `"
        case errno.ECONNREFUSED:
            way_out = "BIRD is not running; start it"
        case errno.EACCES | errno.EPERM:
            way_out = (
                "let vtid's user join the socket's group (Debian: usermod -a -G bird vtid), "
                "and restart vtid"
            )
        case _:
            way_out = f"try `birdc -s {socket}`"
    reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
    return ControlError(f"BIRD at {socket}: {reason}: {way_out}")
