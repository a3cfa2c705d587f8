"""Schema: the JSON Schema of a type whose values `encode` writes (draft 2020-12). Pure.

The types of the model are what the API answers with, so their schemas are made from them: fields,
their types, and what stands below each field. Nothing is written twice, and nothing can drift.

* New fields may come at any time: no schema forbids others.
* Every field is always there.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vtid.model.bgp import Secret
from vtid.model.operation import Op

Json = dict[str, Any]

_SCALARS: dict[object, Json] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    type(None): {"type": "null"},
    Any: {},
    Secret: {"type": "string", "description": "Always hidden."},
}


class Schemas:
    """Makes schemas; those of dataclasses and enumerations have a name, and are made once."""

    def __init__(self, place: str = "#/components/schemas/") -> None:
        self.named: dict[str, Json] = {}
        self._place = place

    def of(self, kind: Any) -> Json:  # noqa: ANN401 - a type, or what typing has for one
        """Return the schema of a type. Raises TypeError where `encode` has no form for it."""
        if kind in _SCALARS:
            return _SCALARS[kind]
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return self._name(kind, self._enumeration)
        if kind is Op:
            return self._name(kind, self._operations)
        if is_dataclass(kind) and isinstance(kind, type):
            return self._name(kind, self._object)
        return self._generic(kind, get_origin(kind), get_args(kind))

    def _generic(self, kind: Any, origin: Any, args: tuple[Any, ...]) -> Json:  # noqa: ANN401
        if origin in {Union, types.UnionType}:
            return {"anyOf": [self.of(one) for one in args]}
        if origin is Literal:
            return {"enum": list(args)}
        if origin is frozenset or (origin is tuple and args[-1] is Ellipsis):
            return {"type": "array", "items": self.of(args[0])}
        if origin is tuple:
            return {
                "type": "array",
                "prefixItems": [self.of(one) for one in args],
                "minItems": len(args),
                "maxItems": len(args),
            }
        if origin in {dict, Mapping}:
            return {"type": "object", "additionalProperties": self.of(args[1])}
        raise TypeError(f"{kind} has no JSON form")

    def _name(self, kind: type, make: Any) -> Json:  # noqa: ANN401 - one of the methods below
        if kind.__name__ not in self.named:
            self.named[kind.__name__] = {}  # it may contain itself
            self.named[kind.__name__].update(make(kind))
        return {"$ref": f"{self._place}{kind.__name__}"}

    @staticmethod
    def _enumeration(kind: type[StrEnum]) -> Json:
        return {"type": "string", "enum": [str(one) for one in kind], **_described(kind)}

    def _operations(self, kind: type[Op]) -> Json:
        return {"oneOf": [self.of(one) for one in _leaves(kind)], **_described(kind)}

    def _object(self, kind: type) -> Json:
        hints, told = get_type_hints(kind), _texts_of(kind)
        names = [one.name for one in fields(kind)]
        properties = {name: self._with(told.get(name, ""), hints[name]) for name in names}
        if issubclass(kind, Op):
            properties = {"op": {"const": kind.__name__}, **properties}
        return {
            "type": "object",
            **_described(kind),
            "properties": properties,
            "required": list(properties),
        }

    def _with(self, text: str, kind: Any) -> Json:  # noqa: ANN401 - see `of`
        schema = self.of(kind)
        return {**schema, "description": text} if text else schema


def _leaves(kind: type) -> list[type]:
    """Return the classes of its own module that a class has below it, by name.

    A dataclass with slots replaces the class that was written, and both may be there.
    """
    below: list[type] = kind.__subclasses__()
    named = {one.__name__: one for one in below if one.__module__ == kind.__module__}
    found = [leaf for name in sorted(named) for leaf in _leaves(named[name])]
    return found or [kind]


def _described(kind: type) -> Json:
    text = inspect.cleandoc(kind.__doc__ or "")
    return {"description": text} if text else {}


def _texts_of(kind: type) -> dict[str, str]:
    """Return what stands below each field of a dataclass, those of its bases included."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if is_dataclass(one):
            found |= _texts(one)
    return found


@cache
def _texts(kind: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except OSError:  # no source is installed
        return {}
    (body,) = (one.body for one in ast.parse(source).body if isinstance(one, ast.ClassDef))
    found = {}
    for field, text in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[field.target.id] = inspect.cleandoc(str(text.value.value))
    return found
