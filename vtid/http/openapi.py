"""OpenAPI: the document of the API (OpenAPI 3.1), from routes and types of answers. Pure."""

from __future__ import annotations

from typing import Any

from vtid import __version__
from vtid.http.answers import Failure
from vtid.http.routes import ALL, CONTROL, EVENTS, JSON, READ, TEXT, Parameter, Route
from vtid.http.schema import Json, Schemas

_DESCRIPTION = """\
The API of vtid, over HTTP on Unix sockets: `control_socket`, and `read_only_socket` for what is
tagged `read`. A path begins with the version of the API. Within a version, fields may be added;
none goes or changes its meaning. An error is one line, with the way out. Every answer may be 500 as
well, with an error: that is a defect of vtid.
"""

_TAGS = [
    {"name": READ, "description": "Changes nothing and shows no secret."},
    {"name": CONTROL, "description": "Only on the control socket; 403 on the read-only one."},
]

_FORBIDDEN = (403, "This is the read-only socket.")


def document() -> Json:
    """Return the document."""
    schemas = Schemas()
    paths: dict[str, Any] = {}
    for route in ALL:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "vtid", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "http://vtid", "description": "Any name will do on a Unix socket."}],
        "tags": _TAGS,
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.named.items()))},
    }


def _operation(route: Route, schemas: Schemas) -> Json:
    good = {"description": "Done." if route.is_change else "The answer."}
    content = {route.media: {"schema": _answer(route, schemas)}}
    answers: dict[str, Json] = {"200": {**good, "content": content}}
    for status, text in route.also:
        answers[str(status)] = {"description": text, "content": content}
    refusals = (*route.refusals, *((_FORBIDDEN,) if route.tag == CONTROL else ()))
    for status, text in refusals:
        failure = {JSON: {"schema": schemas.of(Failure)}}
        answers[str(status)] = {"description": text, "content": failure}
    body = {"description": route.body, "content": {TEXT: {"schema": {"type": "string"}}}}
    return {
        "operationId": route.handler,
        "summary": route.text,
        "tags": [route.tag],
        **({"requestBody": body} if route.body else {}),
        "parameters": [_parameter(one, schemas) for one in route.parameters],
        "responses": answers,
    }


def _answer(route: Route, schemas: Schemas) -> Json:
    """Return the schema of an answer; that of a stream is a text whose data have another."""
    if route.media == TEXT:
        return {"type": "string"}
    if route.media == EVENTS:
        data = {"contentMediaType": JSON, "contentSchema": schemas.of(route.answer)}
        return {"type": "string", "description": "The schema is that of `data`.", **data}
    return schemas.of(route.answer)


def _parameter(parameter: Parameter, schemas: Schemas) -> Json:
    least, most = parameter.limits or (None, None)
    limits = {} if most is None else {"minimum": least, "maximum": most}
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required,
        "description": parameter.text,
        "schema": {**schemas.of(parameter.kind), **limits},
    }
