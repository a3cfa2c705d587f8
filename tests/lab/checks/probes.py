"""What watches packets: tcpdump on the switch, SYNs that arrive, Netfilter's trace.

Rules of this file: a probe is listening before what it watches happens, and is ended afterwards.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tests.lab.checks import direct
from tests.lab.machine.shell import CheckError, eventually, inside, run
from tests.lab.report.transcript import note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.lab.topology.figures import Plan, Router
    from tests.lab.topology.stations import Mesh

SYN = "(ip and tcp[tcpflags] & tcp-syn != 0) or (ip6 proto 6 and ip6[53] & 2 != 0)"
PORT = 7


def clear(plan: Plan) -> str:
    """What must never be seen on the public segment: TCP, inner and private addresses.

    Nor any IPv4 at all where only IPv6 is outside.
    """
    if plan.outside == 4:
        return "tcp or net 192.168.0.0/16 or net 172.22.15.0/24"
    networks = (f"net 2001:db8:{name}::/64" for name in ("ff", "a1", "a2", "a3"))
    return " or ".join(("ip", "arp", "tcp", *networks))


def echoes(plan: Plan) -> str:
    """Echo requests among it, to see at a site that the filter sees them."""
    return f"({clear(plan)}) and (icmp or (icmp6 and ip6[40] = 128))"


@dataclass(slots=True)
class Capture:
    """A tcpdump that runs."""

    command: str
    log: Path
    process: subprocess.Popen[bytes]

    def seen(self) -> str:
        """Lines about packets up to now."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if re.match(r"\d\d:", line))


@contextmanager
def capturing(
    netns: str, interface: str, condition: str, log: Path, *options: str
) -> Iterator[Capture]:
    """Run tcpdump for as long as the context lasts; it listens when the context begins."""
    command = ("tcpdump", "-nn", "-l", "-i", interface, *options, condition)
    with log.open("wb") as file:
        process = subprocess.Popen(inside(netns, *command), stdout=file, stderr=file)
    try:
        eventually(partial(_expect_word, log, "listening on"), 20)
        yield Capture(" ".join(command), log, process)
    finally:
        process.kill()
        process.wait()


def _expect_word(log: Path, word: str) -> None:
    text = log.read_text(errors="replace")
    if word not in text:
        raise CheckError(f"{log.name}: no {word!r} in {text[-200:]!r}")


@contextmanager
def listening(plan: Plan) -> Iterator[None]:
    """Open a TCP port on each router; connections are never accepted."""
    with ExitStack() as stack:
        for router in plan.routers:
            with direct.inside(router.netns):
                stack.enter_context(
                    socket.create_server(
                        ("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096
                    )
                )
        yield


@dataclass(frozen=True, slots=True)
class Arrival:
    """A SYN or SYN-ACK that arrived."""

    what: str
    family: int
    mss: int


def connections(mesh: Mesh) -> list[Arrival]:
    """Connect each router to each other; return what arrived of the SYNs and SYN-ACKs."""
    with ExitStack() as stack:
        captures = [
            stack.enter_context(
                capturing(one.netns, "eth0", SYN, mesh.out / f"syn-{one.netns}.log", "-Q", "in")
            )
            for one in mesh.plan.routers
        ]
        ways = mesh.plan.ways
        for way in ways:
            _connect(way.here, way.source, way.target)
        arrivals = eventually(partial(_expect_arrivals, captures, 2 * len(ways)), 10)
        for router, capture in zip(mesh.plan.routers, captures, strict=True):
            note(router.netns, capture.command, capture.seen())
    return arrivals


def _connect(here: Router, source: str, target: str) -> None:
    with direct.inside(here.netns):
        try:
            socket.create_connection((target, PORT), 10, (source, 0)).close()
        except OSError as error:
            raise CheckError(f"{here.netns}: no connection to {target}: {error}") from None


def _expect_arrivals(captures: Sequence[Capture], wanted: int) -> list[Arrival]:
    lines = {line[16:] for capture in captures for line in capture.seen().splitlines()}
    found = []
    for line in sorted(lines):
        match = re.search(r"(IP6?) (\S+) > (\S+): Flags \[(S\.?)\].*mss (\d+)", line)
        if match:
            kind = "SYN" if match[4] == "S" else "SYN-ACK"
            what = f"{kind} {match[2]} > {match[3]}"
            found.append(Arrival(what, 6 if match[1] == "IP6" else 4, int(match[5])))
    if len(found) < wanted:
        raise CheckError(f"{len(found)} SYNs and SYN-ACKs arrived, not {wanted}")
    return found


TRACE = """table inet probe {{
  chain control {{
    type filter hook prerouting priority -310;
    iif lo meta mark set 42
  }}
  chain prerouting {{
    type filter hook prerouting priority -300;
    meta nftrace set 1
  }}
  chain output {{
    type filter hook output priority -300;
    meta nftrace set 1
  }}
  chain forward {{ type filter hook forward priority 300; accept; }}
  chain postrouting {{ type filter hook postrouting priority 300; accept; }}
}}"""


@dataclass(slots=True)
class Trace:
    """What `nft monitor trace` said, and whether it showed the mark that was set on purpose."""

    lines: list[str] = field(default_factory=list)
    control_seen: bool = False

    @property
    def text(self) -> str:
        """All lines about packets other than our own marked one."""
        return "\n".join(self.lines)

    @property
    def packets(self) -> int:
        """How many packets were traced."""
        return len(set(re.findall(r"trace id (\w+)", self.text)))


@contextmanager
def tracing(netns: str, own_address: str) -> Iterator[Trace]:
    """Trace all packets of a namespace; a marked packet to itself comes first and last."""
    trace = Trace()
    process = subprocess.Popen(
        inside(netns, "stdbuf", "-oL", "nft", "monitor", "trace"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        run(netns, "nft", TRACE.format())
        eventually(partial(_expect_listening, netns, process, own_address), 20)
        yield trace
        run(netns, "ping", "-n", "-c", "1", own_address)
        time.sleep(0.5)
    finally:
        run(netns, "nft", "delete", "table", "inet", "probe")
        process.terminate()
        text, _ = process.communicate()
        marked = set(re.findall(r'trace id (\w+) .* iif "lo"', text))
        for line in text.splitlines():
            found = re.match(r"trace id (\w+)", line)
            if found and found[1] in marked:
                trace.control_seen |= "mark 0x0000002a" in line
            else:
                trace.lines.append(line)


def _expect_listening(netns: str, process: subprocess.Popen[str], own_address: str) -> None:
    if process.poll() is not None:
        raise CheckError(f"{netns}: nft monitor has ended")
    run(netns, "ping", "-n", "-c", "1", own_address)
