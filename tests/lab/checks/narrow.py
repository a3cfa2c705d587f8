"""A path that carries less than its links and says nothing, and a tunnel that carries nothing.

The public side of every gateway drops what is longer than a path would carry: no router answers.

Rules of this file: those of `failures`.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from tests.lab.checks import direct, mesh_checks, observe
from tests.lab.checks.failures import carrying, configured, expect_size, hold, named
from tests.lab.machine.shell import CheckError, eventually, run
from tests.lab.topology.figures import SMALL_INSIDE, SMALL_OUTSIDE, Tunnel
from tests.lab.topology.settings import BRISK, PROBE_INTERVAL
from vtid.core.pmtud import RAISE_SOON

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.checks.failures import Watch
    from tests.lab.topology.figures import Gateway, Way
    from tests.lab.topology.stations import Mesh

BLIND = replace(BRISK, probe="mtu = false")
SEARCH = 60.0
"""Seconds that a search may take, with ten sizes of which some are lost; emulated."""

PATIENCE = 130.0
"""Seconds until TCP tries again, at most: as long as it has stalled (RFC 6298)."""

TRANSFER = 500_000
"""Bytes."""

STALL = 8.0
"""Seconds in which a transfer that is not through has stalled: the whole takes less than one."""


# --- the path ------------------------------------------------------------------------------------


def shrink(mesh: Mesh, watch: Watch) -> str:
    """A TCP transfer stalls without probing; with it, MTU and MSS follow and it gets through."""
    with configured(mesh, BLIND), _narrow(mesh), _transfer(_far(mesh)) as stalled:
        time.sleep(STALL)
        if stalled.received >= TRANSFER:
            raise CheckError(f"without probing, {stalled.received} bytes got through")
    _proven(mesh, mesh.plan.size.mtu, SEARCH)
    watch.begin()
    with _narrow(mesh), _transfer(_far(mesh)) as transfer:
        sized = _proven(mesh, SMALL_INSIDE, SEARCH)
        through = eventually(transfer.expect_through, PATIENCE)
        expect_size(mesh, SMALL_INSIDE)
    watch.calm()
    return (
        f"without probing {stalled.received} of {TRANSFER} bytes from R1 to R3 after {STALL:.0f} s;"
        f" with it MTU {SMALL_INSIDE} and its MSS after {sized:.1f} s, all through after "
        f"{through:.1f} s"
    )


def heal(mesh: Mesh, watch: Watch) -> str:
    """The path carries again what its links do."""
    with _narrow(mesh):
        _proven(mesh, SMALL_INSIDE, PROBE_INTERVAL + SEARCH)
    watch.begin()
    back = _proven(mesh, mesh.plan.size.mtu, RAISE_SOON + SEARCH)
    expect_size(mesh, mesh.plan.size.mtu)
    watch.calm()
    return f"MTU {mesh.plan.size.mtu} and its MSS again after {back:.1f} s"


def _proven(mesh: Mesh, inner: int, seconds: float) -> float:
    """Wait until probes have proven a size everywhere; return the seconds until MTU and MSS."""
    began = time.time()
    eventually(partial(_expect_proven, inner, mesh), seconds)
    eventually(partial(mesh_checks.interface_mtu, inner, mesh), 10)
    eventually(partial(mesh_checks.clamped, inner, mesh), 10)
    return time.time() - began


def _expect_proven(inner: int, mesh: Mesh) -> None:
    for gateway in mesh.up:
        for one in direct.status(gateway)["tunnels"]:
            proven = (one["probe"] or {}).get("proven_mtu")
            if proven != inner:
                raise CheckError(f"{gateway.name}: {one['tunnel']}: {proven} bytes are proven")


@contextmanager
def _narrow(mesh: Mesh) -> Iterator[None]:
    with ExitStack() as stack:
        for gateway in mesh.up:
            rule = f"meta length > {SMALL_OUTSIDE} drop"
            stack.enter_context(_dropping(gateway, f"iif eth0 {rule}"))
        yield


@contextmanager
def _dropping(gateway: Gateway, rule: str) -> Iterator[None]:
    """Drop what a rule of nftables says where it enters the public side of a gateway."""
    chain = f"chain entering {{ type filter hook prerouting priority raw; {rule}; }}"
    run(gateway.public, "nft", f"table inet narrow {{ {chain}; }}")
    try:
        yield
    finally:
        run(gateway.public, "nft", "delete table inet narrow")


# --- a transfer ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Transfer:
    """Bytes on their way from one router to another, on one connection."""

    began: float = field(default_factory=time.time)
    sent: int = 0
    received: int = 0
    ended: float = 0.0

    def expect_through(self) -> float:
        """Return the seconds that it took. Raises `CheckError` while bytes are missing."""
        if self.received < TRANSFER:
            raise CheckError(f"{self.received} of {TRANSFER} bytes are through")
        return self.ended - self.began

    def send(self, connection: socket.socket) -> None:
        data = bytes(1 << 14)
        while self.sent < TRANSFER:
            try:
                self.sent += connection.send(data[: TRANSFER - self.sent])
            except OSError:
                return

    def receive(self, connection: socket.socket) -> None:
        while self.received < TRANSFER:
            try:
                data = connection.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            self.received += len(data)
        self.ended = time.time()


def _far(mesh: Mesh) -> Way:
    """From R1 to R3, in the first IP version."""
    return next(way for way in mesh.plan.ways if (way.here.site, way.there.site) == (1, 3))


@contextmanager
def _transfer(way: Way) -> Iterator[_Transfer]:
    """Send bytes for as long as the context lasts, or until all are there."""
    transfer = _Transfer()
    family = socket.AF_INET6 if way.version == 6 else socket.AF_INET
    with ExitStack() as stack:
        with direct.inside(way.there.netns):
            server = stack.enter_context(socket.create_server((way.target, 0), family=family))
        port = server.getsockname()[1]
        with direct.inside(way.here.netns):
            out = socket.create_connection((way.target, port), 20, (way.source, 0))
        out.settimeout(None)  # it is to stall
        ends = [stack.enter_context(one) for one in (out, server.accept()[0])]
        work = (transfer.send, transfer.receive)
        threads = [
            threading.Thread(target=each, args=(end,), daemon=True)
            for each, end in zip(work, ends, strict=True)
        ]
        for thread in threads:
            thread.start()
        try:
            yield transfer
        finally:
            _end(ends, threads)


def _end(ends: Sequence[socket.socket], threads: Sequence[threading.Thread]) -> None:
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue  # the other end was first
    for thread in threads:
        thread.join()


# --- a tunnel that carries nothing ---------------------------------------------------------------


def silence(mesh: Mesh, watch: Watch) -> str:
    """One tunnel's ESP is lost: its SAs stay, and each end says that its peer is silent."""
    tunnel = carrying(mesh)
    ends = (tunnel, Tunnel(tunnel.there, tunnel.here))
    with ExitStack() as stack:
        watch.begin()
        for end in ends:
            family = "ip6" if mesh.plan.outside == 6 else "ip"
            rule = f"{family} saddr {end.there.address} meta l4proto esp drop"
            stack.enter_context(_dropping(end.here, rule))
        for end in ends:
            eventually(partial(_expect_alive, end, alive=False), 6 * PROBE_INTERVAL)
        silent = time.time() - watch.began
        watch.calm()
        for end in ends:
            if not observe.tunnel_status(end)["sas"]:
                raise CheckError(f"{named(end)}: its SA is gone")
        moved = time.time() - watch.began
    for end in ends:
        eventually(partial(_expect_alive, end, alive=True), 6 * PROBE_INTERVAL)
    hold(mesh)
    watch.calm()
    return f"both ends of {named(tunnel)} said so after {silent:.1f} s; calm after {moved:.1f} s"


def _expect_alive(tunnel: Tunnel, *, alive: bool) -> None:
    found = observe.tunnel_status(tunnel)
    if found["probe"]["alive"] is not alive:
        raise CheckError(f"{named(tunnel)}: alive is {found['probe']['alive']}")
    metric = observe.metric(tunnel.here, "vtid_tunnel_probe_alive", tunnel=found["tunnel"])
    if metric != int(alive):
        raise CheckError(f"{named(tunnel)}: vtid_tunnel_probe_alive is {metric}")
