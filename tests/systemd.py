"""A systemd of its own for tests: PID 1 of new namespaces.

    with booted(SCRIPT) as systemd:
        systemd.run("systemctl", "start", "vtid")

Rules of this file: nothing is written outside the mount namespace but what the script or a test
writes elsewhere. `/etc`, `/run` and `/tmp` lie in memory that only this systemd sees. Of Debian's
units, only those of strongSwan and BIRD can be started.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 90
"""Seconds that anything may take; software emulation is slow."""

KEPT = (
    *("basic.target", "sysinit.target", "sockets.target", "dbus.socket", "-.slice", "system.slice"),
    *("strongswan.service", "bird.service"),
)
"""Units of Debian that are not masked."""

MASK = f"""
import os
for unit in os.scandir("/lib/systemd/system"):
    if unit.name not in {KEPT} and not unit.is_dir():
        os.symlink("/dev/null", unit.name)
"""
"""One process: a shell would fork for each of them, which takes a minute where it is emulated."""

BEGIN = f"""
set -e
for place in /run /tmp; do mount -t tmpfs tmpfs $place; done
cp -a /etc /run/etc
mount --bind /run/etc /etc
mount --make-rshared /
ip link set lo up
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
rm -rf /etc/systemd/system
mkdir /etc/systemd/system
cd /etc/systemd/system
{shlex.quote(sys.executable)} -S -c {shlex.quote(MASK)}
"""

END = "\nexec env container=lxc /lib/systemd/systemd --system --unit=basic.target\n"


class Manager:
    """A running systemd."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def inside(self, *command: str) -> list[str]:
        """Return the command line that runs a command where systemd is."""
        return ["nsenter", "--all", f"--target={self.pid}", "--", *command]

    def run(self, *command: str) -> str:
        """Run a command there; return what it prints, whatever its status is."""
        done = subprocess.run(
            self.inside(*command), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return done.stdout.strip()

    def show(self, key: str) -> str:
        """Return a property of vtid's service."""
        return self.run("systemctl", "show", "vtid", f"--property={key}", "--value")

    def eventually(self, happened: Callable[[], bool]) -> None:
        """Wait for a condition; raises `AssertionError` with what systemd and vtid say."""
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, self.run(
                "sh", "-c", "systemctl status vtid -l; PATH=$PATH:/usr/local/bin vtictl status"
            )
            time.sleep(0.2)


@contextmanager
def booted(script: str = "") -> Iterator[Manager]:
    """Run a shell script in the new namespaces, in /etc/systemd/system, and then systemd."""
    unshare = ["unshare", "--pid", "--mount", "--net", "--fork", "--mount-proc", "--kill-child"]
    outer = subprocess.Popen(
        [*unshare, "bash", "-c", BEGIN + script + END],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        deadline = time.monotonic() + PATIENCE
        while not (pids := children.read_text().split()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        manager = Manager(int(pids[0]))
        manager.eventually(
            lambda: manager.run("systemctl", "is-system-running") in {"running", "degraded"}
        )
        yield manager
    finally:
        outer.kill()
        outer.wait()
