"""Encode: values of the model as JSON text. Pure.

The model's values are dataclasses of plain values, so one function serves them all: json's own
encoder walks tuples and strings and calls this file only for other types. Operations have their
class name as `op`. Passwords stay hidden.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from vtid.model.bgp import Secret
from vtid.model.operation import Op


def encode(value: object) -> str:
    """Return a value as JSON in ASCII (RFC 8259). Raises TypeError where there is none."""
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
