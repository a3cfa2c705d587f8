"""Let a real Prometheus scrape vtid's server, and ask it every query of the dashboard.

    python3 -m tests.prometheus.live

The server is the real one, over the values of `families.picture`. Checked is that Prometheus takes
OpenMetrics, keeps each metric that vtid tells and no other, evaluates the rules without an error,
and answers each query.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.http.samples import FakeDaemon
from tests.prometheus import dashboard
from tests.prometheus.families import exposition, idle, picture
from tests.prometheus.trial import rules, with_values
from vtid.http.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

INTERVAL = 1
"""Seconds between scrapes, and between evaluations of the rules."""

PATIENCE = 60.0
"""Seconds for Prometheus to start and scrape a few times."""

MADE_BY_PROMETHEUS = re.compile(r"^(up|scrape_.*|ALERTS.*|.*:.*)$")


class Prometheus:
    """A Prometheus that runs, by its HTTP API."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer. Raises AssertionError with Prometheus's complaint."""
        async with self._session.get(f"{self._url}/api/v1/{path}", params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", f"{parameters}: {answer['error']}"
        return answer["data"]

    async def query(self, text: str) -> list[dict[str, Any]]:
        """Return the samples that a query has now."""
        return list((await self.ask("query", query=text))["result"])

    async def wait(self) -> None:
        """Wait until it has scraped a few times. Raises AssertionError with what is in the way."""
        async with asyncio.timeout(PATIENCE):
            while not await self._scraped():  # noqa: ASYNC110 - another process
                await asyncio.sleep(INTERVAL)

    async def _scraped(self) -> bool:
        try:
            targets = (await self.ask("targets"))["activeTargets"]
        except aiohttp.ClientConnectionError:
            return False
        errors = [one["lastError"] for one in targets if one["lastError"]]
        assert not errors, errors
        return bool(await self.query("count_over_time(up[1m]) >= 5"))


@asynccontextmanager
async def prometheus(directory: Path, target: str) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes one target, with the rules that vtid comes with."""
    config = directory / "prometheus.yml"
    interval = f"{INTERVAL}s"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": interval, "evaluation_interval": interval},
                "rule_files": [str(file) for file in rules()],
                "scrape_configs": [{"job_name": "vtid", "static_configs": [{"targets": [target]}]}],
            }
        )
    )
    address = f"127.0.0.1:{_free_port()}"
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address={address}",
        "--log.level=error",
    )
    try:
        async with aiohttp.ClientSession() as session:
            yield Prometheus(session, f"http://{address}")
    finally:
        process.terminate()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def told() -> set[str]:
    """Names of the series that vtid tells."""
    lines = exposition().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}


async def check(one: Prometheus) -> dict[str, int]:
    """Raise AssertionError where something is not as it should be; return what was seen."""
    await one.wait()
    samples = await one.query('{job="vtid"}')
    kept = {sample["metric"]["__name__"] for sample in samples}
    kept = {name for name in kept if not MADE_BY_PROMETHEUS.match(name)}
    assert kept == told(), f"missing {told() - kept}, not told {kept - told()}"

    units = await one.ask("targets/metadata", metric="vtid_tunnel_mtu_bytes")
    assert [found["unit"] for found in units] == ["bytes"], "the text format has no units"

    groups = (await one.ask("rules"))["groups"]
    broken = [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]
    assert not broken, [rule["lastError"] for rule in broken]

    answers = [await one.query(with_values(query, interval="30s")) for query in dashboard.queries()]
    return {
        "series": len(samples),
        "rules": sum(len(group["rules"]) for group in groups),
        "queries": len(answers),
        "queries with an answer": sum(map(bool, answers)),
    }


async def run() -> dict[str, int]:
    """Run server and Prometheus, and check."""
    daemon = idle()
    exposition(daemon)  # so that each family has a sample
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        control = str(directory / "control.sock")
        server = Server(control, ["127.0.0.1:0"], FakeDaemon(picture()), daemon._telemetry)
        await server.start()
        try:
            host, port = server.addresses[0]
            async with prometheus(directory, f"{host}:{port}") as one:
                return await check(one)
        finally:
            await server.stop()


def main() -> int:
    """Run all; 0 if everything is as it should be."""
    try:
        seen = asyncio.run(run())
    except (AssertionError, TimeoutError) as error:
        print(f"prometheus: {error or type(error).__name__}")
        return 1
    print("prometheus:", ", ".join(f"{count} {what}" for what, count in seen.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
