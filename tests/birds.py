"""Real BIRDs for tests: started in a namespace with a given configuration, ended by their PID.

Needs root and a `bird` (2 or 3) in PATH. Nothing of a BIRD that the machine runs is touched: each
one here has its own configuration, control socket and directory.
"""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAIT = 60.0
"""Seconds that anything may take; far more than it does, for emulated machines."""


@dataclass
class RealBird:
    """One BIRD. `start()`, `stop()` and `kill()` as often as wanted."""

    directory: Path
    name: str
    netns: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def config(self) -> Path:
        return self.directory / f"{self.name}.conf"

    @property
    def socket(self) -> Path:
        return self.directory / f"{self.name}.ctl"

    @property
    def include(self) -> Path:
        """Where vtid's file would be; tests include it as `include "<this>";`."""
        return self.directory / f"vtid.{self.name}.conf"

    def start(self) -> None:
        """Start and wait until the control socket answers."""
        enter = ["ip", "netns", "exec", self.netns] if self.netns else []
        command = ["bird", "-f", "-c", str(self.config), "-s", str(self.socket)]
        pid_file = ["-P", str(self.directory / f"{self.name}.pid")]
        self.process = subprocess.Popen([*enter, *command, *pid_file])
        eventually(self._answers, f"{self.name} answers on {self.socket}")

    def stop(self) -> None:
        """End it as systemd would."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it as a crash would: the socket's file stays behind."""
        self._end(kill=True)

    def ask(self, command: str) -> str:
        """Send a command to the control socket and return the raw reply."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT)
            connection.connect(str(self.socket))
            _read_reply(connection)
            connection.sendall(command.encode() + b"\n")
            return _read_reply(connection).decode()

    def _answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"bird {self.name} ended: see its output above")
        try:
            return "0013 " in self.ask("show status")
        except OSError:
            return False

    def _end(self, *, kill: bool) -> None:
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(WAIT)
        self.process = None


@contextmanager
def bird(config: str, directory: Path, name: str = "bird", netns: str = "") -> Iterator[RealBird]:
    """Run a BIRD with this configuration; it has ended when the block is left."""
    running = RealBird(directory, name, netns)
    running.config.write_text(config)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@contextmanager
def linked_namespaces(first: str, second: str, interface: str) -> Iterator[None]:
    """Make two namespaces with a veth pair between them, of one name on both sides."""
    try:
        for netns in (first, second):
            ip(f"netns add {netns}")
            ip(f"-n {netns} link set lo up")
        ip(f"-n {first} link add {interface} type veth peer name {interface} netns {second}")
        for netns in (first, second):
            ip(f"-n {netns} link set {interface} up")
        yield
    finally:
        for netns in (first, second):
            subprocess.run(["ip", "netns", "delete", netns], check=False)


def ip(arguments: str) -> str:
    """Run iproute2 and return what it prints."""
    done = subprocess.run(["ip", *arguments.split()], check=True, capture_output=True, text=True)
    return done.stdout


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def _read_reply(connection: socket.socket) -> bytes:
    """Read up to the line that ends a reply: four digits and a space."""
    reply = b""
    while True:
        reply += connection.recv(65536)
        last = reply.split(b"\n")[-2] if reply.endswith(b"\n") else b""
        if last[:4].isdigit() and last[4:5] == b" ":
            return reply
