"""How a table of the file becomes a dataclass, and what 10,000 of them cost."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Annotated, Literal

import pytest

from vtid.config.keys import Policy
from vtid.config.load import load
from vtid.config.tables import KEY, Raw, Table, array, between, findings, keys_of, read, written
from vtid.model.bgp import Secret


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def double(number: int) -> int:
    return 2 * number


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(Table):
    size: Annotated[int, between(1, 9), double] = 1


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("is negative")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer(Table):
    name: str
    colour: Colour = Colour.RED
    kind: Literal["a", "b"] | None = None
    inner: Inner = Inner()
    several: tuple[Inner, ...] = ()
    numbers: dict[str, int] = field(default_factory=dict)
    imported: bool = field(default=False, metadata={KEY: "import"})
    seconds: Annotated[float, Raw(float), _not_negative] = 0.0
    password: Secret | None = None


def wrong(raw: object) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(ValueError) as told:  # noqa: PT011 - the caller compares
        read(Outer, raw)
    return {path: str(error) for path, error in findings(told.value)}


def test_a_table_is_read_as_its_annotations_say() -> None:
    raw = {
        "name": "x",
        "colour": "blue",
        "kind": "b",
        "inner": {"size": 2},
        "several": [{}, {"size": 9}],
        "numbers": {"one": 1},
        "import": True,
        "seconds": "1.5",
    }
    assert read(Outer, raw) == Outer(
        name="x",
        colour=Colour.BLUE,
        kind="b",
        inner=Inner(size=4),
        several=(Inner(), Inner(size=18)),
        numbers={"one": 1},
        imported=True,
        seconds=1.5,
    )


def test_what_reads_a_raw_value_is_followed_by_its_checks() -> None:
    assert wrong({"name": "x", "seconds": "-1"}) == {("seconds",): "is negative"}


def test_all_that_is_wrong_is_found_in_the_order_of_the_fields() -> None:
    raw = {
        "colur": 1,
        "colour": "green",
        "kind": ["a"],
        "inner": {"size": 10, "sise": 1},
        "several": [1, {"size": True}, {"size": 0}],
        "numbers": {"one": "1"},
        "import": 1,
        "imported": True,
    }
    assert list(wrong(raw).items()) == [
        (("name",), "is missing"),
        (("colour",), "has to be 'red' or 'blue'"),
        (("kind",), "has to be 'a' or 'b'"),
        (("inner", "size"), "has to be 9 or less"),
        (("inner", "sise"), 'unknown key; did you mean "size"?'),
        (("several", 0), "has to be a table"),
        (("several", 1, "size"), "has to be a whole number"),
        (("several", 2, "size"), "has to be 1 or more"),
        (("numbers", "one"), "has to be a whole number"),
        (("import",), "has to be true or false"),
        (("colur",), 'unknown key; did you mean "colour"?'),
        (("imported",), 'unknown key; did you mean "import"?'),
    ]


def test_several_errors_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"^name: is missing; inner\.size: has to be 9 or less$"):
        read(Outer, {"inner": {"size": 10}})


@pytest.mark.parametrize("raw", ["text", 1, [], None])
def test_what_is_no_table_is_said_to_be_none(raw: object) -> None:
    assert wrong(raw) == {(): "has to be a table"}


def test_what_is_no_array_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="has to be an array"):
        array(str)("text")


def test_what_is_left_out_is_given_or_the_default_itself() -> None:
    given = Inner(size=5)
    table = read(Outer, {"name": "x"}, {"name": "y", "inner": given})
    assert table.name == "x"
    assert table.inner is given
    assert read(Outer, {"name": "x"}).inner is read(Outer, {"name": "y"}).inner


def test_what_is_written_has_the_keys_of_the_file_and_no_password() -> None:
    table = Outer(name="x", imported=True, several=(Inner(size=4),), password=Secret("clear"))
    short = {"name": "x", "several": [{"size": 4}], "import": True, "password": "**********"}
    assert written(table, whole=False) == short
    whole = written(table, whole=True)
    assert whole.keys() == keys_of(Outer)
    assert whole == {**whole, **short, "colour": "red", "inner": {"size": 1}, "kind": None}


def test_a_policy_costs_little_more_than_what_is_its_own() -> None:
    defaults = '[defaults]\nroutes = "remote-ts"\n[defaults.probe]\nmtu = false\n'
    tunnel = '[[tunnel]]\nconnection = "{0}"\ninterface = "vti{0}"\naddresses = ["fd00::{0}/64"]\n'
    first, second = load(defaults + tunnel.format(1) + tunnel.format(2)).policies
    own = {
        one.name
        for one in fields(Policy)
        if getattr(first, one.name) is not getattr(second, one.name)
    }
    assert own == {"connection", "interface", "addresses"}
    assert not hasattr(first, "__dict__")
    assert sys.getsizeof(first) <= 8 * len(fields(Policy)) + 64
