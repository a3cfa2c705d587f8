"""Hooks: one program, from its start to the end of all that it started. An edge.

Rules of this file:

* `run` blocks, and belongs into a thread that `give_up_privileges` has been called in: a program
  has the capabilities of the thread that starts it, and these threads have none to hand on.
* A program has a session and process group of its own, which end with it, whatever it left behind.
* Of what it writes to standard error, the beginning is kept for the log; the rest is read and
  dropped, so that it never waits for vtid.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}
"""All of it."""

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

_WORDS = 400
"""Bytes of standard error that are kept."""

_AT_ONCE = 65536

_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
"""linux/prctl.h."""

_CAPABILITY_VERSION_3 = 0x20080522
"""linux/capability.h."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    result: str
    """`done`, `failed`, `timeout` or `stopped`."""
    words: str = ""
    """Why it failed: its exit status or signal, and what it wrote to standard error."""


def give_up_privileges() -> None:
    """Take from this thread what programs could inherit. Raises OSError where that cannot be.

    Capabilities belong to a thread (capabilities(7)): vtid's others keep theirs.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (
        (_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0),
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
    ):
        if libc.prctl(*map(ctypes.c_ulong, call)):
            raise OSError(ctypes.get_errno(), "prctl")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    # without ambient capabilities, only root's programs would have any: the unit forbids capset(2)
    if libc.capset(header, none) and os.geteuid() == 0:
        raise OSError(ctypes.get_errno(), "capset")


def run(program: Path, content: bytes, limit: float, stop: int) -> Outcome:
    """Run a program with `content` as its standard input, for `limit` seconds at most.

    It is ended as well once the descriptor `stop` can be read. Raises OSError where there is no
    descriptor or no memory left for it.
    """
    with os.fdopen(os.memfd_create("event"), "w+b") as stdin:
        stdin.write(content)
        stdin.seek(0)
        try:
            process = subprocess.Popen(
                [program],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            return Outcome("failed", f"cannot be run: {error.strerror}")
    with process:
        return _Run(process, stop).end(limit)


class _Run:
    """A program that runs."""

    def __init__(self, process: subprocess.Popen[bytes], stop: int) -> None:
        assert process.stderr  # noqa: S101 - as it was started
        self._process = process
        self._stderr = process.stderr.fileno()
        self._stop = stop
        self._said = bytearray()

    def end(self, limit: float) -> Outcome:
        """Wait until it has ended, and end it where that takes too long."""
        try:
            exited = os.pidfd_open(self._process.pid)
        except OSError:
            self._kill(signal.SIGKILL)
            raise
        try:
            event = self._wait(exited, limit)
            if event != "exited":
                self._kill(signal.SIGTERM)
                self._wait(exited, GRACE, but_for_stop=True)
        finally:
            os.close(exited)
            self._kill(signal.SIGKILL)  # what it left behind, too
        status = self._process.wait()
        if event == "exited":
            return self._outcome(status)
        why = f"took longer than {limit:g} s" if event == "timeout" else "vtid stops"
        return Outcome(event, why)

    def _wait(self, exited: int, limit: float, *, but_for_stop: bool = False) -> str:
        """Read what it says until something happens: `exited`, `stopped` or `timeout`."""
        deadline = time.monotonic() + limit
        with selectors.DefaultSelector() as watch:
            for one in (exited, self._stderr, *(() if but_for_stop else (self._stop,))):
                watch.register(one, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = {key.fd for key, _ in watch.select(left)}
                if self._stderr in ready and not self._read():
                    watch.unregister(self._stderr)
                if exited in ready:
                    self._read_rest()
                    return "exited"
                if self._stop in ready:
                    return "stopped"
        return "timeout"

    def _read(self) -> bool:
        """Read some of standard error; false at its end."""
        found = os.read(self._stderr, _AT_ONCE)
        self._said += found[: _WORDS - len(self._said)]
        return bool(found)

    def _read_rest(self) -> None:
        """Read what it has written before its end; what it left behind may still hold the pipe."""
        os.set_blocking(self._stderr, False)
        with suppress(BlockingIOError):
            self._read()

    def _kill(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _outcome(self, status: int) -> Outcome:
        if not status:
            return Outcome("done")
        how = f"exit status {status}"
        if status < 0:
            names = {int(one): one.name for one in signal.Signals}  # real-time ones have none
            how = f"signal {names.get(-status, -status)}"
        said = " ".join(self._said.decode("utf-8", "replace").split())
        return Outcome("failed", f"{how}: {said}" if said else how)
