"""Traffic and events that are watched while something happens: pings, SYNs, netlink events."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.lab.machine.shell import CheckError, eventually, inside, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(slots=True)
class Ping:
    """A ping that runs while something else happens."""

    process: subprocess.Popen[str]
    log: Path

    def replies(self) -> list[int]:
        """Sequence numbers answered up to now."""
        return [int(found) for found in re.findall(r"icmp_seq=(\d+) ttl", self.log.read_text())]

    def wait_for(self, more: int, seconds: float = 30) -> None:
        """Wait until `more` replies have come from now on."""
        wanted = len(self.replies()) + more

        def look() -> None:
            if len(self.replies()) < wanted:
                raise CheckError(f"ping has no further replies: {self.tail()}")

        eventually(look, seconds)

    def tail(self) -> str:
        """Last line of its output."""
        return (self.log.read_text().splitlines() or [""])[-1]

    def lost(self) -> tuple[int, int]:
        """Requests without reply up to the last reply, and replies."""
        seen = self.replies()
        return max(seen, default=0) - len(set(seen)), len(set(seen))


@contextmanager
def pinging(netns: str, address: str, log: Path, *options: str) -> Iterator[Ping]:
    """Ping an address 50 times a second for as long as the context lasts."""
    with log.open("w") as file:
        command = inside(netns, "ping", "-n", "-i", "0.02", *options, address)
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, text=True)
    ping = Ping(process, log)
    try:
        ping.wait_for(25)
        yield ping
        ping.wait_for(25)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        process.wait()


@dataclass(slots=True)
class Syn:
    """tcpdump's line about the first packet with SYN that arrived."""

    line: str = ""

    def mss(self) -> tuple[str, int]:
        found = re.search(r"Flags \[(S\.?)\].*mss (\d+)", self.line)
        if not found:
            raise CheckError(f"no MSS in {self.line!r}")
        return found[1], int(found[2])


@contextmanager
def arriving_syn(netns: str, device: str = "eth0") -> Iterator[Syn]:
    condition = "tcp[tcpflags] & tcp-syn != 0 or (ip6 proto 6 and ip6[53] & 2 != 0)"
    command = inside(netns, "tcpdump", "-nn", "-l", "-i", device, "-Q", "in", "-c", "1", condition)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    syn = Syn()
    try:
        while "listening on" not in (line := process.stderr.readline()):
            if not line:
                raise CheckError("tcpdump does not start")
        yield syn
        syn.line = process.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        raise CheckError(f"{netns}: no SYN has arrived") from None
    finally:
        process.kill()
        process.communicate()


@contextmanager
def monitoring(netns: str, log: Path) -> Iterator[None]:
    """Write down links, addresses and routes of a namespace as they change."""
    with log.open("w") as file:
        command = inside(netns, "ip", "-o", "monitor", "link", "address", "route")
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        eventually(partial(_leave_mark, netns, log, 41), 20)
        yield
        eventually(partial(_leave_mark, netns, log, 42), 20)
    finally:
        process.kill()
        process.wait()


def _leave_mark(netns: str, log: Path, group: int) -> None:
    """Make an event of our own and see it written down: so all before it are, too."""
    run(netns, "ip", "link", "set", "dummy0", "group", str(group))
    if f"group {group} " not in log.read_text():
        raise CheckError(f"ip monitor has not seen dummy0 in group {group}")
