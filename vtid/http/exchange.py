"""Exchange: one request, from its last header to the last byte of its answer. Part of the edge.

The outermost middleware of each application:

* It reads the body before the handler runs, and sends the answer after it, so that each phase of
  the connection has a begin and an end.
* A body that is too large is not read, not even to pass over it: that would take the loop as long
  as a client likes to send. What is under way gets half a second, so that the answer arrives.
* A stream has no end of its own. It holds a place like a connection that rests, which is the first
  to be displaced; each of its pieces has to be taken in the time that an answer has.
* An exception holds the frames that it went through, and they the request with its bytes. Held by
  one of them in turn, it would stay until a full collection.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING

from aiohttp import web

from vtid.http.guard import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping

    from aiohttp.typedefs import Handler, Middleware

BODY_MAX = 16 * 1024
"""Bytes of a request's body: few requests of vtid's need one."""

CONFIG_MAX = 16 * 1024 * 1024
"""Bytes of a configuration: ten thousand tunnels with two sessions each have a third of it."""

_LARGE_AT_ONCE = 2
"""Requests with a larger body that are under way: others wait before they are read."""

_LINGER = 0.5
"""Seconds between the answer to a body that is too large and the end of the connection; less than
a stop waits for what is under way."""

_BAD, _TOO_LARGE = 400, 413
"""HTTP statuses; from the first on, they are refusals."""

_UNREADABLE = "the body of this request cannot be read\n"


class Stream(web.StreamResponse):
    """An answer that goes on for as long as both sides like.

    `pieces` yields what is sent. The event that it is given is set when the client has gone, and
    it is to yield or return then.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        pieces: Callable[[asyncio.Event], AsyncGenerator[bytes, None]],
    ) -> None:
        super().__init__(headers=headers)
        self.pieces = pieces


def guarded_with(larger: Mapping[tuple[str, str], int]) -> Middleware:
    """Return the middleware for an application.

    `larger` are the bytes of bodies that may be larger than `BODY_MAX`, by method and path.
    """
    large = asyncio.Semaphore(_LARGE_AT_ONCE)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request within its connection's limits."""
        connection = request.transport and request.transport.get_protocol()
        if not isinstance(connection, Connection):
            return _refusal(_BAD, _UNREADABLE)  # the client has gone
        if limit := larger.get((request.method, request.path)):
            request = request.clone(client_max_size=limit)
        async with large if limit else nullcontext():
            response = await _respond(connection, request, handler, limit or BODY_MAX)
        if isinstance(response, Stream):
            await _flow(connection, request, response)
        else:
            await _send(connection, request, response)
        if not isinstance(response, web.HTTPException):
            return response
        try:
            raise response  # sent already; aiohttp wants it this way
        finally:
            del response  # see above

    return guarded


async def _respond(
    connection: Connection, request: web.Request, handler: Handler, limit: int
) -> web.StreamResponse:
    connection.reads_body()
    too_large = f"the body of this request has {limit} bytes at most\n"
    if (request.content_length or 0) > limit:
        return _refusal(_TOO_LARGE, too_large)
    try:
        await request.read()
    except web.HTTPRequestEntityTooLarge:
        return _refusal(_TOO_LARGE, too_large)
    except (OSError, web.RequestPayloadError):
        return _refusal(_BAD, _UNREADABLE)
    connection.works()
    try:
        return await handler(request)
    except web.HTTPException as error:
        return error


async def _send(connection: Connection, request: web.Request, response: web.StreamResponse) -> None:
    connection.sends()
    if response.status == _TOO_LARGE:
        connection.refuses()
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return  # the client has gone, or was too slow
    if response.status == _TOO_LARGE:
        await asyncio.sleep(_LINGER)
    connection.rests(is_good=response.status < _BAD)


async def _flow(connection: Connection, request: web.Request, stream: Stream) -> None:
    woken = asyncio.Event()
    connection.when_lost(woken.set)
    connection.sends()
    try:
        await stream.prepare(request)
        async with aclosing(stream.pieces(woken)) as pieces:
            async for piece in pieces:
                connection.sends()
                await stream.write(piece)
                connection.flows()
        connection.sends()
        await stream.write_eof()
    except ConnectionError:
        return  # the client has gone, or was too slow
    connection.rests(is_good=True)


def _refusal(status: int, why: str) -> web.Response:
    """Make the answer to a body that is no good, in case that anyone is there."""
    response = web.Response(status=status, text=why)
    response.force_close()
    return response


async def in_turns(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a long answer, and let the event loop turn after each.

    A client on this machine reads so fast that sending to it never waits.
    """
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)
