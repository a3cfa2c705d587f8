"""Faults of the daemons: charon and BIRD as vtid's neighbours, and vtid itself.

Rules of this file: a daemon is ended by its process number; whoever ends it starts it again.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

from tests.chaos.fault import fault
from tests.chaos.tunnels import TUNNELS
from vtid.bird.control import Control
from vtid.bird.include import IncludeFile
from vtid.kernel.sockets import Requests
from vtid.model.link import LINK_GROUP
from vtid.nft.library import Nftables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from tests.chaos.world import World
    from tests.charon import Charon

FULL = 1 << 16
"""Bytes that are written at once to fill a disk."""

BOUNDARIES = 120
"""Boundaries of operations at one of which vtid is killed; a start over nothing has some 60."""

BROKEN = "this is not the language of BIRD;\n"

SLOW_DOWN = "while kill -STOP $1 && sleep 0.95 && kill -CONT $1; do sleep 0.05; done"

# --- charon -------------------------------------------------------------------------------------


@fault("charon")
def charon_is_killed(world: World, draw: Random) -> Iterator[None]:
    world.a.charon.kill()
    yield
    _start_charon(world)


@fault("charon")
def charon_is_stopped(world: World, draw: Random) -> Iterator[None]:
    world.a.charon.stop()
    yield
    _start_charon(world)


@fault("charon")
def charon_hangs(world: World, draw: Random) -> Iterator[None]:
    world.a.charon.freeze()
    yield
    world.a.charon.thaw()


@fault("charon")
def a_connection_is_unloaded(world: World, draw: Random) -> Iterator[None]:
    world.load(without=draw.choice(TUNNELS).name)
    yield
    world.load()


@fault("charon")
def the_peer_ends_an_sa(world: World, draw: Random) -> Iterator[None]:
    what = draw.choice(["--ike", "--child"])
    name = draw.choice(TUNNELS).name
    _tolerant(world.b.charon, "--terminate", what, name, "--timeout", "5")
    yield


@fault("charon")
def the_peers_charon_is_killed(world: World, draw: Random) -> Iterator[None]:
    world.b.charon.kill()
    yield
    world.b.ip("xfrm", "state", "flush")
    world.b.ip("xfrm", "policy", "flush")
    world.b.charon.start()


@fault("charon")
def all_sas_are_ended(world: World, draw: Random) -> Iterator[None]:
    for tunnel in TUNNELS:
        end = ("--terminate", "--ike", tunnel.name, "--force", "--timeout", "1")
        _tolerant(world.a.charon, *end)
    yield


def _start_charon(world: World) -> None:
    world.ip("xfrm state flush")  # of one that was killed; the peer's are new ones, too
    world.ip("xfrm policy flush")
    world.a.charon.start()


def _tolerant(charon: Charon, *arguments: str) -> None:
    with suppress(RuntimeError):  # charon reports what has no answer as a failure
        charon.swanctl(*arguments)


# --- BIRD ---------------------------------------------------------------------------------------


@fault("bird")
def bird_is_killed(world: World, draw: Random) -> Iterator[None]:
    world.bird.kill()
    _change_session(world, draw)
    yield
    world.bird.start()


@fault("bird")
def bird_hangs(world: World, draw: Random) -> Iterator[None]:
    assert world.bird.process
    pid = world.bird.process.pid
    os.kill(pid, signal.SIGSTOP)
    _change_session(world, draw)
    yield
    os.kill(pid, signal.SIGCONT)


@fault("bird")
def bird_is_slow(world: World, draw: Random) -> Iterator[None]:
    """It runs for a twentieth of the time."""
    assert world.bird.process
    pid = world.bird.process.pid
    with subprocess.Popen(["sh", "-c", SLOW_DOWN, "sh", str(pid)]) as slowing:
        try:
            _change_session(world, draw)
            yield
        finally:
            slowing.kill()
    os.kill(pid, signal.SIGCONT)


@fault("bird")
def bird_refuses_its_configuration(world: World, draw: Random) -> Iterator[None]:
    other = world.bird.directory / f"{world.bird.include.name}.other"
    other.write_text(BROKEN)
    _change_session(world, draw)
    yield
    other.unlink()


@fault("bird")
def birds_socket_is_gone(world: World, draw: Random) -> Iterator[None]:
    away = world.bird.directory / "away"
    world.bird.socket.rename(away)
    _change_session(world, draw)
    yield
    away.rename(world.bird.socket)


@fault("bird")
def birds_file_is_deleted(world: World, draw: Random) -> Iterator[None]:
    world.bird.include.unlink(missing_ok=True)
    _change_session(world, draw)
    yield


@fault("bird")
def birds_file_is_changed(world: World, draw: Random) -> Iterator[None]:
    """Within what has vtid's header: else it would be another's file."""
    if world.bird.include.exists():
        with world.bird.include.open("a") as file:
            file.write("# by hand\n" if draw.random() < 1 / 2 else BROKEN)
    _change_session(world, draw)
    yield
    world.ask("/v1/reload", "POST")


@fault("bird")
def birds_disk_is_full(world: World, draw: Random) -> Iterator[None]:
    filler = world.bird.directory / "filler"
    with filler.open("wb", buffering=0) as file:
        size = FULL
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    _change_session(world, draw)
    yield
    filler.unlink()


@fault("bird")
def birds_disk_is_read_only(world: World, draw: Random) -> Iterator[None]:
    command = ("mount", "-o", "remount", str(world.bird.directory))
    subprocess.run([*command, "-r"], check=False)  # refused while BIRD writes in it
    _change_session(world, draw)
    yield
    subprocess.run([*command, "-w"], check=True)


def _change_session(world: World, draw: Random) -> None:
    """Give vtid a reason to write BIRD's file and to have it read, or none."""
    match draw.randrange(3):
        case 0:
            world.ip("link delete four")
        case 1:
            world.configure(without="four")
            world.configure()


