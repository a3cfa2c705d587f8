"""Output: an answer as lines for people, or as JSON or YAML for programs.

Rules of this file:

* JSON and YAML are ASCII, which no terminal obeys.
* Both begin with `schema_version`. It changes when a field goes or changes its meaning; new fields
  do not change it.
* YAML is written so that readers of version 1.1 and of 1.2 understand the same: every string is in
  double quotes, with the escapes that JSON and YAML share.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vtid.ctl.terminal import print_lines

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from vtid.ctl.client import Json
    from vtid.ctl.terminal import Line

FORMATS = ("table", "json", "yaml")

SCHEMA_VERSION = 1

_BMP = 0xFFFF

_WORDS_OF_YAML = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
"""Plain words that are no strings in YAML 1.1."""


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the format."""
    parser.add_argument(
        "-o", "--output", choices=FORMATS, default="table", help="format (default: %(default)s)"
    )


def show(args: argparse.Namespace, answer: Json, lines: Iterable[Line]) -> None:
    """Print an answer in the format that was asked for; `lines` are for people."""
    whole = {"schema_version": SCHEMA_VERSION, **answer}
    if args.output == "json":
        print(json.dumps(whole, indent=2))  # noqa: T201 - the answer
    elif args.output == "yaml":
        print_lines(yaml(whole))
    else:
        print_lines(lines)


def yaml(value: Json) -> Iterator[str]:
    """Write a mapping as the lines of a YAML document, in block style."""
    return _mapping(value, "")


def _mapping(value: Json, margin: str) -> Iterator[str]:
    for key, item in value.items():
        head = f"{margin}{_key(key)}:"
        if isinstance(item, dict | list) and item:
            yield head
            yield from _block(item, margin + "  ")
        else:
            yield f"{head} {_scalar(item)}"


def _block(value: Json | list[Any], margin: str) -> Iterator[str]:
    return _mapping(value, margin) if isinstance(value, dict) else _sequence(value, margin)


def _sequence(value: list[Any], margin: str) -> Iterator[str]:
    for item in value:
        if isinstance(item, dict | list) and item:
            first, *others = _block(item, margin + "  ")
            yield f"{margin}- {first[len(margin) + 2 :]}"
            yield from others
        else:
            yield f"{margin}- {_scalar(item)}"


def _key(key: str) -> str:
    plain = key.isascii() and key.isidentifier() and key.lower() not in _WORDS_OF_YAML
    return key if plain else _scalar(key)


def _scalar(value: Any) -> str:  # noqa: ANN401 - JSON
    """Write a scalar, or an empty collection, as both JSON and YAML have it."""
    if isinstance(value, str):
        return "".join(map(_char, json.dumps(value, ensure_ascii=False)))
    text = json.dumps(value)
    # without a point, YAML 1.1 takes it for a string
    return text.replace("e", ".0e") if "e" in text and _is_bare(text) else text


def _is_bare(text: str) -> bool:
    return "." not in text and text[-1].isdecimal()


def _char(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    # YAML has no surrogate pairs
    return f"\\U{ord(char):08x}" if ord(char) > _BMP else f"\\u{ord(char):04x}"
