"""Front: answers `/` with the page. Part of the edge.

* Values are gathered in short turns of the loop; all that makes text of them, and the import of
  Jinja2 before the first page, happens in a worker thread.
* Pages must not slow down the tunnels, however many browsers load them again and again: one is
  made at a time, and the next begins `_REST` times as long later as it took. Who comes when
  `_QUEUE` wait already is told to come again.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from typing import TYPE_CHECKING

from aiohttp import web

from vtid.http.negotiate import accepts_gzip
from vtid.http.query import QueryError, read_query

if TYPE_CHECKING:
    from vtid.http.api import ReadApi
    from vtid.http.query import Query
    from vtid.model.listing import Listing
    from vtid.model.status import Summary

_REST = 2
"""Making pages takes a third of a processor at most."""

_QUEUE = 16
"""Who waits for a page at the same time."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Type": "text/html; charset=utf-8",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Front:
    """Makes pages of what the daemon knows."""

    def __init__(self, api: ReadApi) -> None:
        self._api = api
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._not_before = 0.0

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with the page; 400 to what there is not, 503 where too many wait."""
        try:
            query = read_query(request.query)
        except QueryError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        if self._waiting >= _QUEUE:
            raise web.HTTPServiceUnavailable(
                text="too many want this page just now\n", headers={"Retry-After": "5"}
            )
        self._waiting += 1
        try:
            text, policy = await self._made(query)
        finally:
            self._waiting -= 1
        headers = {**_HEADERS, "Content-Security-Policy": policy}
        if not accepts_gzip(request.headers.get("Accept-Encoding", "")):
            return web.Response(body=text, headers=headers)
        packed = await asyncio.to_thread(gzip.compress, text, 1)
        return web.Response(body=packed, headers={**headers, "Content-Encoding": "gzip"})

    async def _made(self, query: Query) -> tuple[bytes, str]:
        clock = asyncio.get_running_loop().time
        async with self._turn:
            await asyncio.sleep(self._not_before - clock())
            began = clock()
            listing = await self._api.listing(query.wanted)
            made = await asyncio.to_thread(_made, self._api.summary(), listing, query)
            self._not_before = clock() + _REST * (clock() - began)
        return made


def _made(summary: Summary, listing: Listing, query: Query) -> tuple[bytes, str]:
    """Return the page with its Content-Security-Policy."""
    from vtid.http.page import csp, page  # noqa: PLC0415 - the start must not wait for it

    text = page(summary, listing, query, os.uname().nodename, time.time())
    # what no encoding has was escaped: surrogates are not printable
    return text.encode(), csp()
