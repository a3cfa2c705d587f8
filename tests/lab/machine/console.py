"""A shell on a serial line: what runs in the lab's machine, and the frames that both ends speak.

A serial line has no beginning and no end, and a terminal has a size. So each end sends frames, a
line each: a letter and base64. What was lost or half sent costs one frame.

    host → machine   O rows columns TERM   open a shell, end the one before
                     S rows columns        the terminal has another size
                     D bytes               typed
                     C                     hang up
    machine → host   R                     the shell is there
                     D bytes               printed
                     E status              the shell has ended

Rules of this file: the standard library only, and little of it; it knows nothing of the lab.
"""

from __future__ import annotations

import binascii
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
import tty
from contextlib import suppress
from dataclasses import dataclass

CHUNK = 1024
HANG_UP_PATIENCE = 2.0
"""Seconds that a shell may take to end when its terminal goes away."""


def frame(kind: str, payload: bytes = b"") -> bytes:
    """Return a frame as it goes over the line."""
    return kind.encode() + binascii.b2a_base64(payload)


@dataclass(slots=True)
class Frames:
    """Finds frames in what arrives."""

    rest: bytes = b""

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """Return the frames that are whole now; lines that are none are left out."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [one for line in lines if (one := _parsed(line.strip()))]


def _parsed(line: bytes) -> tuple[str, bytes] | None:
    try:
        return line[:1].decode("ascii"), binascii.a2b_base64(line[1:], strict_mode=True)
    except (binascii.Error, UnicodeDecodeError):
        return None


@dataclass(slots=True)
class Console:
    """Serves a line: at most one shell at a time, in a pseudo-terminal of its own."""

    line: int
    command: list[str]
    pid: int = 0
    terminal: int = -1

    def serve(self) -> None:
        """Serve until the line ends."""
        frames = Frames()
        while True:
            watched = [self.line, self.terminal] if self.pid else [self.line]
            readable, _, _ = select.select(watched, [], [])
            if self.line in readable:
                data = os.read(self.line, CHUNK)
                if not data:
                    break
                for kind, payload in frames.feed(data):
                    with suppress(ValueError):  # half a frame that happens to be one
                        self._take(kind, payload)
            elif self.terminal in readable:
                self._print()
        self._hang_up()

    def _take(self, kind: str, payload: bytes) -> None:
        if kind == "O":
            self._hang_up()
            self._open(payload.decode(errors="replace").split())
        elif kind == "C":
            self._hang_up()
        elif kind == "D" and self.pid:
            os.write(self.terminal, payload)
        elif kind == "S" and self.pid:
            set_size(self.terminal, *map(int, payload.split()))

    def _open(self, words: list[str]) -> None:
        rows, columns, term = words
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = term
            # A job in the background, which we may be, has them ignored, and so would the shell.
            for number in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(number, signal.SIG_DFL)
            os.execvp(self.command[0], self.command)  # noqa: S606 the command line is ours
        set_size(self.terminal, int(rows), int(columns))
        self._send("R")

    def _print(self) -> None:
        try:
            data = os.read(self.terminal, CHUNK)
        except OSError:  # EIO: the other side of the terminal is closed
            data = b""
        if data:
            self._send("D", data)
        else:
            status = self._hang_up()
            self._send("E", str(status).encode())

    def _hang_up(self) -> int:
        """End the shell, as a terminal that goes away does; return its exit status."""
        if not self.pid:
            return 0
        os.kill(self.pid, signal.SIGHUP)
        os.close(self.terminal)
        deadline = time.monotonic() + HANG_UP_PATIENCE
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.02)
        self.pid, self.terminal = 0, -1
        return os.waitstatus_to_exitcode(ended[1])

    def _send(self, kind: str, payload: bytes = b"") -> None:
        data = frame(kind, payload)
        while data:
            data = data[os.write(self.line, data) :]


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Tell a terminal its size (TIOCSWINSZ, ioctl_tty(2)); its programs get a SIGWINCH."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main(device: str, command: list[str]) -> None:
    """Serve a serial line for as long as the machine runs."""
    line = os.open(device, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    Console(line, command).serve()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
