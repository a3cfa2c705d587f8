"""A watchdog as systemd's is: it hears from a daemon, and knows when that is late.

Rules of this file: what the daemon sends counts when it is read.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30.0
"""WatchdogSec= of the unit."""

LARGEST = 4096


class Watchdog:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0)
        self._heard = time.monotonic()

    def close(self) -> None:
        """Hear nothing any more."""
        self._socket.close()

    def expect_one(self) -> None:
        """Have the process that calls this, and begins as a daemon, tell that it is well."""
        os.environ["NOTIFY_SOCKET"] = str(self._path)
        os.environ["WATCHDOG_USEC"] = f"{SECONDS * 1e6:.0f}"

    def begin(self) -> None:
        """Begin anew, for a daemon that starts."""
        self._heard = time.monotonic()

    def is_late(self) -> bool:
        """Whether nothing came for too long."""
        try:
            while self._socket.recv(LARGEST):
                self._heard = time.monotonic()
        except BlockingIOError:
            return time.monotonic() - self._heard > SECONDS
        return False