# --- vtid ---------------------------------------------------------------------------------------


@fault("vtid")
def vtid_is_killed(world: World, draw: Random) -> Iterator[None]:
    world.kill_vtid()
    yield
    world.start_vtid()


@fault("vtid")
def vtid_is_restarted(world: World, draw: Random) -> Iterator[None]:
    world.a.stop_vtid()
    yield
    world.start_vtid()


@fault("vtid")
def vtid_hangs(world: World, draw: Random) -> Iterator[None]:
    pid = world.vtid.pid
    os.kill(pid, signal.SIGSTOP)
    world.ip("link delete six")
    yield
    os.kill(pid, signal.SIGCONT)


@fault("vtid")
def vtid_is_killed_between_operations(world: World, draw: Random) -> Iterator[None]:
    """It starts where nothing is, and is killed at a boundary of what it does about it."""
    world.kill_vtid()
    if draw.random() < 3 / 4:
        for private in (False, True):
            world.ip(f"link delete group {LINK_GROUP}", private=private)
            world.nft("delete table inet vtid", private=private)
        world.bird.include.unlink(missing_ok=True)
    boundary = draw.randrange(BOUNDARIES)
    world.start_vtid(lambda: _die_at(boundary))
    deadline = time.monotonic() + 10
    while world.a.vtid and world.a.vtid.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    yield
    world.kill_vtid()
    world.start_vtid()


def _die_at(boundary: int) -> None:
    """Have this process killed before or after the operation with a number on any peer."""
    passed = 0

    def pass_one() -> None:
        nonlocal passed
        if passed == boundary:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def inner(*args: Any, **kwargs: Any) -> Any:
            pass_one()
            try:
                return call(*args, **kwargs)
            finally:
                pass_one()

        return inner

    for owner, names in (
        (Requests, ("write", "write_all")),
        (Nftables, ("run",)),
        (IncludeFile, ("create", "replace", "accept", "restore")),
        (Control, ("_send",)),
    ):
        for name in names:
            setattr(owner, name, wrapped(getattr(owner, name)))


@fault("vtid")
def a_tunnel_leaves_the_configuration(world: World, draw: Random) -> Iterator[None]:
    world.configure(without=draw.choice(TUNNELS).name)
    yield
    world.configure()


@fault("vtid")
def all_is_flushed(world: World, draw: Random) -> Iterator[None]:
    world.ask("/v1/flush", "POST")
    yield
    world.ask("/v1/reload", "POST")


@fault("vtid")
def the_configuration_is_bad(world: World, draw: Random) -> Iterator[None]:
    path = world.a.path("vtid.toml")
    path.write_bytes(draw.choice([b"", b"\xff", b"[[tunnel]]\n", b"unknown = 1\n"]))
    if path.read_bytes():  # an empty one is good, and leaves no tunnel
        world.ask("/v1/reload", "POST")
    yield
    world.configure()


@fault("vtid")
def the_control_socket_is_flooded(world: World, draw: Random) -> Iterator[None]:
    words = draw.choice(
        [b"", b"GET /v1/status HTTP/1.1\r\n", b"\x00" * 4096, b"GET " + b"x" * 9000]
    )
    clients = []
    for _ in range(draw.choice([20, 100, 300])):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(0.2)
        try:
            client.connect(str(world.a.path("vtid.sock")))
            client.sendall(words)
        except OSError:
            client.close()
            continue
        clients.append(client)
    yield
    for client in clients:
        client.close()
