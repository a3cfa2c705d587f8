"""Handlers: the HTTP routes over the `Api`. Part of the edge.

* Encoding runs in a worker thread, because a `Status` is frozen and the loop must not be held up.
* The control API answers in JSON, an error as `{"error": text}`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from vtid.http.door import refuse_pages
from vtid.http.encode import encode
from vtid.http.events import Streams, wish_of
from vtid.http.exchange import BODY_MAX, guarded
from vtid.http.exposition import CONTENT_TYPE, OPENMETRICS_TYPE
from vtid.http.front import Front
from vtid.http.negotiate import accepts_gzip, wants_openmetrics
from vtid.http.scrape import Scraper
from vtid.http.select import Filter, select
from vtid.model.mode import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from vtid.http.api import Api
    from vtid.http.door import Door
    from vtid.http.telemetry import Telemetry
    from vtid.model.status import Status, TunnelDetails

_log = structlog.get_logger(__name__)

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
    read = _Read(api, telemetry, has_page=lambda: door.has_page)
    app = web.Application(middlewares=[guarded, door.check], client_max_size=BODY_MAX)
    app.on_response_prepare.append(_sign)
    app.add_routes(read.routes())
    return app


def control_app(api: Api, telemetry: Telemetry) -> web.Application:
    """Return the application for the control socket."""
    read = _Read(api, telemetry, has_page=lambda: True)
    control = _Control(api)
    middlewares = [guarded, _errors_as_json, refuse_pages, control.when_whole]
    app = web.Application(middlewares=middlewares, client_max_size=BODY_MAX)
    app.on_response_prepare.append(_sign)
    app.add_routes(
        [
            *read.routes(),
            web.get("/v1/status", control.status),
            web.get("/v1/summary", control.summary),
            web.get("/v1/tunnels", control.tunnels),
            web.get("/v1/tunnels/{name:.+}", control.tunnel),
            web.get("/v1/plan", control.plan),
            web.get("/v1/bird/files", control.bird_files),
            web.post("/v1/reload", control.reload),
            web.post("/v1/flush", control.flush),
            web.post("/v1/resync", control.resync),
            web.post("/v1/mode", control.mode),
            web.get("/v1/names", control.names),
            web.get("/v1/events", control.events, allow_head=False),
        ]
    )
    app.on_shutdown.append(control.streams.close)
    return app


async def _sign(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "vtid"  # not the versions of Python and aiohttp


# --- read only -----------------------------------------------------------------------------------


class _Read:
    """Metrics, health and the page."""

    def __init__(self, api: Api, telemetry: Telemetry, has_page: Callable[[], bool]) -> None:
        self._api = api
        self._has_page = has_page
        self._front = Front(api)
        self.scraper = Scraper(api, telemetry)

    def routes(self) -> list[web.RouteDef]:
        """Routes that every listener has."""
        return [
            web.get("/", self.index),
            web.get("/metrics", self.metrics),
            web.get("/livez", self.livez),
            web.get("/readyz", self.readyz),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """Answer with the page, or with what else there is."""
        if self._has_page():
            return await self._front.answer(request)
        return web.Response(text=_INDEX, content_type="text/html")

    async def livez(self, _request: web.Request) -> web.Response:
        """Answer: the event loop runs."""
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
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
            return web.Response(body=exposition.plain(), headers=headers)
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


# --- control -------------------------------------------------------------------------------------


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure with one clear line."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return await _json({"error": error.text or error.reason}, status=error.status)
    except Exception as error:  # noqa: BLE001 - logged with its traceback, and told to the client
        _log.exception("control request failed", method=request.method, path=request.path)
        reason = f"{request.path}: {type(error).__name__}: {error}; vtid's log has the details"
        return await _json({"error": reason}, status=500)


async def _json(value: object, status: int = 200) -> web.Response:
    body = await asyncio.to_thread(encode, value)
    return web.Response(text=body, status=status, content_type="application/json")


class _Control:
    """What `vtictl` asks for."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.streams = Streams(api.journal)

    @web.middleware
    async def when_whole(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer from a state that is not half of anything."""
        await self._api.whole()
        return await handler(request)

    async def status(self, _request: web.Request) -> web.Response:
        return await _json(await self._api.full_status())

    async def summary(self, _request: web.Request) -> web.Response:
        return await _json(self._api.summary())

    async def tunnels(self, request: web.Request) -> web.Response:
        """All tunnels, or those of `?state=a,b`, `?peer=` and `?policy=`, with their counters."""
        query = request.query
        states = frozenset(filter(None, query.get("state", "").split(",")))
        wanted = Filter(states, query.get("peer", ""), query.get("policy", ""))
        status = await self._api.full_status()
        rows = await asyncio.to_thread(select, status.tunnels, wanted)
        return await _json(
            {"tunnels": rows, "patterns": status.patterns, "initiations": status.initiations}
        )

    async def tunnel(self, request: web.Request) -> web.Response:
        """One tunnel, by its label or by its interface, after `NETNS/` where it is in one."""
        return await _json(self._find(request.match_info["name"]))

    def _find(self, name: str) -> TunnelDetails:
        if (found := self._api.tunnel(name)) is None:
            raise web.HTTPNotFound(text=f"no tunnel {name!r}: `vtictl tunnels` lists them")
        return found

    async def names(self, _request: web.Request) -> web.Response:
        """Answer with the names of all tunnels, for the completion of commands."""
        return await _json({"tunnels": self._api.names()})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Answer with what happens from now on, or from the event after `?since=`.

        With `?tunnel=`, which may come several times, only what is about these; one that is not
        there yet may come.
        """
        since = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        names = request.query.getall("tunnel", [])
        labels = (found.tunnel if (found := self._api.tunnel(one)) else one for one in names)
        return self.streams.follow(wish_of(self._api.journal, since, labels))

    async def plan(self, _request: web.Request) -> web.Response:
        return await _json({"ops": self._api.plan()})

    async def reload(self, _request: web.Request) -> web.Response:
        """Reload; 422 with every error where the configuration is refused."""
        result = await self._api.reload()
        return await _json(result, status=200 if result.ok else 422)

    async def flush(self, _request: web.Request) -> web.Response:
        """Flush; the answer comes when everything is removed, or cannot be."""
        return await _json(await self._api.flush())

    async def resync(self, _request: web.Request) -> web.Response:
        """Resync; the answer comes when what followed from it is done."""
        return await _json(await self._api.resync())

    async def mode(self, request: web.Request) -> web.Response:
        """Set `?mode=` for each `?tunnel=`, or for all; unknown names change nothing."""
        word = request.query.get("mode", "")
        if word not in set(Mode):
            known = ", ".join(Mode)
            raise web.HTTPBadRequest(text=f"no mode {word!r}; there are: {known}")
        names = request.query.getall("tunnel", [])
        labels = tuple(self._find(name).tunnel for name in names)
        return await _json(await self._api.set_mode(Mode(word), labels))

    async def bird_files(self, request: web.Request) -> web.Response:
        """Include files as they should be, of all BIRDs or of `?bird=`; `?passwords=yes` shows."""
        name = request.query.get("bird", "")
        files = await self._api.bird_files(passwords=request.query.get("passwords") == "yes")
        found = tuple(file for file in files if name in {"", file.instance})
        if name and not found:
            known = ", ".join(repr(file.instance) for file in files) or "none"
            raise web.HTTPNotFound(text=f"no [[bird]] {name!r}; there are: {known}")
        return await _json({"files": found})
