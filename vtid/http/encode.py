"""Encode: values of the model as JSON text. Pure.

The model's values are dataclasses of plain values, so one function serves them all: json's own
encoder walks tuples and strings and calls this file only for other types. Operations have their
class name as `op`. Passwords stay hidden.

json keeps every word of a text in a list until its end, several times the size of the text: lists
in an answer are written item by item, so that this is one tunnel's, not that of all.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from vtid.model.bgp import Secret
from vtid.model.operation import Op

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def encode(value: object) -> str:
    """Return a value as JSON in ASCII (RFC 8259). Raises TypeError where there is none."""
    return "".join(pieces(value))


def pieces(value: object) -> Iterator[str]:
    """Yield a value as JSON, an item of its lists at a time."""
    members = _plain(value) if is_dataclass(value) else None
    if not isinstance(members, dict) or not members:
        yield _dump(value)
        return
    for number, (name, member) in enumerate(members.items()):
        yield f"{',' if number else '{'}{_dump(name)}:"
        yield from _items(member) if isinstance(member, tuple | list) else (_dump(member),)
    yield "}"


def _items(items: Sequence[object]) -> Iterator[str]:
    yield "["
    for number, item in enumerate(items):
        yield f",{_dump(item)}" if number else _dump(item)
    yield "]"


def _dump(value: object) -> str:
    return json.dumps(value, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:  # noqa: ANN401 - json.dumps hands over whatever it does not know
    if isinstance(value, Secret):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        members = {name: getattr(value, name) for name in _names(type(value))}
        return {"op": type(value).__name__, **members} if isinstance(value, Op) else members
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(member.name for member in fields(kind))
