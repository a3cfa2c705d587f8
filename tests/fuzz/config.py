"""Configuration: any text is a `Config`, or a `ConfigError` whose problems are one line each."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.core.world import LAB_TEXT, World
from tests.fuzz.mutate import HOSTILE, mutated
from tests.fuzz.target import Target, check_line
from vtid.config.load import ConfigError, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.fuzz.target import Take

_REFERENCE = Path(__file__).parents[2] / "etc" / "vtid.toml"
TEXTS = (LAB_TEXT.encode(), _REFERENCE.read_bytes())

_TABLES = tuple(part.encode() for part in re.split(r"(?m)^(?=\[)", LAB_TEXT) if part.strip())
_VALUE = re.compile(rb"= *(.+)")
_KEY = re.compile(rb"(?m)^(\w+)(?= *=)")
_VALUES = (
    b"true",
    b"-1",
    b"0",
    b"65536",
    b"9223372036854775808",
    b"1e400",
    b"nan",
    b"1979-05-27T07:32:00Z",
    b"[]",
    b"{}",
    b"[[[[1]]]]",
    b'""',
    b'"*"',
    b'"{mark}"',
    b'"{mark:>999999999}"',
    b'"{connection.__class__}"',
    b'"{"',
    b'"::/0"',
    b'"0s"',
    b'"99999999999999d"',
    b"'''a\nb'''",
    b'"\\u0000\\u001b[31m\\n"',
    b'"\\u202e"',
    *(b"'" + word.replace(b"'", b"") + b"'" for word in HOSTILE[:-2]),
)


@contextmanager
def texts() -> Iterator[Take]:
    def take(data: bytes) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return
        try:
            config = load(text)
        except ConfigError as error:
            for problem in error.problems:
                check_line(problem.format("vtid.toml"), longest=1 << 18)
        else:
            World(config=config, checked=False).start()

    yield take


def make_text(random: Random) -> bytes:
    return mutated(random, TEXTS)


def make_values(random: Random) -> bytes:
    """A file that is TOML, with tables of the lab in any order and with any values."""
    parts = [random.choice(_TABLES) for _ in range(1 + random.randrange(5))]
    text = b"".join(parts)
    for _ in range(1 + random.randrange(3)):
        places = list((_VALUE if random.random() < 0.85 else _KEY).finditer(text))
        if places:
            start, end = random.choice(places).span(1)
            text = text[:start] + random.choice(_VALUES) + text[end:]
    return text


TARGETS = (
    Target("configuration text", 8, make_text, texts),
    Target("configuration values", 3, make_values, texts),
)
