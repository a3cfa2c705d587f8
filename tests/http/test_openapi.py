"""The OpenAPI document: it has the routes that there are, and what they really answer."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.core.world import World, sa, status_of
from tests.http.samples import FULL, FakeDaemon, status
from tests.http.sites import site
from tests.http.test_read_only import put_bird
from vtid.http.api import ReloadResult
from vtid.http.control import control_app, read_only_app
from vtid.http.journal import Journal
from vtid.http.openapi import document
from vtid.http.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from aiohttp import web

    from vtid.model.status import Status

DOCUMENT = document()


def routes_of(app: web.Application) -> set[tuple[str, str]]:
    pairs = ((one.method, one.resource) for one in app.router.routes())
    return {
        (method, resource.canonical) for method, resource in pairs if resource and method != "HEAD"
    }


@pytest.mark.parametrize("kind", ["control", "read-only"])
def test_the_document_has_the_routes_that_there_are(kind: str) -> None:
    daemon, telemetry = FakeDaemon(FULL), Telemetry()
    app = (
        control_app(daemon, telemetry)
        if kind == "control"
        else read_only_app(daemon, telemetry, "/run/vtid/control.sock")
    )
    written = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    page = {("GET", "/")}  # for people
    assert routes_of(app) == written | page


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        jsonschema_rs.meta.validate(schema)
    named = {name.rpartition("/")[2] for name in references(DOCUMENT)}
    assert named == set(schemas)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["$ref"]] if "$ref" in value else []
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


# --- real answers --------------------------------------------------------------------------------


def closed(value: Any) -> Any:
    """The same schemas, but no object may have a field that they do not name."""
    if isinstance(value, list):
        return [closed(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: closed(one) for key, one in value.items()}
    if "required" in found and isinstance(found.get("properties"), dict):
        found["additionalProperties"] = False
    return found


CLOSED = closed(DOCUMENT["components"]["schemas"])


def check(path: str, answer: Any, method: str = "get", code: int = 200) -> None:
    """Check an answer against the document, field by field. Raises jsonschema_rs' error."""
    response = DOCUMENT["paths"][path][method]["responses"][str(code)]
    (media,) = response["content"].values()
    schema = {**media["schema"], "components": {"schemas": CLOSED}}
    jsonschema_rs.validator_for(schema).validate(answer)


def real_status() -> Status:
    """What the core itself says of tunnels in several states."""
    world = World().start([sa(1)])
    return status_of(world)


@pytest.mark.parametrize("picture", [FULL, status(), real_status()], ids=["all", "none", "core"])
@pytest.mark.parametrize(
    "path", ["/v1/status", "/v1/summary", "/v1/tunnels", "/v1/names", "/v1/plan", "/v1/bird/files"]
)
async def test_what_is_read(tmp_path: Path, path: str, picture: Status) -> None:
    daemon = FakeDaemon(picture)
    daemon.ops = (put_bird(),)
    async with site(tmp_path, daemon) as here:
        code, answer = await here.ask(path)
        assert code == 200
        check(path, answer)


async def test_each_tunnel(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        for name in here.daemon.names():
            code, answer = await here.ask(f"/v1/tunnels/{name}")
            assert code == 200
            check("/v1/tunnels/{name}", answer)


async def test_what_is_changed_and_what_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        for path in ("reload", "flush", "resync", "mode"):
            code, answer = await here.ask(f"/v1/{path}?mode=paused", "POST")
            assert code == 200
            check(f"/v1/{path}", answer, "post")
        here.daemon.reload_result = ReloadResult(ok=False, errors=("line 3: unknown key",))
        code, answer = await here.ask("/v1/reload", "POST")
        check("/v1/reload", answer, "post", code)
        code, answer = await here.ask("/v1/mode?mode=odd", "POST")
        check("/v1/mode", answer, "post", code)
        code, answer = await here.ask("/v1/events?since=x")
        check("/v1/events", answer, code=code)


async def test_events(tmp_path: Path) -> None:
    daemon = FakeDaemon(FULL)
    daemon.journal.add("info", {"event": "tunnel up"})
    query = f"?since={Journal().id_of(1)}"
    async with (
        site(tmp_path, daemon) as here,
        here.control.get(f"http://vtid/v1/events{query}") as response,
    ):
        found: list[Any] = []
        while len(found) < 2:
            line = (await response.content.readline()).decode()
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
    media = DOCUMENT["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]
    content = media["text/event-stream"]["schema"]["contentSchema"]
    validator = jsonschema_rs.validator_for({**content, "components": {"schemas": CLOSED}})
    assert [one["event"] for one in found] == ["gap", "tunnel up"]
    for one in found:
        validator.validate(one)


async def test_it_is_served(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        assert await here.ask("/v1/openapi.json") == (200, DOCUMENT)


def test_a_field_too_many_is_found() -> None:
    """The checks above would find an answer that the document does not have."""
    with pytest.raises(jsonschema_rs.ValidationError):
        check("/v1/names", {"tunnels": [], "more": 1})
    with pytest.raises(jsonschema_rs.ValidationError):
        check("/v1/names", {})


# --- requests by chance --------------------------------------------------------------------------

EXAMPLES = 15
"""Requests of each operation; `make check` has to stay under a minute."""


@asynccontextmanager
async def over_tcp(path: Path) -> AsyncIterator[str]:
    """A TCP address that leads to a Unix socket, which schemathesis cannot use."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(path)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pipe(reader, back))
            tasks.create_task(pipe(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


NOT_TRIED = {"events"}
"""Its answer has no end."""


def names() -> list[str]:
    return sorted({one["operationId"] for _, _, one in operations()} - NOT_TRIED)


@pytest.mark.parametrize("name", names())
async def test_any_request_is_answered_as_the_document_says(tmp_path: Path, name: str) -> None:
    daemon = FakeDaemon(FULL)
    daemon.ops = (put_bird(),)
    async with site(tmp_path, daemon), over_tcp(tmp_path / "control.sock") as url:
        await asyncio.to_thread(try_operation, url, name)


def try_operation(url: str, name: str) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    operation = schema.find_operation_by_id(name)

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attempt(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=url)

    attempt()
