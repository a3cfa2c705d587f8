"""One text for all who scrape at the same time, whatever the kernel and the clients do."""

from __future__ import annotations

import asyncio
import gzip
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.http.samples import FULL, UP, FakeDaemon, status
from tests.http.sites import site
from vtid.http import metrics
from vtid.http.packed import Packed
from vtid.http.scrape import Scraper
from vtid.http.telemetry import Telemetry

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from vtid.model.status import Status


class Counting(FakeDaemon):
    """Counts how often it is asked for its status."""

    asked = 0

    async def full_status(self) -> Status:
        self.asked += 1
        return await super().full_status()


async def test_scrapes_at_the_same_time_share_one_text() -> None:
    daemon = Counting(FULL)
    scraper = Scraper(daemon, Telemetry())
    await asyncio.gather(*(scraper.exposition() for _ in range(20)))
    assert daemon.asked == 1
    await scraper.exposition()
    assert daemon.asked == 2


async def test_writing_takes_a_third_of_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing that takes 1,000 s is not begun again within 2,000 s, whoever asks."""
    ticks = iter(range(0, 10_000, 1000))
    monkeypatch.setattr(time, "thread_time", lambda: next(ticks))
    daemon = Counting(FULL)
    scraper = Scraper(daemon, Telemetry())
    await scraper.exposition()
    left = scraper._not_before - asyncio.get_running_loop().time()
    assert 1900 < left <= 2000
    waiting = [asyncio.create_task(scraper.exposition()) for _ in range(20)]
    await asyncio.wait(waiting, timeout=0.05)
    assert daemon.asked == 1
    scraper._writing[False].cancel()
    await asyncio.wait(waiting)


async def test_a_text_is_kept_small_and_comes_in_pieces() -> None:
    many = status(*(replace(UP, tunnel=f"private/vti{number}") for number in range(500)))
    exposition = await Scraper(FakeDaemon(many), Telemetry()).exposition()
    text = gzip.decompress(exposition.compressed)
    pieces = list(exposition.plain())
    assert b"".join(pieces) == text
    assert exposition.size == len(text)
    assert len(exposition.compressed) * 15 < len(text)
    assert max(map(len, pieces)) < 256 * 1024


async def test_no_piece_is_all_of_it() -> None:
    """Whoever joins lines holds the interpreter, and with it the event loop."""
    many = status(*(replace(UP, tunnel=f"private/vti{number}") for number in range(20_000)))
    pieces: list[str] = []
    metrics.write(many, pieces.append)
    assert max(piece.count("\n") for piece in pieces) <= 10_000
    assert max(map(len, pieces)) < 2 << 20


async def test_a_plain_scrape_has_the_same_text(tmp_path: Path) -> None:
    headers = {"Accept-Encoding": "identity"}
    async with site(tmp_path) as here:
        async with here.public.get(here.url + "/metrics", headers=headers) as response:
            text = await response.text()
            assert int(response.headers["Content-Length"]) == len(text.encode())
        async with here.public.head(here.url + "/metrics", headers=headers) as response:
            assert (response.status, await response.read()) == (200, b"")
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"vtid_inputs", "vtid_vici_up", "vtid_tunnel_receive_bytes"} <= names


async def test_the_pieces_of_an_empty_text() -> None:
    assert b"".join(Packed(gzip.compress(b""), 0).plain()) == b""
