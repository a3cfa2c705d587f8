"""Control: the API on the control socket and on the read-only one. Part of the edge.

* Encoding runs in a worker thread, because a `Status` is frozen and the loop must not be held up.
* It answers in JSON, an error as `{"error": text}`.
* Who asks for a change is logged.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from aiohttp import web

from vtid.http.answers import BirdFiles, Failure, Names, Recent, TunnelList
from vtid.http.api import UnavailableError
from vtid.http.discreet import DiscreetApi
from vtid.http.door import refuse_pages
from vtid.http.encode import encode, pieces
from vtid.http.events import Streams, wish_of
from vtid.http.exchange import BODY_MAX, CONFIG_MAX, guarded_with, in_turns
from vtid.http.handlers import Read, serve, sign
from vtid.http.listen import credentials_of
from vtid.http.openapi import document
from vtid.http.packed import Packed, Packer
from vtid.http.routes import CHANGES, HEALTH, LONGEST, LOOK
from vtid.http.select import Filter, select
from vtid.model.levels import Level, Subsystem
from vtid.model.mode import Mode
from vtid.turns import no_collections, used_up

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.typedefs import Handler, Middleware

    from vtid.http.api import Api, ReadApi
    from vtid.http.telemetry import Telemetry
    from vtid.model.status import Status, TunnelDetails

_log = structlog.get_logger(Subsystem.HTTP)

_Word = TypeVar("_Word", bound=StrEnum)

RECENT_EVENTS = 1000
"""Events that `/v1/recent` has at most."""

_JSON = "application/json; charset=utf-8"

DEFAULT = "default"
"""The word for the level that is configured."""

_LARGER = {("POST", "/v1/plan"): CONFIG_MAX}
"""Requests whose bodies may be larger than others."""


def control_app(api: Api, telemetry: Telemetry) -> web.Application:
    """Return the application for the control socket."""
    look, control = _Look(api), _Control(api)
    read = Read(api, telemetry, has_page=lambda: True)
    page = web.get("/", read.index)
    routes = [page, *serve(HEALTH, read), *serve(LOOK, look), *serve(CHANGES, control)]
    return _socket_app([_accountable], look, routes, _LARGER)


def read_only_app(api: Api, telemetry: Telemetry, control_socket: str) -> web.Application:
    """Return the application for the read-only socket: nothing is changed, no secret shown.

    What it refuses is to be had on `control_socket`.
    """
    discreet = DiscreetApi(api)
    look = _Look(discreet, is_public=True)

    async def refuse(request: web.Request) -> web.StreamResponse:
        what = "changes nothing" if request.method != "GET" else "shows nothing that may be secret"
        text = f"this socket {what}: use {control_socket}, as root or as a member of its group"
        raise web.HTTPForbidden(text=text)

    refused = [web.route(one.method, one.pattern, refuse) for one in CHANGES]
    read = Read(discreet, telemetry, has_page=lambda: True)
    page = web.get("/", read.index)
    routes = [page, *serve(HEALTH, read), *serve(LOOK, look), *refused]
    return _socket_app([], look, routes, {})


def _socket_app(
    middlewares: list[Middleware],
    look: _Look,
    routes: list[web.RouteDef],
    larger: Mapping[tuple[str, str], int],
) -> web.Application:
    first = [guarded_with(larger), _errors_as_json, refuse_pages, look.when_whole]
    app = web.Application(middlewares=[*first, *middlewares], client_max_size=BODY_MAX)
    app.on_response_prepare.append(sign)
    app.on_shutdown.append(look.streams.close)
    app.add_routes(routes)
    return app


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure with one clear line."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return await _json(Failure(error.text or error.reason), status=error.status)
    except Exception as error:  # noqa: BLE001 - logged with its traceback, and told to the client
        _log.exception("control request failed", method=request.method, path=request.path)
        reason = f"{request.path}: {type(error).__name__}: {error}; vtid's log has the details"
        return await _json(Failure(reason), status=500)


@web.middleware
async def _accountable(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log who asks for a change, before it is made; what no route takes changes nothing."""
    is_change = request.method not in {"GET", "HEAD"} and not request.match_info.http_exception
    if is_change and request.transport and (who := credentials_of(request.transport)):
        _log.info(
            "control request",
            method=request.method,
            path=request.path_qs,
            uid=who.user,
            gid=who.group,
            pid=who.process,
        )
    return await handler(request)


async def _json(value: object, status: int = 200) -> web.Response:
    return _answer(await asyncio.to_thread(_encoded, value), status)


