"""Scrape: the metrics as a text, written once for all who ask at the same time. Part of the edge.

* A scrape always gets a text, without link counters if the kernel is too slow.
* Scrapes in a loop must not slow down the tunnels: after a text that took a worker thread some time
  to write, the next one begins `_REST` times as long later. Those who ask meanwhile share it.
* A text is kept compressed, a twentieth of its size, because each slow client may hold another.
  Who wants it plain gets it unpacked piece by piece.
"""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from vtid.http import metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from vtid.http.api import Api
    from vtid.http.telemetry import Telemetry
    from vtid.model.status import LinkCounters, Status

_log = structlog.get_logger(__name__)

COUNTERS_TIMEOUT = 5.0
"""Seconds that a scrape waits for link counters; Prometheus gives up after 10 by default."""

_REST = 4
"""Writing takes a fifth of a processor at most."""

_PIECE = 4096
"""Compressed bytes that are unpacked at once: about 80 KiB of text, a fraction of a millisecond."""


@dataclass(frozen=True, slots=True)
class Exposition:
    """All metrics in the text exposition format."""

    compressed: bytes
    """With gzip."""
    size: int
    """Bytes of the text."""

    async def plain(self) -> AsyncIterator[bytes]:
        """Yield the text in pieces."""
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        for start in range(0, len(self.compressed), _PIECE):
            yield unpack.decompress(self.compressed[start : start + _PIECE])


class Scraper:
    """Writes the metrics of a daemon."""

    def __init__(self, api: Api, telemetry: Telemetry) -> None:
        self._api = api
        self._telemetry = telemetry
        self._writing: asyncio.Task[Exposition] | None = None
        self._not_before = 0.0

    async def exposition(self) -> Exposition:
        """Return all metrics; requests that arrive while they are written share the result."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        return await asyncio.shield(self._writing)

    async def _write(self) -> Exposition:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._not_before - clock())
        status, counters = self._api.status(), await self.counters()
        exposition, took = await asyncio.to_thread(self._text, status, counters)
        self._not_before = clock() + _REST * took
        return exposition

    async def counters(self) -> Mapping[str, LinkCounters]:
        """Read the link counters of all tunnels; none if the kernel is too slow."""
        try:
            async with asyncio.timeout(COUNTERS_TIMEOUT):
                return await self._api.counters()
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the scrape goes out
            self._telemetry.scrape_failed()
            _log.warning("scrape without link counters", error=str(error) or type(error).__name__)
            return {}

    def _text(
        self, status: Status, counters: Mapping[str, LinkCounters]
    ) -> tuple[Exposition, float]:
        """Write the text; also return the seconds of processor time that it took."""
        begin = time.thread_time()
        text = self._telemetry.expose() + metrics.render(status, counters).encode()
        compressed = gzip.compress(text, compresslevel=1)
        return Exposition(compressed, len(text)), time.thread_time() - begin
