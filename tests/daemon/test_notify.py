"""What systemd gets to hear, on a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from vtid.daemon import notify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """Stand in for the service manager: its end of $NOTIFY_SOCKET."""
    path = f"{tmp_path}/notify" if request.param == "path" else f"@vtid-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path.replace("@", "\0", 1))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield listener


def test_assignments_go_out_as_they_are(manager: socket.socket) -> None:
    notify.notify("READY=1")
    assert manager.recv(4096) == b"READY=1"


def test_a_reload_carries_the_monotonic_time(manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    notify.reloading()
    first, second = manager.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    name, _, microseconds = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(microseconds) <= time.monotonic_ns() // 1000


def test_a_status_is_one_assignment(manager: socket.socket) -> None:
    notify.status("2 tunnels\nMAINPID=1\udcff")
    assert manager.recv(4096) == b"STATUS=2 tunnels MAINPID=1 "


def test_a_manager_that_is_slow_or_gone_is_no_trouble(manager: socket.socket) -> None:
    for _ in range(10_000):  # more than the queue of a datagram socket holds
        notify.notify("WATCHDOG=1")
    manager.close()
    notify.notify("WATCHDOG=1")


def test_nothing_happens_outside_of_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(socket, "socket", None)
    notify.notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("30000000", None, 30.0),
        ("30000000", os.getpid(), 30.0),
        ("30000000", os.getpid() + 1, None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_watchdog_interval(
    monkeypatch: pytest.MonkeyPatch,
    microseconds: str | None,
    pid: int | None,
    seconds: float | None,
) -> None:
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, str(value))
    assert notify.watchdog_interval() == seconds
