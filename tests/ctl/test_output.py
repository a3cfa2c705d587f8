"""The formats for programs: JSON and YAML say the same, and have their version."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, dictionaries, floats, integers, lists, none, recursive
from hypothesis.strategies import text as texts

from vtid.ctl.output import show, yaml

VALUES = recursive(
    none() | booleans() | integers() | floats(allow_nan=False, allow_infinity=False) | texts(),
    lambda inner: lists(inner, max_size=4) | dictionaries(texts(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def read(lines: list[str]) -> Any:
    """Read back the part of YAML that is written: blocks, and scalars of JSON."""
    if lines[0].lstrip().startswith("- "):
        items = [[f"  {one[2:]}"] if one.startswith("- ") else one for one in lines]
        return [item(group) for group in grouped(items)]
    return dict(pair(group) for group in grouped(lines))


def grouped(lines: list[Any]) -> list[list[str]]:
    """Join each line that begins something with those that are indented below it."""
    groups: list[list[str]] = []
    for line in lines:
        if isinstance(line, list):
            groups.append(list(line))
        elif groups and line.startswith("  "):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def item(group: list[str]) -> Any:
    inner = [line[2:] for line in group]
    is_block = len(inner) > 1 or inner[0].startswith("- ") or KEY.match(inner[0])
    return read(inner) if is_block else scalar(inner[0])


KEY = re.compile(r'([A-Za-z_]\w*|"(?:[^"\\]|\\.)*"):(?: (.+))?$', re.ASCII)


def pair(group: list[str]) -> tuple[str, Any]:
    found = KEY.match(group[0])
    assert found, group
    key = scalar(found[1]) if found[1].startswith('"') else found[1]
    below = [line[2:] for line in group[1:]]
    return key, read(below) if below else scalar(found[2])


def scalar(text: str) -> Any:
    assert text.isascii()
    assert text.isprintable()
    wide = re.compile(r"\\U([0-9a-f]{8})|(\\\\)")
    return json.loads(wide.sub(lambda m: m[2] or chr(int(m[1], 16)), text))


@given(dictionaries(texts(max_size=5), VALUES, min_size=1, max_size=4))
def test_yaml_says_what_json_says(value: dict[str, Any]) -> None:
    assert read(list(yaml(value))) == value


def test_how_it_looks() -> None:
    value = {
        "tunnels": [{"tunnel": "V2-1", "sas": [], "since": 1.5, "on": True, "sub": {"a": None}}],
        "no": ["x: y", "- z", "\x1b\U0001f600"],
        "small": 1e-07,
    }
    assert list(yaml(value)) == [
        "tunnels:",
        '  - tunnel: "V2-1"',
        "    sas: []",
        "    since: 1.5",
        '    "on": true',
        "    sub:",
        "      a: null",
        '"no":',
        '  - "x: y"',
        '  - "- z"',
        '  - "\\u001b\\U0001f600"',
        "small: 1.0e-07",
    ]


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_the_version_of_the_schema_comes_first(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show(Namespace(output=output), {"ready": True}, ["ready"])
    said = capsys.readouterr().out
    assert said.index("schema_version") < said.index("ready")


def test_people_get_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show(Namespace(output="table"), {"ready": True}, ["it is\x1b ready"])
    assert capsys.readouterr().out == "it is\\x1b ready\n"
