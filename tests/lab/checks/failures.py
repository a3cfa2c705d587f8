"""What is brought about in the running lab, and what it costs R1: pings ten times a second.

Rules of this file: a scenario leaves the lab as it found it; what has to hold in between and in
the end is checked, too, and anything that does not makes the scenario fail.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.lab.alerts.causes import Cause
from tests.lab.checks import direct, mesh_checks, observe
from tests.lab.machine.shell import CheckError, eventually, inside, run
from tests.lab.report.results import Outage, Window
from tests.lab.topology import settings, stations
from tests.lab.topology.figures import RUN, SMALL_INSIDE, SMALL_OUTSIDE, Gateway, Tunnel, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.lab.checks.mesh_checks import Check
    from tests.lab.topology.stations import Mesh

INTERVAL = 0.1
PATIENCE = 90.0
REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from .*icmp_seq=(\d+) ", re.MULTILINE)


@dataclass(slots=True)
class Ping:
    """A ping from one router to another that goes on all the time."""

    way: Way
    log: Path
    process: subprocess.Popen[bytes]

    def replies(self) -> list[tuple[float, int]]:
        """When each reply came, and to which request."""
        return [(float(at), int(number)) for at, number in REPLY.findall(self.log.read_text())]

    def expect_calm(self, since: float) -> None:
        """Raise `CheckError` until a second of replies has come since then without a gap."""
        numbers = [number for at, number in self.replies() if at > since]
        if len(numbers) < 10 or numbers[-1] - numbers[-10] != 9:
            raise CheckError(f"R{self.way.here.site} → {self.way.target}: no steady replies")

    def outage(self, began: float) -> Outage:
        """What was missed; a window is the time between two replies less what is usual."""
        replies = sorted(set(self.replies()))
        windows = [
            Window(round(a[0] - began, 2), round(b[0] - a[0] - INTERVAL, 2), b[1] - a[1] - 1)
            for a, b in pairwise(replies)
            if b[1] - a[1] > 1
        ]
        names = (f"R{self.way.here.site}", f"R{self.way.there.site}")
        return Outage(*names, self.way.target, len(replies), tuple(windows))


@dataclass(slots=True)
class Watch:
    """The pings of one scenario, and when the failure began."""

    pings: list[Ping]
    began: float = field(default_factory=time.time)
    linger: Callable[[], None] = lambda: None
    """Called while what was broken is so: whoever has to see it waits there."""

    def begin(self) -> None:
        """Note that the failure begins now."""
        self.began = time.time()

    def calm(self, seconds: float = 60) -> None:
        """Wait until every ping has had a second of replies from now on."""
        since = time.time()
        for ping in self.pings:
            eventually(partial(ping.expect_calm, since), seconds)

    def outages(self) -> tuple[Outage, ...]:
        """What each ping has missed up to now."""
        return tuple(ping.outage(self.began) for ping in self.pings)


@contextmanager
def watching(mesh: Mesh, linger: Callable[[], None] = lambda: None) -> Iterator[Watch]:
    """Ping all other routers from R1 for as long as the context lasts."""
    with ExitStack() as stack:
        ways = [way for way in mesh.plan.ways if way.here.site == 1]
        pings = [stack.enter_context(_pinging(way)) for way in ways]
        watch = Watch(pings, linger=linger)
        watch.calm()
        yield watch


@contextmanager
def _pinging(way: Way) -> Iterator[Ping]:
    log = RUN / f"ping-{way.target}.log"
    command = ("ping", "-n", "-D", "-i", str(INTERVAL), "-I", way.source, way.target)
    with log.open("wb") as file:
        process = subprocess.Popen(
            inside(way.here.netns, *command), stdout=file, stderr=subprocess.DEVNULL
        )
    try:
        yield Ping(way, log, process)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A failure: `act` brings it about and returns what was seen; `bound` says what limits it."""

    name: str
    bound: str
    allowed: float
    act: Callable[[Mesh, Watch], str]
    cause: Cause = field(default_factory=Cause)
    """The alerts that it explains."""
    lasts: bool = False
    """Whether it is for a later scenario to end."""


def hold(mesh: Mesh, checks: Sequence[Check] = mesh_checks.COMING) -> None:
    """Wait until checks hold."""
    for check in checks:
        eventually(partial(check.look, mesh), PATIENCE)


