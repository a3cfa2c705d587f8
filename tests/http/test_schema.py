"""JSON Schema of types: what `encode` writes of a value is valid, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import pytest
from jsonschema_rs import validator_for

from tests.http.samples import DELETE
from vtid.http.api import Plan
from vtid.http.encode import encode
from vtid.http.schema import Schemas
from vtid.model.bgp import Secret


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Base:
    number: int
    """How many."""


@dataclass(frozen=True, slots=True)
class Sample(Base):
    """A sample.

    With two paragraphs.
    """

    colour: Colour
    names: tuple[str, ...]
    pair: tuple[str, int]
    """Two
    lines."""
    maybe: float | None
    word: Literal["a", "b"]
    counts: dict[str, int]
    few: frozenset[str]
    secret: Secret
    inner: Base | None = None
    """Nothing of its own."""


GOOD = Sample(
    3, Colour.RED, ("x",), ("y", 1), None, "a", {"z": 1}, frozenset("q"), Secret("s"), Base(1)
)


def schema_of(kind: Any) -> dict[str, Any]:
    schemas = Schemas("#/$defs/")
    return {**schemas.of(kind), "$defs": schemas.named}


def test_what_is_written_is_valid() -> None:
    validator_for(schema_of(Sample)).validate(json.loads(encode(GOOD)))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("number", "3"),
        ("colour", "blue"),
        ("names", [3]),
        ("pair", ["y"]),
        ("pair", ["y", 1, 2]),
        ("maybe", "1"),
        ("word", "c"),
        ("counts", {"z": "1"}),
        ("few", "q"),
        ("secret", None),
        ("inner", {"number": None}),
        ("inner", {}),
    ],
)
def test_what_is_not_is_not(field: str, wrong: object) -> None:
    value = json.loads(encode(GOOD)) | {field: wrong}
    assert not validator_for(schema_of(Sample)).is_valid(value)
    del value[field]
    assert not validator_for(schema_of(Sample)).is_valid(value), "every field is there"


def test_texts_come_from_the_source() -> None:
    found = schema_of(Sample)["$defs"]["Sample"]
    assert found["description"] == "A sample.\n\nWith two paragraphs."
    texts = {name: one.get("description") for name, one in found["properties"].items()}
    assert texts["number"] == "How many."
    assert texts["pair"] == "Two\nlines."
    assert texts["inner"] == "Nothing of its own."
    assert texts["names"] is None


def test_an_operation_is_one_of_its_kind() -> None:
    validator = validator_for(schema_of(Plan))
    plan = json.loads(encode(Plan((DELETE,))))
    validator.validate(plan)
    plan["ops"][0]["op"] = "CreateLink"
    assert not validator.is_valid(plan)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="has no JSON form"):
        Schemas().of(Iterator[int])
