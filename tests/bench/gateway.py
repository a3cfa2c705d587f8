"""A vtid to be measured: a process of its own, and what it tells.

Rules of this file:

* What is waited for is asked of the kernel or of vtid, and not guessed.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.instead import address
from tests.bench.view import PATIENCE

QUIET = 0.3
"""Seconds in which a vtid that has nothing to do hardly runs."""


def configuration(place: Path, count: int) -> str:
    """Return a configuration with so many policies, each with an interface of its own."""
    policies = (
        f'[[tunnel]]\nconnection = "c{number}"\ninterface = "vti{number}"\n'
        f'addresses = ["{address(number)}"]\n'
        for number in range(1, count + 1)
    )
    return (
        f'[daemon]\ncontrol_socket = "{place}/control"\nmetrics = []\nlog_level = "warning"\n'
        f'[vici]\nsocket = "{place}/vici"\n[defaults]\nhold_time = 0\n'
        "[defaults.probe]\nmtu = false\n" + "".join(policies)
    )


def installed() -> dict[str, str]:
    """Return an environment in which Python keeps its bytecode, as it does where vtid is installed.

    The lab's tree is read-only, and Python would compile everything at each start.
    """
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "vtid-bench-bytecode")}


class Gateway:
    """One vtid, in the namespace of the caller."""

    def __init__(self, place: Path, policies: int, module: str = "vtid") -> None:
        self._module = module
        self.config = place / "vtid.toml"
        self.config.write_text(configuration(place, policies))
        self._control = place / "control"
        self._notify = place / "notify"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> float:
        """Start it; return the seconds until READY=1."""
        self._notify.unlink(missing_ok=True)
        surroundings = {**installed(), "NOTIFY_SOCKET": str(self._notify)}
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.settimeout(0)
            told.bind(str(self._notify))
            start = time.perf_counter()
            command = [sys.executable, "-m", self._module, "--config", str(self.config)]
            self._process = subprocess.Popen(command, env=surroundings)  # noqa: ASYNC220 - it takes no time
            async with asyncio.timeout(PATIENCE):
                while b"READY=1" not in await asyncio.get_running_loop().sock_recv(told, 4096):
                    pass
        return time.perf_counter() - start

    async def stop(self) -> None:
        """End it; interfaces stay."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self._process.wait, PATIENCE)

    @property
    def pid(self) -> int:
        """Its process; 0 before the first start, and no process has that."""
        return self._process.pid if self._process else 0

    def memory(self) -> float:
        """Return the resident memory in MB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) / 1000

    def user_and_kernel(self) -> tuple[float, float]:
        """Return the seconds that it has run so far, in itself and in the kernel (proc(5))."""
        if not self.pid:
            return 0.0, 0.0
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / ticks, int(fields[12]) / ticks

    def cpu(self) -> float:
        """Return the seconds that all threads have run (Documentation/scheduler/sched-stats)."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    async def quiet(self) -> float:
        """Wait until it has nothing to do; return the seconds that it has run by then."""
        before = self.cpu()
        async with asyncio.timeout(PATIENCE):
            while True:
                await asyncio.sleep(QUIET)
                now = self.cpu()
                if now - before < QUIET / 10:
                    return now
                before = now

    async def scrape(self) -> bytes:
        """Return what Prometheus would read."""
        reader, writer = await asyncio.open_unix_connection(str(self._control))
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = await reader.read()
        writer.close()
        return text

    async def metric(self, name: str) -> dict[str, float]:
        """Return the samples of a metric by their labels."""
        text = await self.scrape()
        sample = re.compile(rf"^{name}(?:{{(.*)}})? (.+)$".encode(), re.MULTILINE)
        return {labels.decode(): float(value) for labels, value in sample.findall(text)}

    def tell(self, *arguments: str) -> float:
        """Run `vtictl`; return the seconds it took."""
        command = [sys.executable, "-m", "vtid.ctl.main", "--socket", str(self._control)]
        start = time.perf_counter()
        subprocess.run(
            [*command, *arguments], check=True, stdout=subprocess.DEVNULL, env=installed()
        )
        return time.perf_counter() - start
