"""Events: the journal as server-sent events (WHATWG HTML, section 9.2). Part of the edge.

Rules of this file:

* Each event has its ID, with which a client goes on where it was: as `Last-Event-ID`, or `?since=`.
* What a client cannot get any more is a message of type `gap` that says why.
* A message with an ID and without data comes at once and while nothing happens: it dispatches
  nothing, keeps the connection alive, and lets a client go on from there.
* A few events are written at once, and the next ones when the client has taken those: nothing is
  kept for one that is slow.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from vtid.http.answers import Gap
from vtid.http.encode import encode
from vtid.http.exchange import Stream
from vtid.http.journal import Position, UnknownIdError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from vtid.http.journal import Event, Journal

ALL = "all"
"""In place of an ID: everything that is kept."""

KEEP_ALIVE = 15.0
"""Seconds; proxies and clients take a silent connection for a dead one."""

RETRY = 1000
"""Milliseconds after which a browser's EventSource connects again."""

_AT_ONCE = 32
"""Events; with what the kernel takes, that is what a slow client holds."""

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy that waits for more would keep it to itself
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants to see."""

    position: Position
    tunnels: frozenset[str]
    """Only what is about these; empty for everything."""


def wish_of(journal: Journal, since: str, tunnels: Iterable[str]) -> Wish:
    """Return the wish of a client that saw the event `since` last; empty for what comes.

    Raises HTTPBadRequest.
    """
    try:
        position = _position(journal, since)
    except UnknownIdError as error:
        raise web.HTTPBadRequest(
            text=f"{error}: give the `id` of one, `{ALL}` for those that vtid still has, "
            "or none for those to come"
        ) from error
    return Wish(position, frozenset(tunnels))


def _position(journal: Journal, since: str) -> Position:
    if not since:
        return Position(journal.last)
    return Position(-1) if since == ALL else journal.position(since)


class Streams:
    """The streams of a server, until it stops."""

    def __init__(self, journal: Journal, *, is_public: bool = False) -> None:
        self._journal = journal
        self._is_public = is_public
        self._open: set[asyncio.Event] = set()
        self._is_over = False

    async def close(self, _app: web.Application) -> None:
        """End all streams: a server that stops must not wait for them."""
        self._is_over = True
        for woken in self._open:
            woken.set()

    def follow(self, wish: Wish) -> Stream:
        """Return the answer to a client."""
        return Stream(_HEADERS, lambda woken: self._messages(wish, woken))

    async def _messages(self, wish: Wish, woken: asyncio.Event) -> AsyncGenerator[bytes, None]:
        self._open.add(woken)
        try:
            with self._journal.waking(woken.set):
                async for message in self._follow(wish, woken):
                    yield message
        finally:
            self._open.discard(woken)

    async def _follow(self, wish: Wish, woken: asyncio.Event) -> AsyncGenerator[bytes, None]:
        seen = max(0, wish.position.number)
        may_miss = wish.position.number >= 0
        yield f"retry: {RETRY}\nid: {self._journal.id_of(seen)}\n\n".encode()
        if not wish.position.is_of_this_run:
            yield self._gap(seen, "restarted")
            may_miss = False
        while True:
            woken.clear()
            found = self._journal.after(seen, _AT_ONCE)
            if not found:
                if self._is_over:  # all is told, that vtid stops included
                    return
                await _wait(woken)
                if self._journal.last == seen:  # nothing for long, or the client has gone
                    yield f"id: {self._journal.id_of(seen)}\n\n".encode()
                continue
            if may_miss and (missed := found[0].number - 1 - seen):
                yield self._gap(found[0].number - 1, "expired", missed)
            seen, may_miss = found[-1].number, True
            wanted = (one for one in found if not wish.tunnels or one.tunnel in wish.tunnels)
            if text := "".join(map(self._message, wanted)):
                yield text.encode()
            await asyncio.sleep(0)

    def _message(self, event: Event) -> str:
        data = event.public if self._is_public else event.data
        return f"id: {self._journal.id_of(event.number)}\ndata: {data}\n\n"

    def _gap(
        self, seen: int, reason: Literal["expired", "restarted"], missed: int | None = None
    ) -> bytes:
        data = encode(Gap("gap", reason, missed))
        return f"id: {self._journal.id_of(seen)}\nevent: gap\ndata: {data}\n\n".encode()


async def _wait(woken: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(KEEP_ALIVE):
            await woken.wait()
