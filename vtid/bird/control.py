"""Edge: one connection to BIRD's control socket; ask, and get the reply or an error.

Rules of this file:

* Every request has a time limit. After any error the connection is closed: the stream is out of
  step. Whoever wants more connects again.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Self

from vtid.bird.reply import Reply, ReplyError, ReplyParser, version

if TYPE_CHECKING:
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
        self._socket = socket
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
            self._writer.write(command.encode("ascii") + b"\n")
            return await self._receive()
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

    async def _receive(self) -> Reply:
        try:
            async with asyncio.timeout(self._time_limit):
                return await self._next_reply()
        except TimeoutError as error:
            raise self._error(
                f"no answer within {self._time_limit:g} s; is the daemon busy?"
            ) from error
        except (OSError, ReplyError) as error:
            raise self._error(str(error)) from error

    async def _next_reply(self) -> Reply:
        while True:
            data = await self._reader.read(CHUNK)
            if not data:
                raise ReplyError("BIRD closed the connection")
            replies = self._parser.receive(data)
            if len(replies) > 1:
                raise ReplyError("more replies than requests")
            if replies:
                return replies[0]

    def _error(self, what: str) -> ControlError:
        return ControlError(f"BIRD at {self._socket}: {what}")


def _unreachable(socket: str, error: OSError) -> ControlError:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            way_out = "start BIRD, or name the socket of its -s option with `socket = `"
        case errno.ECONNREFUSED:
            way_out = "BIRD is not running; start it"
        case errno.EACCES | errno.EPERM:
            way_out = "run vtid as root or in the group of the socket (Debian: bird)"
        case _:
            way_out = f"try `birdc -s {socket}`"
    reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
    return ControlError(f"BIRD at {socket}: {reason}: {way_out}")