def _answer(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": _JSON})


def _long_answer(text: Packed) -> web.Response:
    headers = {"Content-Type": _JSON, "Content-Length": str(text.size)}
    return web.Response(body=in_turns(text.plain()), headers=headers)


def _encoded(value: object) -> bytes:
    return encode(value).encode()


def _packed(value: object) -> Packed:
    packer = Packer()
    for piece in pieces(value):
        packer.put(piece)
    return packer.packed()


def _list(wanted: Filter, status: Status) -> Packed:
    rows = select(status.tunnels, wanted)
    return _packed(TunnelList(rows, status.patterns, status.initiations))


class _Look:
    """What `vtictl` asks for and changes nothing."""

    def __init__(self, api: ReadApi, *, is_public: bool = False) -> None:
        self._api = api
        self.streams = Streams(api.journal, is_public=is_public)
        self._charon, self._all = asyncio.Lock(), asyncio.Lock()
        """One request at a time has charon list its SAs, and makes a large answer."""

    @web.middleware
    async def when_whole(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer from a state that is not half of anything."""
        await self._api.whole()
        return await handler(request)

    async def status(self, _request: web.Request) -> web.Response:
        async with self._all:
            with no_collections():
                return _long_answer(await used_up(_packed, [await self._api.full_status()]))

    async def summary(self, _request: web.Request) -> web.Response:
        return await _json(self._api.summary())

    async def tunnels(self, request: web.Request) -> web.Response:
        """All tunnels, or those of `?state=a,b`, `?peer=` and `?policy=`, with their counters."""
        query = request.query
        states = frozenset(filter(None, query.get("state", "").split(",")))
        wanted = Filter(states, query.get("peer", ""), query.get("policy", ""))
        async with self._all:
            with no_collections():
                text = await used_up(partial(_list, wanted), [await self._api.full_status()])
        return _long_answer(text)

    async def tunnel(self, request: web.Request) -> web.Response:
        """One tunnel, by its label or by its interface, after `NETNS/` where it is in one."""
        return await _json(_find(self._api, request.match_info["name"]))

    async def names(self, _request: web.Request) -> web.Response:
        """Answer with the names of all tunnels, for the completion of commands."""
        return await _json(Names(self._api.names()))

    async def sas(self, request: web.Request) -> web.Response:
        """All SAs of charon, or those of `?tunnel=` and `?peer=`; 503 where it does not answer."""
        name = request.query.get("tunnel", "")
        label = _find(self._api, name).tunnel if name else ""
        try:
            async with self._charon:
                found = await self._api.sas(label, request.query.get("peer", ""))
        except UnavailableError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        return await _json(found)

    async def bgp(self, request: web.Request) -> web.Response:
        """BGP sessions of all tunnels, or of `?tunnel=`, also those that BIRD does not have."""
        name = request.query.get("tunnel", "")
        return await _json(await self._api.bgp(_find(self._api, name).tunnel if name else ""))

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
        async with self._all:
            return await _json(await self._api.plan())

    async def recent(self, _request: web.Request) -> web.Response:
        """Answer with what happened lately, the same on both sockets."""
        async with self._all:
            journal = self._api.journal
            events = journal.after(max(0, journal.last - RECENT_EVENTS), RECENT_EVENTS)
            told = await asyncio.to_thread(lambda: tuple(event.public for event in events))
            return await _json(Recent(await self._api.recent(), told))

    async def openapi(self, _request: web.Request) -> web.Response:
        """Answer with the document of this API."""
        return await _json(await asyncio.to_thread(document))


def _find(api: ReadApi, name: str) -> TunnelDetails:
    if (found := api.tunnel(name)) is None:
        raise web.HTTPNotFound(text=f"no tunnel {name!r}: `vtictl tunnels` lists them")
    return found


def _member(kind: type[_Word], what: str, word: str) -> _Word:
    if word not in set(kind):
        raise web.HTTPBadRequest(text=f"no {what} {word!r}; there are: {', '.join(kind)}")
    return kind(word)


def _seconds(query: Mapping[str, str]) -> float:
    try:
        seconds = float(query.get("seconds", "0"))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST:
        raise web.HTTPBadRequest(text=f"seconds has to be a number from 0 to {LONGEST:.0f}")
    return seconds


class _Control:
    """What changes something, or may show a secret."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def plan_for(self, request: web.Request) -> web.Response:
        """Plan for the configuration in the body, `?file=` in errors; 422 where it is no good."""
        try:
            text = (await request.read()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise web.HTTPBadRequest(text=f"the configuration is not UTF-8: {error}") from error
        result = await self._api.plan_for(text, request.query.get("file", "configuration"))
        return await _json(result, status=200 if result.ok else 422)

    async def log_levels(self, _request: web.Request) -> web.Response:
        return await _json(self._api.log_levels())

    async def set_log_level(self, request: web.Request) -> web.Response:
        """Set `?level=` (`default` restores it) of `?subsystem=` or all, for `?seconds=`."""
        query = request.query
        name, word = query.get("subsystem", ""), query.get("level", "")
        subsystem = _member(Subsystem, "subsystem", name) if name else None
        level = None if word == DEFAULT else _member(Level, "log level", word)
        return await _json(self._api.set_log_level(subsystem, level, _seconds(query)))

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
        mode = _member(Mode, "mode", request.query.get("mode", ""))
        names = request.query.getall("tunnel", [])
        labels = tuple(_find(self._api, name).tunnel for name in names)
        return await _json(await self._api.set_mode(mode, labels))

    async def adopt(self, request: web.Request) -> web.Response:
        """Adopt each `?interface=`, or all that are wanted."""
        names = tuple(request.query.getall("interface", []))
        return await _json(await self._api.adopt(names))

    async def bird_files(self, request: web.Request) -> web.Response:
        """Include files as they should be, of all BIRDs or of `?bird=`; `?passwords=yes` shows."""
        name = request.query.get("bird", "")
        files = await self._api.bird_files(passwords=request.query.get("passwords") == "yes")
        found = tuple(file for file in files if name in {"", file.instance})
        if name and not found:
            known = ", ".join(repr(file.instance) for file in files) or "none"
            raise web.HTTPNotFound(text=f"no [[bird]] {name!r}; there are: {known}")
        return await _json(BirdFiles(found))
