"""The machines of the lab: gateways and routers with their daemons, started and stopped.

Rules of this file: whatever happens, daemons are ended, and what they said is kept.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.lab.checks import direct, observe
from tests.lab.checks.probes import capturing, clear, echoes, listening
from tests.lab.machine.forked import Fork
from tests.lab.machine.shell import CheckError, Daemon, eventually
from tests.lab.topology import birds, settings
from tests.lab.topology.figures import RUN, SITES, Gateway, Plan, Router
from tests.lab.topology.network import PUBLIC, SWITCH
from tests.lab.topology.speakers import command, program, speakers

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.checks.probes import Capture

START_PATIENCE = 90.0


@dataclass(slots=True)
class Station:
    """A gateway and its daemons."""

    gateway: Gateway
    charon: Daemon
    bird_public: Daemon
    birds: tuple[Daemon, ...]
    vtid: Daemon
    fork: Fork

    @property
    def daemons(self) -> tuple[Daemon, ...]:
        """All of them."""
        return self.charon, self.bird_public, *self.birds, self.vtid

    def start_birds(self) -> None:
        """Start the BIRDs of both sides."""
        for daemon in (self.bird_public, *self.birds):
            daemon.start()

    def start_vtid(self) -> None:
        """Start vtid as a fork of this process."""
        self.vtid.process = self.fork.start()


@dataclass(slots=True)
class Mesh:
    """The running lab."""

    plan: Plan
    stations: dict[Gateway, Station]
    routers: tuple[Daemon, ...]
    out: Path
    leaks: Capture
    inside: Capture
    down: set[Gateway] = field(default_factory=set)

    @property
    def up(self) -> tuple[Gateway, ...]:
        """Gateways that have not been stopped."""
        return tuple(gateway for gateway in self.plan.gateways if gateway not in self.down)


@contextmanager
def running(plan: Plan, out: Path, importing: threading.Thread) -> Iterator[Mesh]:
    """Start all daemons and stop them in the end; tunnels come up when they do."""
    with ExitStack() as stack:
        leaks = stack.enter_context(
            capturing(SWITCH, PUBLIC, clear(plan), out / "public-segment.log")
        )
        inside = stack.enter_context(
            capturing(SWITCH, "site1", echoes(plan), out / "site1-segment.log", "-c", "20")
        )
        stack.enter_context(listening(plan))
        stations = {gateway: _station(gateway) for gateway in plan.gateways}
        routers = tuple(daemon for router in plan.routers for daemon in _router(router))
        mesh = Mesh(plan, stations, routers, out, leaks, inside)
        stack.callback(_end, mesh)
        for daemon in mesh.routers:
            daemon.start()
        for station in mesh.stations.values():
            station.start_birds()
        for site in reversed(SITES):
            _start_charons([one for gateway, one in stations.items() if gateway.site == site])
        importing.join()
        for station in stations.values():
            station.start_vtid()
        yield mesh


def _start_charons(stations: list[Station]) -> None:
    """Start charons and wait until their connections are loaded.

    Who answers has to know the connection before the other asks: NO_PROPOSAL_CHOSEN is final.
    """
    for station in stations:
        station.charon.start()
    for station in stations:
        eventually(lambda station=station: expect_loaded(station), START_PATIENCE)  # type: ignore[misc]


def expect_loaded(station: Station) -> None:
    """Raise `CheckError` as long as charon does not have all its connections."""
    station.charon.check_alive()
    with direct.charon(station.gateway) as session:
        loaded = session.get_conns()["conns"]
    wanted = len(settings.peers(station.gateway))
    if len(loaded) < wanted:
        raise CheckError(f"{station.gateway.name}: {len(loaded)} of {wanted} connections loaded")


def expect_started(mesh: Mesh) -> None:
    """Raise `CheckError` as long as a daemon of the lab is not there or not ready."""
    for daemon in mesh.routers:
        daemon.check_alive()
    for gateway in mesh.up:
        for daemon in mesh.stations[gateway].daemons:
            daemon.check_alive()
        observe.expect_ready(gateway)


def _station(gateway: Gateway) -> Station:
    """Write a gateway's files and prepare its daemons."""
    peers, size = settings.peers(gateway), gateway.plan.size
    speaking = speakers(gateway.plan)
    gateway.folder.mkdir(parents=True)
    for name, text in (
        ("strongswan.conf", settings.strongswan_conf(gateway)),
        ("swanctl.conf", settings.swanctl_conf(gateway, peers, size.esp)),
        ("bird-public.conf", birds.public(gateway)),
        *((f"{one.program}.conf", birds.private(gateway, one)) for one in speaking),
        ("vtid.toml", settings.vtid_toml(gateway, peers)),
    ):
        gateway.path(name).write_text(text)
    env = {"STRONGSWAN_CONF": str(gateway.path("strongswan.conf"))}

    def daemon(netns: str, name: str, *command: str) -> Daemon:
        return Daemon(netns, command, gateway.path(f"{name}.out.log"), env)

    log = gateway.path("vtid.out.log")
    vtid = ("python3", "-m", "vtid", "--config", str(gateway.path("vtid.toml")))
    return Station(
        gateway,
        charon=daemon(gateway.public, "charon", "/usr/sbin/charon-systemd"),
        bird_public=daemon(
            gateway.public,
            "bird-public",
            *command(program(f"ipv{gateway.plan.outside}"), gateway.folder, "bird-public"),
        ),
        birds=tuple(
            daemon(gateway.private, one.program, *command(one.program, gateway.folder, one.program))
            for one in speaking
        ),
        vtid=Daemon(gateway.public, vtid, log, env),
        fork=Fork(gateway.public, gateway.path("vtid.toml"), log),
    )


def _router(router: Router) -> Iterator[Daemon]:
    folder = RUN / router.netns
    folder.mkdir(parents=True)
    for speaker in speakers(router.plan):
        name = speaker.program
        text = birds.router(router, speaker, str(folder / f"{name}.log"))
        (folder / f"{name}.conf").write_text(text)
        words = command(name, folder, name)
        yield Daemon(router.netns, words, folder / f"{name}.out.log", {})


def _end(mesh: Mesh) -> None:
    """End all daemons at the same time, and keep what they wrote."""
    daemons = [daemon for station in mesh.stations.values() for daemon in station.daemons]
    daemons += mesh.routers
    for daemon in daemons:
        if daemon.process is not None:
            daemon.process.terminate()
    for daemon in daemons:
        daemon.stop()
    for folder in RUN.iterdir():
        for file in (*folder.glob("*.log"), *folder.glob("*.conf"), *folder.glob("*.toml")):
            shutil.copy(file, mesh.out / f"{folder.name}-{file.name}")
