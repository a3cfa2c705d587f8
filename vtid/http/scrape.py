"""Scrape: the metrics as a text, written once for all who ask at the same time. Part of the edge.

* A scrape asks neither kernel nor charon nor BIRD: it tells what vtid knows.
* Scrapes in a loop must not slow down the tunnels: after a text that took a worker thread some time
  to write, the next one begins `_REST` times as long later. Those who ask meanwhile share it.
* A text is kept compressed (`packed`), a twentieth of its size.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from vtid.http import metrics
from vtid.http.exposition import END
from vtid.http.packed import Packed, Packer
from vtid.turns import no_collections, used_up

if TYPE_CHECKING:
    from vtid.http.api import ReadApi
    from vtid.http.telemetry import Telemetry
    from vtid.model.status import Status

_REST = 2
"""Writing takes a third of a processor at most."""


class Scraper:
    """Writes the metrics of a daemon."""

    def __init__(self, api: ReadApi, telemetry: Telemetry) -> None:
        self._api = api
        self._telemetry = telemetry
        self._writing: dict[bool, asyncio.Task[Packed]] = {}
        """What is being written, as OpenMetrics and as text."""
        self._not_before = 0.0

    async def exposition(self, *, openmetrics: bool = False) -> Packed:
        """Return all metrics; requests that arrive while they are written share the result."""
        writing = self._writing.get(openmetrics)
        if writing is None or writing.done():
            writing = asyncio.create_task(self._write(openmetrics=openmetrics))
            self._writing[openmetrics] = writing
        return await asyncio.shield(writing)

    async def _write(self, *, openmetrics: bool) -> Packed:
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

    def _text(self, status: Status | None, *, openmetrics: bool) -> tuple[Packed, float]:
        """Write the text; also return the seconds of processor time that it took."""
        begin = time.thread_time()
        telemetry, packer = self._telemetry, Packer()
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
