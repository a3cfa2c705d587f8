"""A started server with a client for each of its sides."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.http.samples import FULL, FakeDaemon
from vtid.http.server import Limits, Server
from vtid.http.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class Site:
    """A started server with a client for each of its sides."""

    daemon: FakeDaemon
    telemetry: Telemetry
    server: Server
    public: aiohttp.ClientSession
    control: aiohttp.ClientSession

    @property
    def url(self) -> str:
        host, port = self.server.addresses[0]
        return f"http://{host}:{port}"

    async def get(self, path: str) -> tuple[int, str]:
        async with self.public.get(self.url + path) as response:
            return response.status, await response.text()

    async def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        async with self.control.request(method, "http://vtid" + path) as response:
            assert response.content_type == "application/json"
            return response.status, await response.json()


@asynccontextmanager
async def site(
    directory: Path, daemon: FakeDaemon | None = None, limits: Limits | None = None
) -> AsyncIterator[Site]:
    daemon, telemetry = daemon or FakeDaemon(FULL), Telemetry()
    path = str(directory / "control.sock")
    server = Server(path, ["127.0.0.1:0"], daemon, telemetry, limits)
    await server.start()
    try:
        async with (
            aiohttp.ClientSession() as public,
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as control,
        ):
            yield Site(daemon, telemetry, server, public, control)
    finally:
        await server.stop()


def samples(text: str) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
