"""Real BIRDs for tests: started in a namespace with a given configuration, ended by their PID.

Needs root. Which BIRDs there are is declared in the environment, as versions and the folders of
their programs: `VTID_BIRDS="2=/usr/sbin 1.6=/opt/bird-1.6/usr/sbin 3.1=/opt/bird-3.1/usr/sbin"`.
Left out it is `2=/usr/sbin`. One that is declared and missing, or of another version, is an error.
Nothing of a BIRD that the machine runs is touched: each one here has its own configuration,
control socket and directory.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAIT = 60.0
"""Seconds that anything may take; far more than it does, for emulated machines."""


DECLARED = "2=/usr/sbin"


@dataclass(frozen=True)
class Daemon:
    """A program of a BIRD: its version's beginning, where it is, the address families it has."""

    version: str
    program: Path
    families: tuple[str, ...] = ("ipv6", "ipv4")

    def __str__(self) -> str:
        return f"{self.program.name}-{self.version}"

    @property
    def template(self) -> str:
        """The template of vtid's that is for it."""
        return "bgp-1.6" if self.version.startswith("1.") else "bgp"

    def prefixes(self, number: int) -> tuple[str, ...]:
        """The static routes of router `number`, one of each family."""
        ours = {"ipv4": f"10.0.{number}.0/24", "ipv6": f"2001:db8:a{number}::/64"}
        return tuple(ours[family] for family in self.families)

    def config(self, number: int, more: str) -> str:
        """A configuration for router `number` that has a route of each family and `more`."""
        lines = [
            "log stderr all;",
            f"router id 1.0.0.{number};",
            "timeformat protocol iso long;",
            "protocol device { scan time 3600; }",
        ]
        for family, prefix in zip(self.families, self.prefixes(number), strict=True):
            channel = "" if self.template == "bgp-1.6" else f"{family}; "
            export = "export all;" if self.template == "bgp-1.6" else f"{family} {{ export all; }};"
            lines.append(f"protocol kernel kernel_{family} {{ {export} }}")
            lines.append(
                f"protocol static static_{family} {{ {channel}route {prefix} blackhole; }}"
            )
        return "\n".join([*lines, more, ""])


def declared(environment: str | None = None) -> tuple[Daemon, ...]:
    """The BIRDs to test with; 1.6 counts as two daemons, of one family each."""
    text = os.environ.get("VTID_BIRDS", DECLARED) if environment is None else environment
    daemons: list[Daemon] = []
    for version, _, folder in (word.partition("=") for word in text.split()):
        if version.startswith("1."):
            daemons.append(Daemon(version, Path(folder, "bird6"), ("ipv6",)))
            daemons.append(Daemon(version, Path(folder, "bird"), ("ipv4",)))
        else:
            daemons.append(Daemon(version, Path(folder, "bird")))
    return tuple(daemons)


@dataclass
class RealBird:
    """One BIRD. `start()`, `stop()` and `kill()` as often as wanted."""

    directory: Path
    name: str
    netns: str = ""
    daemon: Daemon = Daemon("2", Path("/usr/sbin/bird"))
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
        command = [str(self.daemon.program), "-f", "-c", str(self.config), "-s", str(self.socket)]
        pid_file = ["-P", str(self.directory / f"{self.name}.pid")]
        self.process = subprocess.Popen([*enter, *command, *pid_file])
        eventually(self._answers, f"{self.name} answers on {self.socket}")
        if not self.ask("show status").startswith(f"1000-BIRD {self.daemon.version}."):
            self.stop()
            raise RuntimeError(f"{self.daemon.program} is not BIRD {self.daemon.version}")

    def stop(self) -> None:
        """End it as systemd would."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it as a crash would: the socket's file stays behind."""
        self._end(kill=True)

    def ask(self, command: str) -> str:
        """Send a command to the control socket and return the raw reply; to none, the welcome."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT)
            connection.connect(str(self.socket))
            welcome = _read_reply(connection)
            if not command:
                return welcome.decode()
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
def bird(
    config: str, directory: Path, name: str = "bird", netns: str = "", daemon: Daemon | None = None
) -> Iterator[RealBird]:
    """Run a BIRD with this configuration; it has ended when the block is left."""
    running = RealBird(directory, name, netns, daemon or declared()[0])
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
        data = connection.recv(65536)
        if not data:
            raise ConnectionError(f"BIRD closed the connection after {reply!r}")
        reply += data
        last = reply.split(b"\n")[-2] if reply.endswith(b"\n") else b""
        if last[:4].isdigit() and last[4:5] == b" ":
            return reply
