"""A daemon that shows a world of the core, as far as the page asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.core.world import status_of
from tests.http.samples import FakeDaemon
from vtid.core.listing import briefs, choose, chosen
from vtid.core.summary import summary

if TYPE_CHECKING:
    from tests.core.world import World
    from vtid.model.listing import Listing, Wanted


class WorldDaemon(FakeDaemon):
    """An `Api` over a world; `clock_offset` is Unix time minus the world's clock, in seconds."""

    def __init__(self, world: World, clock_offset: float) -> None:
        super().__init__(status_of(world, clock_offset=clock_offset))
        self.screen = summary(
            world.state,
            version="1",
            started_at=clock_offset,
            config_loaded_at=clock_offset,
            waiting_for=(),
            clock_offset=clock_offset,
        )
        self._state = world.state
        self._clock_offset = clock_offset

    async def listing(self, wanted: Wanted) -> Listing:
        found = briefs(self._state, searched=bool(wanted.text))
        return chosen(self._state, choose(found, wanted), self._clock_offset)
