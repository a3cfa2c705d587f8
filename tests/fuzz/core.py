"""Core: what a parser read goes on into the decisions, as in the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.core.test_random_walk import EVERY_KIND
from tests.core.world import World
from vtid.model.input import SaSnapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.config.keys import Config
    from vtid.model.input import Input
    from vtid.model.sa import ChildSa

_FRESH = 256
"""Inputs after which the world begins anew: a hostile charon may have any number of SAs."""


class Core:
    """A core with a world around it, whose kernel does what it is told."""

    def __init__(self, config: Config = EVERY_KIND) -> None:
        self._config = config
        self._inputs = _FRESH
        self.world = World()

    def tell(self, *events: Input) -> None:
        """Apply inputs, and run what follows from them to its end."""
        self._inputs += len(events)
        if self._inputs >= _FRESH:
            self._inputs = 0
            self.world = World(config=self._config).start()
        self.world.pass_time(1.0)
        self.world.tell(*events)

    def list(self, sas: Sequence[ChildSa]) -> None:
        """Take a list of all SAs."""
        self.tell(SaSnapshot(tuple(sas)))
