"""A vtid to be measured: a process of its own, and what can be seen of it from outside.

Rules of this file:

* What is waited for is asked of the kernel, of nftables or of vtid, and not guessed.
* Looking costs little: a dump is counted without being read.
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
from typing import TYPE_CHECKING

from tests.bench.instead import address
from vtid.kernel import messages
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.sockets import LINK_EVENTS, Requests, open_events, read_event

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 300.0
"""Seconds until what does not come ends the run; an emulated machine is slow."""
INTERVAL = 0.1
"""Seconds between two looks."""
QUIET = 0.3
"""Seconds in which a vtid that has nothing to do hardly runs."""

_ARPHRD_TUNNEL6 = 769
"""linux/if_arp.h"""


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
        await until(lambda: self._process is None or self._process.poll() is not None)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def memory(self) -> float:
        """Return the resident memory in MB."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) / 1000

    def user_and_kernel(self) -> tuple[float, float]:
        """Return the seconds that it has run so far, in itself and in the kernel (proc(5))."""
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

    async def metrics(self) -> dict[str, float]:
        """Return all samples by name and labels."""
        reader, writer = await asyncio.open_unix_connection(str(self._control))
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        text = (await reader.read()).decode().partition("\r\n\r\n")[2]
        writer.close()
        samples = (line.rpartition(" ") for line in text.splitlines() if line[:1] != "#")
        return {name: float(value) for name, _, value in samples if name}

    def tell(self, *arguments: str) -> float:
        """Run `vtictl`; return the seconds it took."""
        command = [sys.executable, "-m", "vtid.ctl.main", "--socket", str(self._control)]
        start = time.perf_counter()
        subprocess.run(
            [*command, *arguments], check=True, stdout=subprocess.DEVNULL, env=installed()
        )
        return time.perf_counter() - start


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(PATIENCE):
        while True:
            began = time.perf_counter()
            if condition():
                return
            # a look at ten thousand links takes long, and the played charon has to answer
            await asyncio.sleep(max(INTERVAL, 5 * (time.perf_counter() - began)))


class View:
    """What the kernel has, beside the interfaces that were there before.

    `hardware` is their ARPHRD_ number.
    """

    def __init__(self, hardware: int = _ARPHRD_TUNNEL6) -> None:
        self._requests = Requests()
        self._hardware = hardware
        self._before = {up: self._count(up=up) for up in (False, True)}

    def links(self, *, up: bool = False) -> int:
        """Count the interfaces, all or those that are up."""
        return self._count(up=up) - self._before[up]

    def _count(self, *, up: bool) -> int:
        found = 0
        for datagram in self._requests.dump(asks.DUMP_LINKS):
            for message in nl.split(datagram):
                if message.kind == nl.RTM_NEWLINK:
                    kind, flags = _kind_and_flags(message)
                    found += kind == self._hardware and (not up or bool(flags & nl.IFF_UP))
        return found

    def clamps(self) -> int:
        """Count the interfaces whose IPv6 MSS is lowered on the way out."""
        command = ["nft", "list", "map", "inet", "vtid", "mss6_out"]
        return subprocess.run(command, check=False, capture_output=True).stdout.count(b'" :')

    async def complete(self, count: int) -> None:
        """Wait until so many interfaces are up and clamped."""
        await until(lambda: self.links(up=True) >= count)
        await until(lambda: self.clamps() >= count)


async def time_until_up(name: str, act: Callable[[], None]) -> float:
    """Return the seconds from an act until the kernel says that an interface is up."""
    loop, events = asyncio.get_running_loop(), open_events(LINK_EVENTS)
    arrived = asyncio.Event()
    loop.add_reader(events, arrived.set)
    start = time.perf_counter()
    act()
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                await arrived.wait()
                arrived.clear()
                while data := read_event(events):
                    if any(_says_up(message, name) for message in nl.split(data)):
                        return time.perf_counter() - start
    finally:
        loop.remove_reader(events)
        events.close()


def _kind_and_flags(message: nl.Message) -> tuple[int, int]:
    _, kind, _, flags, _ = nl.unpack(nl.LINK, message)
    return kind, flags


def _says_up(message: nl.Message, name: str) -> bool:
    if message.kind != nl.RTM_NEWLINK:
        return False
    info = messages.read_link(message)
    return info.name == name and info.up