def carrying(mesh: Mesh) -> Tunnel:
    """Return the tunnel that takes R1's packets to R2, those of the first IP version."""
    way = mesh.plan.ways[0]
    here, there = way.here, way.there
    tunnels = [
        tunnel
        for tunnel in mesh_checks.up_tunnels(mesh)
        if tunnel.here.site == here.site and tunnel.there.site == there.site
    ]
    before = [_sent(tunnel) for tunnel in tunnels]
    run(here.netns, "ping", "-q", "-c", "40", "-i", "0.02", "-I", way.source, way.target)
    sent = [_sent(tunnel) - count for tunnel, count in zip(tunnels, before, strict=True)]
    return tunnels[sent.index(max(sent))]


def _sent(tunnel: Tunnel) -> int:
    return direct.packets(tunnel.here.private).get(tunnel.interface, (0, 0))[1]


def kill_vtid(mesh: Mesh, watch: Watch) -> str:
    """Kill vtid and start it as systemd would: as a new process."""
    station = mesh.stations[mesh.up[0]]
    before = direct.interfaces(station.gateway.private)
    station.vtid.stop(signal.SIGKILL)
    watch.linger()
    station.vtid.start()
    eventually(partial(stations.expect_started, mesh), PATIENCE)
    hold(mesh)
    watch.calm()
    if direct.interfaces(station.gateway.private) != before:
        raise CheckError(f"{station.gateway.name}: its interfaces are not what they were")
    return f"vtid of {station.gateway.name} is ready again, its interfaces were kept"


def delete_ike_sa(mesh: Mesh, watch: Watch) -> str:
    """The peer that answers deletes the IKE_SA; the one that starts makes a new one."""
    tunnel = carrying(mesh)
    watch.begin()
    _terminate(tunnel.there, tunnel.here)
    hold(mesh)
    watch.calm()
    return f"{tunnel.there.name} deleted its IKE_SA with {tunnel.here.name}; it came back"


def lose_ike_sa(mesh: Mesh, watch: Watch) -> str:
    """The initiator deletes the IKE_SA, and no side makes a new one."""
    tunnel = carrying(mesh)
    watch.begin()
    _terminate(tunnel.here, tunnel.there)
    eventually(partial(_expect_gone, tunnel), 30)
    took = time.time() - watch.began
    watch.calm()
    moved = carrying(mesh)
    watch.linger()
    with direct.charon(tunnel.here) as session:
        name = tunnel.there.name
        list(session.initiate({"ike": name, "child": name, "timeout": "20000"}))
    hold(mesh)
    watch.calm()
    if moved == tunnel:
        raise CheckError(f"traffic did not leave {named(tunnel)}")
    return f"{named(tunnel)} was gone after {took:.1f} s, traffic took {named(moved)}"


def withdraw(mesh: Mesh, watch: Watch) -> str:
    """The same, where vtid withdraws routes and sessions at once."""
    with configured(mesh, on_loss="withdraw"):
        return lose_ike_sa(mesh, watch)


@contextmanager
def configured(
    mesh: Mesh, pace: settings.Pace = settings.BRISK, on_loss: str = "hold"
) -> Iterator[None]:
    """Run all gateways with other settings, for as long as the context lasts."""
    try:
        _configure(mesh, pace, on_loss)
        yield
    finally:
        _configure(mesh, settings.BRISK, "hold")


def _configure(mesh: Mesh, pace: settings.Pace, on_loss: str) -> None:
    for gateway in mesh.up:
        text = settings.vtid_toml(gateway, settings.peers(gateway), pace, on_loss)
        gateway.path("vtid.toml").write_text(text)
        observe.control(gateway, "/v1/reload", "POST")
    hold(mesh)


def named(tunnel: Tunnel) -> str:
    """Return what to call a tunnel in a sentence."""
    return f"{tunnel.interface} of {tunnel.here.name}"


def _terminate(here: Gateway, there: Gateway) -> None:
    with direct.charon(here) as session:
        list(session.terminate({"ike": there.name, "timeout": "10000"}))


def _expect_gone(tunnel: Tunnel) -> None:
    if tunnel.interface in direct.interfaces(tunnel.here.private):
        raise CheckError(f"{named(tunnel)} is still there")


RESTARTED = Gateway(2, 1)


def restart_charon(mesh: Mesh, watch: Watch) -> str:
    """Kill charon and start it again; nothing is loaded or started by hand."""
    station = mesh.stations[RESTARTED]
    watch.begin()
    station.charon.stop(signal.SIGKILL)
    watch.linger()
    station.charon.start()
    eventually(partial(stations.expect_loaded, station), PATIENCE)
    loaded = time.time() - watch.began
    hold(mesh)
    took = time.time() - watch.began
    watch.calm()
    return f"connections loaded after {loaded:.1f} s, all SAs, sessions and paths by {took:.1f} s"


