"""vtid as a fork of this process, which has imported it once.

Importing vtid with its libraries takes eight seconds of an emulated processor. Six gateways that
do so on two of them are a minute late; forks of one process that has done it start at once. From
there on it is the same program: `vtid.__main__.main` in a process of its own.

Rules of this file: a child never returns into the lab's code.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from tests.lab.checks import direct

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POLL = 0.02


def import_vtid() -> None:
    """Import vtid and what it needs; what has been imported is there after a fork."""
    for name in ("vtid.__main__", "vtid.daemon.daemon"):
        importlib.import_module(name)


class Child:
    """A forked process, with the part of `subprocess.Popen` that `shell.Daemon` uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit status, or None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        deadline = time.monotonic() + (timeout or 1e9)
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("vtid", timeout or 0)
            time.sleep(POLL)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Fork:
    """How to start vtid: in which namespace, with what configuration and log."""

    netns: str
    configuration: Path
    log: Path
    arguments: tuple[str, ...] = ()
    """More of vtid's command line."""
    prepare: Callable[[], None] | None = None
    """Called in the child before vtid begins: to have something go wrong in there."""

    def start(self) -> Child:
        """Fork; the child becomes vtid."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become_vtid()
        return Child(pid)

    def _become_vtid(self) -> NoReturn:
        status = 1
        try:
            _redirect(self.log)
            direct.enter(self.netns)
            main = importlib.import_module("vtid.__main__").main
            if self.prepare:
                self.prepare()
            status = main(["--config", str(self.configuration), *self.arguments])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 the child must end here, whatever it was
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def _redirect(log: Path) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(null, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.closerange(3, 1024)
    # whoever captures our output has put streams and handlers of his own in their place
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    logging.getLogger().handlers.clear()
