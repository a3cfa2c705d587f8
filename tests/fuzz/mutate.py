"""Mutate: inputs that are almost right, from those that real peers sent. Pure, but for `random`.

Rules of this file:

* All chance comes from the `Random` that is passed in: a seed gives the same inputs on every run.
* A mutated input is never much longer than `LONGEST`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

LONGEST = 1 << 16
"""Bytes."""

HOSTILE = (
    b"",
    b"\0",
    b"\n",
    b"\r\n\r\n",
    b"'\"`",
    b"{}[]()<>",
    b"{0.__class__}{mark}%s%n",
    b"\x1b[2J\x1b]0;title\x07",
    b"\xff\xfe\xc3\x28",
    b"\xed\xa0\x80",
    "\u202egpj.exe\u2066".encode(),
    "\u2028\u2029\x85".encode(),
    "\u0660\u0661".encode(),
    b"-1",
    b"0x10",
    b"1_000",
    b"4294967296",
    b"9" * 5000,
    b"nan",
    b"%any",
    b"::ffff:0.0.0.0%eth0",
    b"2001:db8::1",
    b"../../etc/passwd",
    b"A" * 256,
    b"A" * 65535,
)
"""Words that have broken parsers, each in the form in which it would come."""

_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF)
_WIDE = (*_NUMBERS, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

_Change: TypeAlias = "Callable[[Random, bytearray], None]"


def mutated(random: Random, inputs: Sequence[bytes]) -> bytes:
    """Return one of the inputs after one to eight changes; now and then it stays as it was."""
    data = bytearray(random.choice(inputs))
    for _ in range(1 << below(random, 4) if random.random() < _OFTEN else 0):
        if data and len(data) <= LONGEST:
            random.choice(_CHANGES)(random, data)
    if random.random() < _SPLICED:
        other = random.choice(inputs)
        data[below(random, len(data) + 1) :] = other[below(random, len(other) + 1) :]
    return bytes(data[: 2 * LONGEST])


def below(random: Random, limit: int) -> int:
    """Return a number below a limit; `randrange` takes three times as long."""
    return int(random.random() * limit)


_OFTEN, _SPLICED = 0.98, 0.05


def _flip(random: Random, data: bytearray) -> None:
    data[below(random, len(data))] ^= 1 << below(random, 8)


def _set(random: Random, data: bytearray) -> None:
    data[below(random, len(data))] = random.choice(_NUMBERS[:12])


def _number(random: Random, data: bytearray) -> None:
    """A length or an index of another value, in either byte order."""
    at, size = below(random, len(data)), random.choice((2, 4))
    order = "big" if random.random() < 0.5 else "little"
    value = random.choice(_WIDE) & (1 << 8 * size) - 1
    data[at : at + size] = value.to_bytes(size, order)  # type: ignore[arg-type]


def _step(random: Random, data: bytearray) -> None:
    """A length that is off by a little."""
    at = below(random, len(data))
    data[at] = data[at] + below(random, 9) - 4 & 0xFF


def _cut(random: Random, data: bytearray) -> None:
    at = below(random, len(data))
    del data[at : at + 1 + below(random, 16)]


def _end(random: Random, data: bytearray) -> None:
    del data[below(random, len(data)) :]


def _insert(random: Random, data: bytearray) -> None:
    at = below(random, len(data) + 1)
    data[at:at] = random.choice(HOSTILE[:-1])


def _replace(random: Random, data: bytearray) -> None:
    word = random.choice(HOSTILE[:-1])
    at = below(random, len(data))
    data[at : at + len(word)] = word


def _repeat(random: Random, data: bytearray) -> None:
    at = below(random, len(data))
    times = 256 if random.random() < 0.01 else 1 + below(random, 3)
    data[at:at] = bytes(data[at : at + 1 + below(random, 128)]) * times


def _noise(random: Random, data: bytearray) -> None:
    at = below(random, len(data))
    data[at : at + 8] = random.randbytes(1 + below(random, 16))


_CHANGES: tuple[_Change, ...] = (
    _flip,
    _set,
    _number,
    _step,
    _cut,
    _end,
    _insert,
    _replace,
    _repeat,
    _noise,
)
