"""What a fault is, and which of them come, by chance.

    @fault("links")
    def links_are_deleted(world: World, draw: Random) -> Iterator[None]:
        ...  # break something
        yield  # a moment passes, and perhaps another fault happens
        ...  # what the administrator, or systemd, does about it

Rules of this file:

* What comes depends on the seed and on the fault's number alone, so that each can be repeated
  without those before it.
* What only vtid could repair is not repaired by a fault.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.chaos.world import World

    Act = Callable[[World, Random], Iterator[None]]

HOLDS = (0.0, 0.0, 0.1, 0.5, 1.0, 3.0, 6.0)
"""Seconds that pass until somebody does something about a fault."""

SECOND = 0.3
"""How often a second fault happens while the first one lasts."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong; `subject` is what it happens to."""

    subject: str
    name: str
    act: Callable[[World, Random], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One or two faults at once, and how long they last."""

    seed: int
    number: int
    faults: tuple[Fault, ...]
    hold: float
    only: str = ""
    """Words of the first fault's name, of which it was one."""

    @property
    def command(self) -> str:
        """The command that repeats it."""
        only = f' ONLY="{self.only}"' if self.only else ""
        return f"make chaos SEED={self.seed} FIRST={self.number} N=1{only}"

    def __str__(self) -> str:
        return f"{' + '.join(fault.name for fault in self.faults)}, {self.hold:g} s"

    def draws(self) -> Iterator[Random]:
        """Yield, for each fault, the source of what it chooses by chance."""
        for place, _ in enumerate(self.faults):
            yield Random(f"{self.seed} {self.number} {place}")  # noqa: S311 - repeatable


FAULTS: list[Fault] = []
"""All faults, in the order in which they are written down."""


def fault(subject: str) -> Callable[[Act], Act]:
    """Add a function to the faults; its name says what happens."""

    def add(act: Act) -> Act:
        name = act.__name__.replace("_", " ")
        FAULTS.append(Fault(subject, name, contextmanager(act)))
        return act

    return add


def drawn(seed: int, number: int, faults: Sequence[Fault], only: str = "") -> Trial:
    """Return what the seed says of a number; `only` are words of the first fault's name."""
    draw = Random(f"{seed} {number}")  # noqa: S311 - repeatable
    first = draw.choice([one for one in faults if only in one.name])
    others = [one for one in faults if one.subject != first.subject]
    both = (first, draw.choice(others)) if draw.random() < SECOND else (first,)
    return Trial(seed, number, both, draw.choice(HOLDS), only)
