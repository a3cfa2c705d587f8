"""The blocks of one include file, without those that BIRD refuses. Pure.

Rules of this file:

* A block that is held back stays as it was in the last good file, or stays out of it, until its
  text changes or `forget_held` gives all of them another chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.bird.render import compose, parse, protocols

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Draft:
    """The blocks to write, and the tunnels whose blocks are held back.

    With thousands of tunnels `text` takes a while: it belongs in a worker thread.
    """

    wanted: Mapping[str, str]
    held: frozenset[str]

    def text(self, good: str) -> str:
        """Return the file, where `good` is the one that BIRD accepted last."""
        before = parse(good) if self.held else {}
        texts = {t: before.get(t) if t in self.held else one for t, one in self.wanted.items()}
        return compose({tunnel: text for tunnel, text in texts.items() if text is not None})


class Blocks:
    """The blocks of one include file."""

    def __init__(self) -> None:
        self._wanted: dict[str, str] = {}
        self._changes: dict[str, str | None] = {}
        self._held: dict[str, str] = {}
        self._adopted = False

    @property
    def held(self) -> bool:
        """Whether blocks are held back."""
        return bool(self._held)

    @property
    def wanted(self) -> dict[str, str]:
        """The block that each tunnel should have, also where BIRD refused it."""
        texts = {**self._wanted, **self._changes}
        return {tunnel: text for tunnel, text in texts.items() if text is not None}

    def adopt(self, text: str) -> tuple[str, ...]:
        """Begin with the blocks of a file of ours; return its tunnels. Earlier changes stay."""
        self._wanted = parse(text)
        self._adopted = True
        return tuple(self._wanted)

    def change(self, tunnel: str, text: str | None) -> bool:
        """Set or remove a tunnel's block; return whether that changes anything."""
        if self._changes.get(tunnel, self._wanted.get(tunnel)) == text and self._adopted:
            return False
        self._changes[tunnel] = text
        return True

    def draft(self) -> Draft:
        """Return what the file should say now."""
        for tunnel, text in self._changes.items():
            if text is None:
                self._wanted.pop(tunnel, None)
            else:
                self._wanted[tunnel] = text
        self._changes.clear()
        self._held = {t: text for t, text in self._held.items() if self._wanted.get(t) == text}
        return Draft(dict(self._wanted), frozenset(self._held))

    def hold(self, tunnels: Iterable[str]) -> bool:
        """Hold back the blocks that tunnels have now; return whether there are any."""
        new = {tunnel: self._wanted[tunnel] for tunnel in tunnels if tunnel in self._wanted}
        self._held |= new
        return bool(new)

    def forget_held(self) -> None:
        """Give what was held back another chance."""
        self._held.clear()


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two files of ours."""

    tunnels: frozenset[str]
    """Those whose blocks differ."""
    touched: frozenset[str]
    """Protocols in blocks that differ."""
    same: frozenset[str]
    """Protocols in the others."""
    protocols: Mapping[str, frozenset[str]]
    """Protocols of each tunnel in the new file."""


def difference(before: str, after: str) -> Difference:
    """Compare two files of ours. With thousands of tunnels it belongs in a worker thread."""
    old, new = parse(before), parse(after)
    tunnels = frozenset(tunnel for tunnel in old | new if old.get(tunnel) != new.get(tunnel))
    names = {tunnel: protocols(text) for tunnel, text in new.items()}
    touched = [names.get(tunnel, frozenset()) for tunnel in tunnels]
    touched += [protocols(old[tunnel]) for tunnel in tunnels if tunnel in old]
    same = (found for tunnel, found in names.items() if tunnel not in tunnels)
    return Difference(tunnels, frozenset().union(*touched), frozenset().union(*same), names)
