"""Learnt: asks from time to time which path MTUs the kernel learnt towards peers. An edge.

Rules of this file:

* Asking takes at most one part in `SHARE` of the time, with any number of routes and exceptions.
* The state hears of peers of its own only, and only when something changed, or when a path has an
  MTU that a lookup found and that is not listed any more: somebody flushed it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from vtid.kernel.observe import TROUBLES
from vtid.model.input import LearntSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vtid.core.underlay import Path, Underlay
    from vtid.kernel.client import Kernel

INTERVAL = 30.0
"""Seconds between two listings; what is learnt lasts for minutes."""

SHARE = 50


class Learnt:
    """Brings path MTUs that the kernel learnt to the state; `known` are the paths in use."""

    def __init__(
        self, kernel: Kernel, known: Mapping[Path, Underlay], post: Callable[[LearntSeen], None]
    ) -> None:
        self._kernel = kernel
        self._known = known
        self._post = post
        self._told = LearntSeen(())

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            began = time.monotonic()
            with suppress(*TROUBLES):
                await self.look()
            await asyncio.sleep(max(INTERVAL, SHARE * (time.monotonic() - began)))

    async def look(self) -> None:
        """Ask once. Raises OSError or `Refused` where the kernel does not list them."""
        found = await self._kernel.learnt()
        peers = {remote for _, remote in self._known} if found else set()
        ours = sorted(peers & found.keys())
        seen = LearntSeen(tuple((peer, tuple(sorted(found[peer]))) for peer in ours))
        counts = {remote for (_, remote), path in self._known.items() if path.learnt}
        if seen != self._told or not counts <= found.keys():
            self._told = seen
            self._post(seen)
