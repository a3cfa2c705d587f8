"""A shell in a lab that runs, on this terminal: `make lab-shell`; and its end: `make lab-stop`.

Rules of this file:

* The standard library only, like all that runs on the host.
* However it ends, the terminal is left as it was found.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.lab.machine import running
from tests.lab.machine.console import CHUNK, Frames, frame
from tests.lab.machine.tree import LabError, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.machine.running import Running

SHELL = ("bash", "/ctl/shell.sh")
OPEN_PATIENCE = 15.0
"""Seconds in which the machine must have opened a shell."""
STOP_PATIENCE = 60.0
TICK = 0.5
"""Seconds after which the size of the terminal is looked at again."""
ENDED = "the lab has ended, and this shell with it"
END_OF_INPUT = b"\x04"


def shell() -> int:
    """Open a shell in the lab that runs; return its exit status."""
    labs = running.found()
    if not labs:
        raise LabError("no lab is running: start one with `make lab KEEP=1`")
    return _bridge(labs[0]) if labs[0].console else _enter(labs[0])


def stop() -> int:
    """End the lab that was kept, and wait until it is gone."""
    kept = [lab for lab in running.found() if lab.kept]
    if not kept:
        raise LabError("no lab is kept running: there is nothing to end")
    try:
        for lab in kept:
            os.kill(lab.pid, signal.SIGTERM)
    except PermissionError as error:
        raise LabError("the lab belongs to another user: end it as that user or as root") from error
    deadline = time.monotonic() + STOP_PATIENCE
    while any(lab in running.found() for lab in kept):
        if time.monotonic() > deadline:
            raise LabError(f"the lab of process {kept[0].pid} does not end: kill it")
        time.sleep(0.2)
    say("the lab has ended")
    return 0


def _enter(lab: Running) -> int:
    """Go into a lab's namespaces."""
    own = f"--pid=/proc/{lab.inside}/ns/pid_for_children"
    spaces = ("--mount", own, "--net", "--uts", "--ipc")
    clean = ("env", "-i", f"TERM={_term()}")
    command = ["nsenter", "--target", str(lab.inside), *spaces, "--", *clean, *SHELL]
    return _status(subprocess.run(command, check=False).returncode)


def _term() -> str:
    return os.environ.get("TERM") or "dumb"


def _status(status: int) -> int:
    """A person's last command says nothing about the shell; a script's does."""
    return 0 if sys.stdin.isatty() else status


def _bridge(lab: Running) -> int:
    """Connect this terminal with the serial line of a lab's machine."""
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(lab.console)
        except OSError as error:
            raise LabError(f"the lab's machine is not to be reached: {error}") from error
        with _raw():
            return _Bridge(line).run()


@contextmanager
def _raw() -> Iterator[None]:
    """Hand over every key as it is, Ctrl-C too."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@dataclass(slots=True)
class _Bridge:
    """This terminal on one side, the line on the other."""

    line: socket.socket
    frames: Frames = field(default_factory=Frames)
    size: tuple[int, int] = (0, 0)
    opened: bool = False
    typing: bool = True
    asked: float = field(default_factory=time.monotonic)

    def run(self) -> int:
        """Open a shell and serve it until it ends; return its exit status."""
        self.size = _size()
        rows, columns = self.size
        try:
            self._send("O", f"{rows} {columns} {_term()}".encode())
            while (status := self._turn()) is None:
                pass
            return _status(status)
        except ConnectionError as error:
            raise LabError(ENDED) from error
        finally:
            with suppress(OSError):
                self._send("C")

    def _turn(self) -> int | None:
        """Move what there is to move; return the exit status at the end."""
        sources = [self.line, sys.stdin] if self.typing and self.opened else [self.line]
        readable, _, _ = select.select(sources, [], [], TICK)
        if self.line in readable:
            return self._receive()
        if sys.stdin in readable:
            self._type()
        self._look()
        return None

    def _receive(self) -> int | None:
        data = self.line.recv(4 * CHUNK)
        if not data:
            raise LabError(ENDED)
        for kind, payload in self.frames.feed(data):
            if kind == "R":
                self.opened = True
            elif kind == "D" and self.opened:
                os.write(sys.stdout.fileno(), payload)
            elif kind == "E" and self.opened:
                return int(payload)
        return None

    def _type(self) -> None:
        data = os.read(sys.stdin.fileno(), CHUNK)
        self.typing = bool(data)
        self._send("D", data or END_OF_INPUT)

    def _look(self) -> None:
        """Notice a terminal of another size, and a machine that does not answer."""
        if not self.opened and time.monotonic() - self.asked > OPEN_PATIENCE:
            raise LabError(
                f"no shell within {OPEN_PATIENCE:.0f} s: another `make lab-shell` is open, "
                "or the machine is still booting"
            )
        if self.opened and self.size != (size := _size()):
            self.size = size
            self._send("S", f"{size[0]} {size[1]}".encode())

    def _send(self, kind: str, payload: bytes = b"") -> None:
        self.line.sendall(frame(kind, payload))


def _size() -> tuple[int, int]:
    columns, rows = shutil.get_terminal_size()
    return rows, columns