def shrink_public_link(mesh: Mesh, watch: Watch) -> str:
    """The public segment carries 1400 bytes; then 1500 again."""
    try:
        small = _resize(mesh, watch, SMALL_OUTSIDE, SMALL_INSIDE)
    finally:
        large = _resize(mesh, watch, mesh_checks.OUTSIDE_MTU, mesh.plan.size.mtu)
    watch.calm()
    return f"MTU {small}, then {large}; Packet Too Big, SYN and SYN-ACK say so"


def _resize(mesh: Mesh, watch: Watch, outside: int, inner: int) -> str:
    watch.begin()
    for gateway in mesh.up:
        run(gateway.public, "ip", "link", "set", "eth0", "mtu", str(outside))
    eventually(partial(mesh_checks.interface_mtu, inner, mesh), 30)
    took = time.time() - watch.began
    expect_size(mesh, inner)
    return f"{inner} after {took:.1f} s"


def expect_size(mesh: Mesh, inner: int) -> None:
    """Wait until interfaces, Packet Too Big and MSS have a size."""
    eventually(partial(mesh_checks.interface_mtu, inner, mesh), 30)
    eventually(partial(mesh_checks.too_big, inner, mesh), 10)
    eventually(partial(mesh_checks.clamped, inner, mesh), 10)
    eventually(partial(mesh_checks.seen_mss, inner, mesh), 10)


def other_ciphers(mesh: Mesh, watch: Watch) -> str:
    """Change the ESP proposal of all connections, and change it back."""
    said = []
    for size in (mesh.plan.other_size, mesh.plan.size):
        _load(mesh, size.esp)
        hold(mesh)
        expect_size(mesh, size.mtu)
        said.append(f"MTU {size.mtu}, MSS {size.mss[4]} and {size.mss[6]}")
    watch.calm()
    return f"{', then '.join(said)}: told and seen"


def _load(mesh: Mesh, esp: str) -> None:
    """Load changed connections, one gateway after the other; who answers takes either proposal."""
    for gateway in mesh.up:
        file = gateway.path("swanctl.conf")
        text = settings.swanctl_conf(gateway, settings.peers(gateway), esp)
        if text != file.read_text():
            file.write_text(text)
            observe.swanctl(gateway, "--load-conns", "--file", str(file))
            hold(mesh, [mesh_checks.SAS])


GONE = (Gateway(1, 1), Gateway(2, 2))
"""Two gateways that have nothing in common; what is left has a way."""


def _gone(mesh: Mesh) -> list[Gateway]:
    """The same, of the lab's plan."""
    return [gateway for gateway in mesh.stations if gateway in GONE]


def stop_gateways(mesh: Mesh, watch: Watch) -> str:
    """Links go down and all processes are killed, of two gateways."""
    watch.begin()
    for gateway in _gone(mesh):
        _unplug(mesh, gateway)
    watch.calm()
    moved = time.time() - watch.began
    watch.linger()
    hold(mesh)
    return f"AS 65001 reached AS 65002 after {moved:.1f} s at the latest"


def start_gateways(mesh: Mesh, watch: Watch) -> str:
    """They come back; whatever the kernel kept of them is put in order."""
    watch.begin()
    for gateway in _gone(mesh):
        _plug(mesh, gateway)
    eventually(partial(stations.expect_started, mesh), PATIENCE)
    hold(mesh)
    took = time.time() - watch.began
    watch.calm()
    return f"all SAs, sessions and paths by {took:.1f} s"


def _unplug(mesh: Mesh, gateway: Gateway) -> None:
    for netns, names in ((gateway.public, ("eth0",)), (gateway.private, ("eth1", "eth2"))):
        for name in names:
            run(netns, "ip", "link", "set", name, "down")
    mesh.down.add(gateway)
    for daemon in mesh.stations[gateway].daemons:
        daemon.stop(signal.SIGKILL)


def _plug(mesh: Mesh, gateway: Gateway) -> None:
    for netns, names in ((gateway.public, ("eth0",)), (gateway.private, ("eth1", "eth2"))):
        for name in names:
            run(netns, "ip", "link", "set", name, "up")
    station = mesh.stations[gateway]
    station.start_birds()
    station.charon.start()
    station.start_vtid()
    mesh.down.discard(gateway)
