"""Target: something that takes bytes from outside, and how inputs for it are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from random import Random

Take: TypeAlias = "Callable[[bytes], None]"
"""Takes one input. It raises for a violation, and only then: documented errors are its business."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under test, or several in a row."""

    name: str
    share: int
    """Its inputs of all, in proportion to the shares of the other targets."""
    make: Callable[[Random], bytes]
    """Makes an input."""
    open: Callable[[], AbstractContextManager[Take]]
    """Starts what takes them, and ends it."""


def check_line(text: str, longest: int = 4096) -> None:
    """Check that a text breaks out of no line, and is short enough for one."""
    assert text.isprintable(), ascii(text)
    assert len(text) <= longest, len(text)
