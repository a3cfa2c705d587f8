"""Traffic: reads the kernel's counters from time to time, so that no scrape has to. An edge.

Rules of this file:

* Reading takes at most one part in `SHARE` of the time, with any number of links.
* A namespace that cannot be read leaves out itself only.
* Nothing is lost between two readings: counters are sums, and a link that goes tells its last ones.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from vtid.kernel.observe import TROUBLES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from vtid.core.state import State
    from vtid.kernel.client import Kernel
    from vtid.nft.client import Nft

INTERVAL = 5.0
"""Seconds between two readings: less than between two scrapes."""

SHARE = 20

AT_ONCE = 500
"""Links filed before other tasks get their turn: about 2 ms."""


class Traffic:
    """Brings what links have counted to the state, and keeps what IPsec dropped.

    What the clamp has counted stays with `nft`.
    """

    def __init__(
        self,
        kernel: Kernel,
        nft: Nft,
        state: State,
        netns: Callable[[], Collection[str]],
        whole: Callable[[], Awaitable[None]],
    ) -> None:
        self.read_at: dict[str, float] = {}
        """Unix time of the last reading of each namespace."""
        self.xfrm: dict[str, dict[str, int]] = {}
        """Packets that IPsec dropped, by namespace and reason."""
        self._kernel = kernel
        self._nft = nft
        self._state = state
        self._netns = netns
        self._whole = whole

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            began = time.monotonic()
            await self.read()
            took = time.monotonic() - began
            await asyncio.sleep(max(INTERVAL, SHARE * took))

    async def read(self) -> None:
        """Read all namespaces once."""
        for netns in tuple(self._netns()):  # a reload may add one meanwhile
            await self._nft.count(netns)
            with suppress(*TROUBLES):
                found = iter((await self._kernel.counters(netns)).items())
                while some := list(islice(found, AT_ONCE)):
                    await self._whole()
                    self._state.count_traffic(netns, some)
                    await asyncio.sleep(0)
                self.xfrm[netns] = await self._kernel.xfrm_stat(netns)
                await self._whole()
                self._state.count_drops(netns, self.xfrm[netns])
                self.read_at[netns] = time.time()
