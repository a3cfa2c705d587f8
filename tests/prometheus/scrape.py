"""Let a real Prometheus scrape over TLS, with a password, while 1,000 clients hold what they get.

`tests.prometheus.trial` runs it. Two jobs ask the same server: one with the right password has to
be up all the time, one with a wrong one has to be down.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import urllib.request
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.http.samples import FULL, FakeDaemon
from vtid.http.access import Access, Tls
from vtid.http.server import Server
from vtid.http.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PKI = Path(__file__).parents[1] / "http" / "pki"
HASH = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
SCRAPES = 5
PATIENCE = 60


def configuration(target: str) -> str:
    """Return Prometheus' configuration; JSON is YAML, too."""
    return json.dumps(
        {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
            "scrape_configs": [
                {
                    "job_name": password,
                    "scheme": "https",
                    "tls_config": {"ca_file": str(PKI / "ca.pem")},
                    "basic_auth": {"username": "prometheus", "password": password},
                    "static_configs": [{"targets": [target]}],
                }
                for password in ("secret", "wrong")
            ],
        }
    )


def ask(port: int, query: str) -> dict[str, float]:
    """Return the values of a query by job; empty while Prometheus starts."""
    url = f"http://127.0.0.1:{port}/api/v1/query?query={query}"
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
        answer: dict[str, Any] = json.load(response)
        return {one["metric"]["job"]: float(one["value"][1]) for one in answer["data"]["result"]}
    return {}


async def watch(port: int) -> bool:
    """Wait for enough scrapes; return whether each one was as it should be."""
    counts: dict[str, float] = {}
    async with asyncio.timeout(PATIENCE):
        while counts.get("secret", 0) < SCRAPES:
            await asyncio.sleep(0.5)
            counts = await asyncio.to_thread(ask, port, "count_over_time(up[1h])")
    ups = await asyncio.to_thread(ask, port, "sum_over_time(up[1h])")
    known = await asyncio.to_thread(ask, port, "vtid_vici_up")
    print(f"Prometheus scraped {counts}, got through {ups}")
    return ups == {"secret": counts["secret"], "wrong": 0} and known == {"secret": 1}


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[None]:
    """Run a program meanwhile."""
    process = await asyncio.create_subprocess_exec(*command)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def trial() -> bool:
    """Run all; whether Prometheus gets what it should."""
    with tempfile.TemporaryDirectory() as folder:
        telemetry = Telemetry()
        server = Server(f"{folder}/s", ["127.0.0.1:0"], FakeDaemon(FULL), telemetry)
        tls = Tls(str(PKI / "server.pem"), str(PKI / "server.key"))
        server.use(Access(users=(("prometheus", HASH),), tls=tls))
        await server.start()
        host, port = server.addresses[0]
        file, own_port = f"{folder}/prometheus.yml", 20000 + port % 10000
        await asyncio.to_thread(Path(file).write_text, configuration(f"localhost:{port}"))
        prometheus = (
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{own_port}",
            "--log.level=error",
        )
        bench = (sys.executable, "-m", "tests.bench.bench_http")
        async with running(*bench, "--attack", "no HTTP", "--address", host, str(port)):
            await asyncio.sleep(2)  # they come
            async with running(*prometheus):
                good = await watch(own_port)
        await server.stop()
    for line in telemetry.expose().decode().splitlines():
        if "refused_total{" in line and not line.endswith(" 0.0"):
            print(line)
    return good
