"""Codec: inputs and operations as JSON and back.

Rules of this file:

* Pure and generic: it follows the annotations of the frozen dataclasses, so a new input or
  operation needs no change here.
* Fields at their default are left out.
* Where any input or any operation may stand, its class is named: `{"ChildDown": {"unique_id": 7}}`.
* `from_json(kind, to_json(value)) == value`, but for passwords, which are not written. What cannot
  be read raises `ValueError` with the path.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from vtid.config import keys
from vtid.config.tables import Table, read, written
from vtid.model import input as inputs
from vtid.model import operation
from vtid.model.bgp import HIDDEN, Secret
from vtid.model.input import Input
from vtid.model.operation import Op

_Value = TypeVar("_Value")

_SCALARS = (str, int, float, bool)

_CLASSES: dict[type, dict[str, type]] = {
    base: {
        name: found
        for module in (inputs, operation, keys)
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, base) and found is not base
    }
    for base in (Input, Op)
}
"""The classes of inputs and operations, by name."""


def to_json(value: object) -> Any:  # noqa: ANN401 - JSON has no type of its own
    """Return a value of the model in a form that `json.dumps` accepts."""
    match value:
        case Enum():
            return value.value
        case Table():
            return written(value, whole=False)
        case tuple() | frozenset():
            items = sorted(value) if isinstance(value, frozenset) else value
            return [_tagged(item) for item in items]
        case Secret():
            return {"text": HIDDEN}
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {
                field.name: _tagged(getattr(value, field.name))
                for field in fields(value)
                if getattr(value, field.name) != _default(field)
            }
        case _:
            return value


def named(value: Input | Op) -> dict[str, Any]:
    """Return an input or an operation as JSON under the name of its class."""
    return {type(value).__name__: to_json(value)}


def _tagged(value: object) -> Any:  # noqa: ANN401 - JSON
    return named(value) if isinstance(value, Input | Op) else to_json(value)


def from_json(kind: type[_Value], data: object) -> _Value:
    """Read back a value of a class; any `Input` or `Op` by the name that stands with it.

    Raises ValueError with the path to what is wrong.
    """
    value: _Value = _read(kind, data, kind.__name__)
    return value


def _read(kind: Any, data: Any, path: str) -> Any:  # noqa: ANN401, PLR0911 - annotations, JSON
    if get_origin(kind) is UnionType:
        return None if data is None else _read(_one_of(kind, data), data, path)
    if get_origin(kind) in {tuple, frozenset}:
        return _read_items(kind, data, path)
    if kind in _CLASSES:
        return _read_named(kind, data, path)
    if issubclass(kind, Table):
        return read(kind, data)
    if is_dataclass(kind):
        return _read_fields(kind, data, path)
    if issubclass(kind, Enum):
        return kind(data)
    if kind is float and type(data) is int:
        return float(data)
    if kind in _SCALARS and type(data) is kind:
        return data
    raise ValueError(f"{path}: {data!r} is not of type {kind.__name__}")


def _one_of(kind: UnionType, data: object) -> Any:  # noqa: ANN401 - an annotation
    """Return the member of a union that data is of; of scalars, each is its own JSON."""
    others = [one for one in get_args(kind) if one is not NoneType]
    return type(data) if type(data) in others else others[0]


def _read_items(kind: Any, data: Any, path: str) -> Any:  # noqa: ANN401 - annotations, JSON
    kinds, items = get_args(kind), _checked(data, list, path)
    if get_origin(kind) is frozenset or kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(items)
    if len(kinds) != len(items):
        raise ValueError(f"{path}: {len(items)} items, not {len(kinds)}")
    read = [
        _read(one, item, f"{path}[{number}]")
        for number, (one, item) in enumerate(zip(kinds, items, strict=True))
    ]
    return get_origin(kind)(read)


def _read_named(base: type, data: Any, path: str) -> Any:  # noqa: ANN401 - JSON
    ((name, content),) = _checked(data, dict, path).items() or [("", None)]
    if name not in _CLASSES[base]:
        raise ValueError(f"{path}: {name!r} is no {base.__name__.lower()}")
    return _read(_CLASSES[base][name], content, f"{path}.{name}")


def _read_fields(kind: Any, data: Any, path: str) -> Any:  # noqa: ANN401 - annotations, JSON
    given, hints = _checked(data, dict, path), _hints(kind)
    if strange := given.keys() - {field.name for field in fields(kind)}:
        raise ValueError(f"{path}: {min(strange)!r} is no field of {kind.__name__}")
    missing = {field.name for field in fields(kind) if _default(field) is MISSING} - given.keys()
    if missing:
        raise ValueError(f"{path}: {min(missing)!r} is missing")
    return kind(
        **{name: _read(hints[name], value, f"{path}.{name}") for name, value in given.items()}
    )


def _checked(data: Any, kind: type[_Value], path: str) -> _Value:  # noqa: ANN401 - JSON
    if not isinstance(data, kind):
        raise ValueError(f"{path}: {data!r} is not of type {kind.__name__}")  # noqa: TRY004 - bad text
    return data


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _default(field: Field[Any]) -> object:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
