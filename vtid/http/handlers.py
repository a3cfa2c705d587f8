"""Handlers: metrics, health and the page, which every listener has. Part of the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from vtid.http.discreet import DiscreetApi
from vtid.http.exchange import BODY_MAX, guarded_with, in_turns
from vtid.http.exposition import CONTENT_TYPE, OPENMETRICS_TYPE
from vtid.http.front import Front
from vtid.http.negotiate import accepts_gzip, wants_openmetrics
from vtid.http.routes import EVENTS, HEALTH
from vtid.http.scrape import Scraper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vtid.http.api import Api, ReadApi
    from vtid.http.door import Door
    from vtid.http.routes import Route
    from vtid.http.telemetry import Telemetry
    from vtid.model.status import Status

_INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>vtid</title></head><body><h1>vtid</h1><ul>
<li><a href="/metrics">/metrics</a></li>
<li><a href="/readyz">/readyz</a></li>
<li><a href="/livez">/livez</a></li>
</ul><p>With <code>page = true</code> in <code>[metrics]</code>, the tunnels are shown here.</p>
</body></html>
"""


def metrics_app(api: Api, telemetry: Telemetry, door: Door) -> web.Application:
    """Return the application for metrics addresses: read only, for those whom `door` lets in."""
    read = Read(DiscreetApi(api), telemetry, has_page=lambda: door.has_page)
    app = web.Application(middlewares=[guarded_with({}), door.check], client_max_size=BODY_MAX)
    app.on_response_prepare.append(sign)
    app.add_routes([web.get("/", read.index), *serve(HEALTH, read)])
    return app


def serve(routes: Iterable[Route], owner: object) -> list[web.RouteDef]:
    """Return the routes of the server; the methods of `owner` answer."""
    return [
        web.get(one.pattern, getattr(owner, one.handler), allow_head=one.media != EVENTS)
        if one.method == "GET"
        else web.route(one.method, one.pattern, getattr(owner, one.handler))
        for one in routes
    ]


async def sign(_request: web.Request, response: web.StreamResponse) -> None:
    """Say what serves, as a signal handler of an application."""
    response.headers["Server"] = "vtid"  # not the versions of Python and aiohttp


class Read:
    """Metrics, health and the page."""

    def __init__(self, api: ReadApi, telemetry: Telemetry, has_page: Callable[[], bool]) -> None:
        self._api = api
        self._has_page = has_page
        self._front = Front(api)
        self.scraper = Scraper(api, telemetry)

    async def index(self, request: web.Request) -> web.Response:
        """Answer with the page, or with what else there is."""
        if self._has_page():
            return await self._front.answer(request)
        return web.Response(text=_INDEX, content_type="text/html")

    async def livez(self, _request: web.Request) -> web.Response:
        """Answer: the event loop runs."""
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """Answer with what is there and what is not; 503 while vtid is not ready."""
        status = self._api.status()
        return web.Response(text=readiness(status), status=200 if status.ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer a scrape in the format that the client prefers, with gzip where it takes it."""
        openmetrics = wants_openmetrics(request.headers.get("Accept", ""))
        exposition = await self.scraper.exposition(openmetrics=openmetrics)
        kind = OPENMETRICS_TYPE if openmetrics else CONTENT_TYPE
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding"}
        if not accepts_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Length"] = str(exposition.size)
            return web.Response(body=in_turns(exposition.plain()), headers=headers)
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=exposition.compressed, headers=headers)


def readiness(status: Status) -> str:
    """Return the items of readiness, one line each, after a line with the result."""
    checks = [
        ("vici", "" if status.vici_connected else status.vici_error or "not connected"),
        *((f"namespace {name or '(own)'}", error) for name, error in status.namespaces),
        *(
            (f"bird {bird.instance}", bird.error or ("" if bird.connected else "not connected"))
            for bird in status.birds
        ),
    ]
    lines = ["ready" if status.ready else "not ready"]
    lines += [f"waiting for {reason}" for reason in status.waiting_for]
    lines += [f"[-] {name}: {error}" if error else f"[+] {name}" for name, error in checks]
    return "".join(f"{line}\n" for line in lines)
