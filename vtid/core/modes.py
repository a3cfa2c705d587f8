"""Modes: which tunnels the operator paused or drained. Pure.

Rules of this file:

* A mode belongs to a tunnel's label, so it outlives the interface, and may be set before there is
  one.
* A mode for all tunnels is also for those that come later, and replaces what was said of single
  ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.mode import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vtid.core.tunnels import Tunnel


class Modes:
    """The mode of each tunnel."""

    def __init__(self) -> None:
        self._all = Mode.MANAGED
        self._others: dict[str, Mode] = {}
        """Labels whose mode is not that of all."""

    def use(self, labels: Iterable[str], mode: Mode) -> None:
        """Set the mode of some tunnels by their labels; of all where there are none."""
        some = tuple(labels)
        if not some:
            self._all = mode
            self._others.clear()
        for label in some:
            self._others.pop(label, None)
            if mode is not self._all:
                self._others[label] = mode

    @property
    def told(self) -> tuple[tuple[str, Mode], ...]:
        """What was said: the mode of all, under an empty label, and then those of others."""
        return ("", self._all), *self._others.items()

    def of(self, label: str) -> Mode:
        """Return the mode of the tunnel that has a label."""
        return self._others.get(label, self._all)

    def of_tunnel(self, tunnel: Tunnel) -> Mode:
        """Return the mode of a tunnel."""
        return self.of(tunnel.label or tunnel.name) if self._others else self._all

    def count(self, mode: Mode, tunnels: int, exists: Callable[[str], bool]) -> int:
        """Return how many of `tunnels` tunnels have a mode; `exists` tells whether a label does."""
        others = [one for label, one in self._others.items() if exists(label)]
        return others.count(mode) + (tunnels - len(others) if mode is self._all else 0)
