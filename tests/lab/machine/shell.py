"""Commands and daemons in network namespaces, and waiting for what they bring about.

Rules of this file:

* Every command has a time limit, every daemon is ended by its own process number.
* Nothing waits for a time to pass: `eventually` asks again until the answer is good.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from tests.lab.report.transcript import length, note, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")

INTERVAL = 0.2
"""Seconds between two looks at a condition."""


class CheckError(Exception):
    """Something is not as it should be; the message says what is there instead."""


class EndedError(CheckError):
    """A daemon has ended: waiting for it is in vain."""


def inside(netns: str, *command: str) -> list[str]:
    """Return the command line that runs a command in a namespace (only its network)."""
    return ["nsenter", f"--net=/run/netns/{netns}", "--", *command]


def run(netns: str, *command: str, limit: float = 60, env: Mapping[str, str] | None = None) -> str:
    """Run a command in a namespace; return its output. Raises `CheckError` with its complaint."""
    try:
        result = subprocess.run(
            inside(netns, *command),
            capture_output=True,
            text=True,
            timeout=limit,
            env=os.environ | (env or {}),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CheckError(f"{' '.join(command)}: no end within {limit:.0f} s") from None
    note(netns, " ".join(command), result.stdout + result.stderr)
    if result.returncode != 0:
        complaint = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise CheckError(f"{' '.join(command)}: {' / '.join(complaint[-2:])}")
    return result.stdout


def output(netns: str, *command: str, limit: float = 60) -> str:
    """Run a command in a namespace; return its output whatever its exit status is."""
    result = subprocess.run(
        inside(netns, *command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
        check=False,
    )
    note(netns, " ".join(command), result.stdout)
    return result.stdout


def eventually(look: Callable[[], T], seconds: float) -> T:
    """Return what `look` returns once it raises no `CheckError`; its last one after `seconds`.

    An `EndedError` is raised at once. In the transcript, the last look counts.
    """
    deadline = time.monotonic() + seconds
    while True:
        asked = length()
        try:
            return look()
        except EndedError:
            raise
        except CheckError:
            if time.monotonic() > deadline:
                raise
        shorten(asked)
        time.sleep(INTERVAL)


class Process(Protocol):
    """What is asked of a daemon's process: what `subprocess.Popen` and a fork have in common."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class Daemon:
    """A program that runs in a namespace and can be ended and started again."""

    netns: str
    command: tuple[str, ...]
    log: Path
    env: Mapping[str, str]
    process: Process | None = None

    def start(self) -> None:
        """Start it, with its words appended to its log."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                inside(self.netns, *self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.env,
            )

    def stop(self, number: signal.Signals = signal.SIGTERM, patience: float = 20) -> int:
        """Send a signal and wait for the end; return the exit status. Kill it if it stays."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def check_alive(self) -> None:
        """Raise `CheckError` with its last words if it has ended."""
        if self.process is None or self.process.poll() is not None:
            lines = self.log.read_text(errors="replace").splitlines()
            raise EndedError(f"{self.command[0]} has ended: {lines[-1] if lines else 'no word'}")


@contextmanager
def daemon(
    netns: str, *command: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[Daemon]:
    """Run a daemon for as long as the context lasts."""
    running = Daemon(netns, command, log, env or {})
    running.start()
    try:
        yield running
    finally:
        running.stop()
