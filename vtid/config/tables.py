"""Tables: how a TOML table becomes a frozen dataclass, and JSON again. Pure.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Vici(Table):
        socket: Annotated[str, socket_path] = "/run/charon.vici"

Rules of this file:

* The annotation of a field says how its value is read. What is read as `str`, `int`, `bool`, a
  `Literal`, an `Enum`, a table, or a tuple or dict of those, goes to each function of `Annotated`,
  which returns it in canonical form or raises `ValueError` with a sentence that says what is wrong.
  `Raw(function)` gets the value as it is in the file instead. None stands for a key left out.
* All that is wrong with a table is found, in the order of its fields, unknown keys at the end.
* What is not in the file is the very object of the default: there are 10,000 policies.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from vtid.model.bgp import HIDDEN, Secret

KEY = "key"
"""In the metadata of a field, its key where that is no name of Python: `import`."""

UNWRITTEN = "unwritten"
"""In the metadata of a field that is left out where a table is written."""

Read: TypeAlias = Callable[[Any], Any]
"""Returns what a value of the file means. Raises ValueError, `WrongError` for one of several."""

Finding: TypeAlias = "tuple[tuple[str | int, ...], ValueError]"
"""Where in a value, and what is wrong there."""


class Table:
    """A TOML table: a frozen dataclass that is strict about keys."""

    __slots__ = ()


_Table = TypeVar("_Table", bound=Table)


@dataclass(frozen=True, slots=True)
class Raw:
    """Marks the function of a type that reads the value as it is in the file."""

    read: Read


class WrongError(ValueError):
    """Several values are wrong, or one within another; `findings` has all."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path))}: {why}" for path, why in findings))
        self.findings = findings


class UnknownKeyError(ValueError):
    """A table has a key that it cannot have."""

    def __init__(self, key: str, known: list[str]) -> None:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else "known here: " + ", ".join(sorted(known))
        super().__init__(f"unknown key; {hint}")
        self.key = key


def findings(error: ValueError) -> list[Finding]:
    """Return what an error found, each with its path."""
    return error.findings if isinstance(error, WrongError) else [((), error)]


def _below(step: str | int, error: ValueError) -> list[Finding]:
    return [((step, *path), wrong) for path, wrong in findings(error)]


# --- reading -------------------------------------------------------------------------------------


def read(table: type[_Table], raw: object, given: Mapping[str, Any] | None = None) -> _Table:
    """Read a table; `given` has what keys mean that it leaves out. Raises ValueError."""
    if not isinstance(raw, dict):
        raise ValueError("has to be a table")  # noqa: TRY004 - of the file, and not of a call
    values: dict[str, Any] = {}
    wrong: list[Finding] = []
    keys = _keys_of(table)  # type: ignore[arg-type]  # mypy takes no class as Hashable
    for key, (name, read_value, is_required) in keys.items():
        if key in raw:
            try:
                values[name] = read_value(raw[key])
            except ValueError as error:
                wrong += _below(key, error)
        elif given and key in given:
            values[name] = given[key]
        elif is_required:
            wrong.append(((key,), ValueError("is missing")))
    wrong += (((key,), UnknownKeyError(key, list(keys))) for key in raw if key not in keys)
    if wrong:
        raise WrongError(wrong)
    return table(**values)


def keys_of(table: type[Table]) -> set[str]:
    """Return the keys that a table can have."""
    return set(_keys_of(table))  # type: ignore[arg-type]


@cache
def _keys_of(table: type[Any]) -> dict[str, tuple[str, Read, bool]]:
    """Return of each key its field's name, how it is read, and whether it has to be there."""
    hints = get_type_hints(table, include_extras=True)
    return {
        key_of(one): (one.name, _reader(hints[one.name]), default_of(one) is MISSING)
        for one in fields(table)
    }


def key_of(field: Field[Any]) -> str:
    """Return the key that a field has in the file."""
    return str(field.metadata.get(KEY, field.name))


def default_of(field: Field[Any]) -> object:
    """Return what a key means that is left out; MISSING where it may not be."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def array(kind: object) -> Read:
    """Return what reads an array, each item of one kind, as a tuple."""
    read_item = _reader(kind)

    def read_items(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError("has to be an array")  # noqa: TRY004
        return tuple(_each(read_item, enumerate(value)).values())

    return read_items


def _dictionary(kind: object) -> Read:
    read_item = _reader(kind)

    def read_items(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("has to be a table")  # noqa: TRY004
        return _each(read_item, value.items())

    return read_items


def _each(read_item: Read, items: Any) -> dict[Any, Any]:  # noqa: ANN401
    found: dict[Any, Any] = {}
    wrong: list[Finding] = []
    for step, item in items:
        try:
            found[step] = read_item(item)
        except ValueError as error:
            wrong += _below(step, error)
    if wrong:
        raise WrongError(wrong)
    return found


def _reader(kind: Any) -> Read:  # noqa: ANN401, PLR0911 - annotations; a table
    """Return what reads a value as an annotation says."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        first, *checks = kind.__metadata__
        if isinstance(first, Raw):
            return _checked(first.read, checks) if checks else first.read
        return _checked(_reader(arguments[0]), kind.__metadata__)
    if origin in {Union, UnionType}:
        (one,) = (one for one in arguments if one is not NoneType)
        return _reader(one)
    if origin is tuple:
        return array(arguments[0])
    if origin is dict:
        return _dictionary(arguments[1])
    if origin is Literal:
        return partial(_one_of, {one: one for one in arguments})
    if issubclass(kind, Enum):
        return partial(_one_of, {one.value: one for one in kind})
    if issubclass(kind, Table):
        return partial(read, kind)
    return partial(_scalar, kind)


def _checked(read_value: Read, checks: Sequence[Read]) -> Read:
    def read_and_check(value: object) -> Any:  # noqa: ANN401
        found = read_value(value)
        for check in checks:
            found = check(found)
        return found

    return read_and_check


_SCALARS = {
    str: "has to be a string",
    int: "has to be a whole number",
    bool: "has to be true or false",
}


def _scalar(kind: type, value: object) -> object:
    if type(value) is not kind:
        raise ValueError(_SCALARS[kind])
    return value


def _one_of(known: Mapping[str, Any], value: object) -> Any:  # noqa: ANN401
    if isinstance(value, str) and value in known:
        return known[value]
    *others, last = map(repr, known)
    raise ValueError(f"has to be {', '.join(others)} or {last}")


def between(least: int, most: int) -> Callable[[int], int]:
    """Return what checks that a number is not out of a range."""

    def check(number: int) -> int:
        if number < least:
            raise ValueError(f"has to be {least} or more")
        if number > most:
            raise ValueError(f"has to be {most} or less")
        return number

    return check


# --- writing -------------------------------------------------------------------------------------


def written(table: Table, *, whole: bool) -> dict[str, Any]:
    """Return a table for `json.dumps`, without passwords; if not whole, without defaults."""
    return {
        key_of(one): _written(value, whole=whole)
        for one in fields(table)  # type: ignore[arg-type]
        if UNWRITTEN not in one.metadata
        for value in [getattr(table, one.name)]
        if whole or value != default_of(one)
    }


def _written(value: Any, *, whole: bool) -> Any:  # noqa: ANN401 - JSON
    match value:
        case Table():
            return written(value, whole=whole)
        case tuple():
            return [_written(item, whole=whole) for item in value]
        case Enum():
            return value.value
        case Secret():
            return HIDDEN
        case _:
            return value
