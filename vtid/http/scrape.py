"""Scrape: the metrics as a text, written once for all who ask at the same time. Part of the edge.

* A scrape asks neither kernel nor charon nor BIRD: it tells what vtid knows.
* Scrapes in a loop must not slow down the tunnels: after a text that took a worker thread some time
  to write, the next one begins `_REST` times as long later. Those who ask meanwhile share it.
* A text is kept compressed, a twentieth of its size, because each slow client may hold another.
  It is compressed while it is written, so there is never all of it, and who wants it plain gets it
  unpacked piece by piece.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vtid.http import metrics
from vtid.http.exposition import END
from vtid.turns import no_collections, used_up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtid.http.api import ReadApi
    from vtid.http.telemetry import Telemetry
    from vtid.model.status import Status

_REST = 2
"""Writing takes a third of a processor at most."""

_PIECE = 4096
"""Compressed bytes that are unpacked at once: about 80 KiB of text, a fraction of a millisecond."""


@dataclass(frozen=True, slots=True)
class Exposition:
    """All metrics as a text."""

    compressed: bytes
    """With gzip."""
    size: int
    """Bytes of the text."""

    async def plain(self) -> AsyncIterator[bytes]:
        """Yield the text in pieces."""
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        for start in range(0, len(self.compressed), _PIECE):
            yield unpack.decompress(self.compressed[start : start + _PIECE])


class _Packer:
    """Compresses a text as it comes."""

    def __init__(self) -> None:
        self._pack = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
        self._pieces: list[bytes] = []
        self._size = 0

    def put(self, text: str) -> None:
        """Take a piece."""
        self.put_bytes(text.encode())

    def put_bytes(self, text: bytes) -> None:
        """Take a piece that is encoded already."""
        self._size += len(text)
        self._pieces.append(self._pack.compress(text))

    def packed(self) -> Exposition:
        """Return all that came."""
        return Exposition(b"".join((*self._pieces, self._pack.flush())), self._size)


class Scraper:
    """Writes the metrics of a daemon."""

    def __init__(self, api: ReadApi, telemetry: Telemetry) -> None:
        self._api = api
        self._telemetry = telemetry
        self._writing: dict[bool, asyncio.Task[Exposition]] = {}
        """What is being written, as OpenMetrics and as text."""
        self._not_before = 0.0

    async def exposition(self, *, openmetrics: bool = False) -> Exposition:
        """Return all metrics; requests that arrive while they are written share the result."""
        writing = self._writing.get(openmetrics)
        if writing is None or writing.done():
            writing = asyncio.create_task(self._write(openmetrics=openmetrics))
            self._writing[openmetrics] = writing
        return await asyncio.shield(writing)

    async def _write(self, *, openmetrics: bool) -> Exposition:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._not_before - clock())
        write = partial(self._text, openmetrics=openmetrics)
        with no_collections():
            exposition, took = await used_up(write, [await self._status()])
        self._not_before = clock() + _REST * took
        return exposition

    async def _status(self) -> Status | None:
        """Return the status; None where it cannot be told, so that the rest goes out."""
        try:
            return await self._api.full_status()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go out
            self._telemetry.broken("status", "", error)
            return None

    def _text(self, status: Status | None, *, openmetrics: bool) -> tuple[Exposition, float]:
        """Write the text; also return the seconds of processor time that it took."""
        begin = time.thread_time()
        telemetry, packer = self._telemetry, _Packer()
        if status:
            metrics.write(
                status,
                packer.put,
                openmetrics=openmetrics,
                broken=telemetry.broken,
                disabled=telemetry.disabled,
            )
        # last, because it also counts what failed before
        packer.put_bytes(telemetry.expose(openmetrics=openmetrics))
        packer.put_bytes(END.encode() if openmetrics else b"")
        return packer.packed(), time.thread_time() - begin
