"""Handlers: the HTTP routes over the `Api`. Part of the edge.

* A scrape asks neither kernel nor charon nor BIRD: it tells what vtid knows.
* Concurrent scrapes share one text, one for each format.
* Rendering, encoding and compressing run in a worker thread, because a `Status` is frozen and the
  loop must not be held up.
* The control API answers in JSON, an error as `{"error": text}`.
"""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from vtid.http import exposition, metrics
from vtid.http.encode import encode
from vtid.http.guard import BODY_MAX, guarded
from vtid.http.negotiate import accepts_gzip, wants_openmetrics

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from vtid.http.api import Api
    from vtid.http.telemetry import Telemetry
    from vtid.model.status import Status

_log = structlog.get_logger(__name__)

_INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>vtid</title></head><body><h1>vtid</h1><ul>
<li><a href="/metrics">/metrics</a></li>
<li><a href="/readyz">/readyz</a></li>
<li><a href="/livez">/livez</a></li>
</ul></body></html>
"""


def metrics_app(api: Api, telemetry: Telemetry) -> web.Application:
    """Return the application for metrics addresses: read only, for anyone who reaches them."""
    read = _Read(api, telemetry)
    app = web.Application(middlewares=[guarded], client_max_size=BODY_MAX)
    app.on_response_prepare.append(_sign)
    app.add_routes([web.get("/", read.index), *read.routes()])
    return app


def control_app(api: Api, telemetry: Telemetry) -> web.Application:
    """Return the application for the control socket."""
    control = _Control(api)
    app = web.Application(middlewares=[guarded, _errors_as_json], client_max_size=BODY_MAX)
    app.on_response_prepare.append(_sign)
    app.add_routes(
        [
            *_Read(api, telemetry).routes(),
            web.get("/v1/status", control.status),
            web.get("/v1/tunnels/{name:.+}", control.tunnel),
            web.get("/v1/plan", control.plan),
            web.get("/v1/bird/files", control.bird_files),
            web.post("/v1/reload", control.reload),
            web.post("/v1/flush", control.flush),
        ]
    )
    return app


async def _sign(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "vtid"  # not the versions of Python and aiohttp


# --- read only -----------------------------------------------------------------------------------


class _Read:
    """Metrics and health."""

    def __init__(self, api: Api, telemetry: Telemetry) -> None:
        self._api = api
        self._telemetry = telemetry
        self._writing: dict[bool, asyncio.Task[bytes]] = {}
        """What is being rendered, as OpenMetrics and as text."""

    def routes(self) -> list[web.RouteDef]:
        """Routes that every listener has."""
        return [
            web.get("/metrics", self.metrics),
            web.get("/livez", self.livez),
            web.get("/readyz", self.readyz),
        ]

    async def index(self, _request: web.Request) -> web.Response:
        return web.Response(text=_INDEX, content_type="text/html")

    async def livez(self, _request: web.Request) -> web.Response:
        """Answer: the event loop runs."""
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        status = self._api.status(tunnels=False)
        return web.Response(text=readiness(status), status=200 if status.ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer a scrape in the format that the client prefers, with gzip where it takes it."""
        openmetrics = wants_openmetrics(request.headers.get("Accept", ""))
        body = await self._exposition(openmetrics=openmetrics)
        kind = exposition.OPENMETRICS_TYPE if openmetrics else exposition.CONTENT_TYPE
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            body = await asyncio.to_thread(gzip.compress, body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    async def _exposition(self, *, openmetrics: bool = False) -> bytes:
        """Return all metrics; requests that arrive while they are rendered share the result."""
        writing = self._writing.get(openmetrics)
        if writing is None or writing.done():
            writing = asyncio.create_task(self._write(openmetrics=openmetrics))
            self._writing[openmetrics] = writing
        return await asyncio.shield(writing)

    async def _write(self, *, openmetrics: bool) -> bytes:
        return await asyncio.to_thread(self._body, self._api.status(), openmetrics=openmetrics)

    def _body(self, status: Status, *, openmetrics: bool) -> bytes:
        own = self._telemetry.expose(openmetrics=openmetrics)
        tunnels = metrics.render(status, openmetrics=openmetrics).encode()
        return own + tunnels + (exposition.END.encode() if openmetrics else b"")


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

    async def status(self, _request: web.Request) -> web.Response:
        return await _json(self._api.status())

    async def tunnel(self, request: web.Request) -> web.Response:
        """One tunnel, by its label or by its interface, after `NETNS/` where it is in one."""
        name = request.match_info["name"]
        if (found := self._api.tunnel(name)) is None:
            raise web.HTTPNotFound(text=f"no tunnel {name!r}: `vtictl status` lists them")
        return await _json(found)

    async def plan(self, _request: web.Request) -> web.Response:
        return await _json({"ops": self._api.plan()})

    async def reload(self, _request: web.Request) -> web.Response:
        """Reload; 422 with every error where the configuration is refused."""
        result = await self._api.reload()
        return await _json(result, status=200 if result.ok else 422)

    async def flush(self, _request: web.Request) -> web.Response:
        """Flush; the answer comes when everything is removed, or cannot be."""
        return await _json(await self._api.flush())

    async def bird_files(self, request: web.Request) -> web.Response:
        """Include files as they should be, of all BIRDs or of `?bird=`; `?passwords=yes` shows."""
        name = request.query.get("bird", "")
        files = await self._api.bird_files(passwords=request.query.get("passwords") == "yes")
        found = tuple(file for file in files if name in {"", file.instance})
        if name and not found:
            known = ", ".join(repr(file.instance) for file in files) or "none"
            raise web.HTTPNotFound(text=f"no [[bird]] {name!r}; there are: {known}")
        return await _json({"files": found})
