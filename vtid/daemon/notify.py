"""Notify: tell systemd how vtid is doing (sd_notify(3)). An edge.

Outside of systemd, where $NOTIFY_SOCKET is not set, all of it does nothing. A message is one
datagram, sent without waiting: a slow service manager must not hold up the event loop. If the
service manager is gone, the message is dropped.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress


def notify(state: str) -> None:
    """Send assignments, one a line, as they are: `READY=1`, `STOPPING=1`, `WATCHDOG=1`."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(0)
        channel.sendto(state.encode(), address)


def reloading() -> None:
    """Announce that a reload has begun; `READY=1` has to follow.

    Without the monotonic time, `systemctl reload` of a Type=notify-reload unit never returns.
    """
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def status(text: str) -> None:
    """Set the one line that `systemctl status` shows.

    A line break in `text` would begin another assignment, so only printable characters are sent.
    """
    notify("STATUS=" + "".join(char if char.isprintable() else " " for char in text))


def watchdog_interval() -> float | None:
    """Return the watchdog's interval in seconds (send at half of it); None if there is no watchdog.

    sd_watchdog_enabled(3): the watchdog is meant for the process $WATCHDOG_PID, if that is set.
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not (microseconds.isascii() and microseconds.isdecimal() and int(microseconds)):
        return None
    return int(microseconds) / 1e6
