"""A Prometheus beside the mesh: scrapes every vtid, and evaluates the rules that vtid comes with.

Each vtid is scraped by its control socket, because its metrics address is in a namespace of its
own; a vtid that is away is a target that does not answer. Times of the rules are those of
`hasten`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.lab.alerts.causes import OF_THE_MACHINE, Fired
from tests.lab.alerts.hasten import hasten
from tests.lab.checks import observe
from tests.lab.machine.shell import CheckError, eventually
from tests.prometheus.trial import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.lab.checks.observe import Place

INTERVAL = 4
"""Seconds between scrapes, and between evaluations of the rules."""

STEP = 1
"""Seconds between the points of a range."""

START_PATIENCE = 120.0
QUIET_PATIENCE = 240.0
"""Seconds; the longest range of a rule is over by then."""

Point = tuple[float, float]
"""Unix time and value."""


class Prometheus:
    """A Prometheus that runs."""

    def __init__(self, port: int, targets: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/"
        self._targets = targets

    def ask(self, path: str, **parameters: object) -> Any:
        """Return the data of an answer; raises CheckError where there is none."""
        url = f"{self._url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - HTTP
                return json.load(response)["data"]
        except (OSError, ValueError) as error:
            raise CheckError(f"Prometheus does not answer {url}: {error}") from None

    def expect_scraped(self) -> None:
        """Raise CheckError until every vtid was scraped twice, and none is missing."""
        counts = self.ask("query", query="count_over_time(up[1m]) >= 2 and up == 1")["result"]
        if len(counts) != self._targets:
            raise CheckError(f"Prometheus has scraped {len(counts)} of {self._targets}")

    def expect_quiet(self) -> None:
        """Raise CheckError while an alert fires, or is about to."""
        found = self.ask("query", query="ALERTS")["result"]
        loud = {one["metric"]["alertname"] for one in found} - OF_THE_MACHINE
        if loud:
            raise CheckError(f"alerts are active: {', '.join(sorted(loud))}")

    def range(
        self, query: str, start: float, end: float
    ) -> list[tuple[dict[str, str], list[Point]]]:
        """Return the series of a query, each with its labels and points."""
        found = self.ask("query_range", query=query, start=start, end=end, step=STEP)["result"]
        return [
            (one["metric"], [(float(at), float(value)) for at, value in one["values"]])
            for one in found
        ]

    def fired(self, since: float) -> frozenset[Fired]:
        """Return the alerts that fired since then."""
        found = self.range('ALERTS{alertstate="firing"}', since, time.time())
        return frozenset(
            Fired(labels["alertname"], labels["instance"], labels.get("tunnel", ""))
            for labels, _ in found
        )

    def quiet(self) -> None:
        """Wait until no alert is active; raises CheckError with those that stay."""
        eventually(self.expect_quiet, QUIET_PATIENCE)


class _Door(BaseHTTPRequestHandler):
    """Answers every GET with what a vtid's control socket says to it."""

    def __init__(self, place: Place, *request: Any) -> None:
        self._place = place
        super().__init__(*request)

    def do_GET(self) -> None:
        try:
            body = observe.control(self._place, "/metrics").encode()
        except CheckError:
            self.send_error(502)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # Prometheus waits no longer than an interval
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: Prometheus tells what failed."""


@contextmanager
def _doors(places: Sequence[Place]) -> Iterator[dict[str, int]]:
    """Serve each vtid's metrics on a port; yield the ports by name."""
    with ExitStack() as stack:
        ports = {}
        for place in places:
            server = stack.enter_context(
                ThreadingHTTPServer(("127.0.0.1", 0), partial(_Door, place))
            )
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            ports[place.name] = server.server_port
        yield ports


@contextmanager
def running(places: Sequence[Place], folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus in `folder`, which is made, that scrapes the vtids of some gateways."""
    folder.mkdir()
    with _doors(places) as ports:
        config = _configuration(folder, ports)
        port = _free_port()
        with (folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(
                (
                    "prometheus",
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--log.level=warn",
                ),
                stdout=log,
                stderr=log,
            )
        try:
            one = Prometheus(port, len(ports))
            eventually(one.expect_scraped, START_PATIENCE)
            one.quiet()
            yield one
        finally:
            process.terminate()
            process.wait()


def _configuration(folder: Path, ports: dict[str, int]) -> Path:
    """Write rules and configuration; JSON is YAML, too."""
    files = []
    for source in rules():
        file = folder / source.name
        file.write_text(hasten(source.read_text()))
        files.append(str(file))
    targets = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}}
        for name, port in ports.items()
    ]
    interval = f"{INTERVAL}s"
    config = folder / "prometheus.yml"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": interval, "evaluation_interval": interval},
                "rule_files": files,
                "scrape_configs": [{"job_name": "vtid", "static_configs": targets}],
            }
        )
    )
    return config


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
