"""vtid as a service of a real systemd: PID 1 of namespaces of its own, with our unit file.

Nothing is written outside the mount namespace: units, configuration and the command `vtid` lie on
file systems in memory that only this systemd sees.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[1]
PATIENCE = 90
"""Seconds that anything may take; software emulation is slow."""

CONFIG = '[[tunnel]]\nconnection = "V2-1"\ninterface = "vti3"\n'

BEGIN = f"""
set -e
for place in /etc/systemd/system /usr/local/bin /run /tmp; do mount -t tmpfs tmpfs $place; done
mkdir -p /etc/vtid 2>/dev/null || true
mount -t tmpfs tmpfs /etc/vtid
mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd /etc/systemd/system
for unit in /lib/systemd/system/*; do ln -s /dev/null $(basename $unit); done
for unit in basic.target sysinit.target sockets.target dbus.socket -.slice system.slice; do
  rm -f ./$unit
done
cp {shlex.quote(str(ROOT))}/systemd/vtid.service .
mkdir vtid.service.d
printf '[Service]\\nWatchdogSec=5s\\n' > vtid.service.d/quick.conf
printf '%s' {shlex.quote(CONFIG)} > /etc/vtid/vtid.toml
printf '#!/bin/sh\\nexport PYTHONPATH=%s\\nexec %s -m vtid "$@"\\n' \
  {shlex.quote(":".join([str(ROOT), *sys.path[1:]]))} {shlex.quote(sys.executable)} \
  > /usr/local/bin/vtid
chmod +x /usr/local/bin/vtid
exec env container=lxc /lib/systemd/systemd --system --unit=basic.target
"""


class Manager:
    """A running systemd."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *command: str) -> str:
        enter = ("nsenter", "--all", f"--target={self.pid}", "--")
        done = subprocess.run(
            [*enter, *command], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return done.stdout.strip()

    def show(self, key: str) -> str:
        return self.run("systemctl", "show", "vtid", f"--property={key}", "--value")

    def eventually(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, self.run("systemctl", "status", "vtid", "-l")
            time.sleep(0.2)


@pytest.fixture(scope="module")
def systemd() -> Iterator[Manager]:
    unshare = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
    outer = subprocess.Popen(
        [*unshare, "bash", "-c", BEGIN], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
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


def test_start_reload_watchdog_and_stop(systemd: Manager) -> None:
    systemd.run("systemctl", "start", "vtid")
    assert systemd.show("ActiveState") == "active", "start returns after READY=1"
    systemd.eventually(lambda: systemd.show("StatusText") == "tunnels: 1 down")

    systemd.run("sh", "-c", "echo 'unknown = 1' >> /etc/vtid/vtid.toml")
    systemd.run("systemctl", "reload", "vtid")
    assert systemd.show("ActiveState") == "active", "a bad configuration ends nothing"
    systemd.run("sh", "-c", "sed -i /unknown/d /etc/vtid/vtid.toml")

    systemd.run("kill", "-STOP", systemd.show("MainPID"))
    systemd.eventually(lambda: systemd.show("NRestarts") == "1")
    systemd.eventually(lambda: systemd.show("ActiveState") == "active")

    systemd.run("systemctl", "stop", "vtid")
    assert systemd.show("ActiveState") == "inactive"
    assert systemd.show("Result") == "success"


def test_of_the_kernels_settings_those_of_the_network_can_be_written(systemd: Manager) -> None:
    """`sysctls = {ipv6 = …}` goes through /proc/sys, in any namespace: netlink has no request."""
    systemd.run("systemctl", "start", "vtid")
    inside = ("nsenter", "--mount", f"--target={systemd.show('MainPID')}", "--", "unshare", "--net")
    setting, other = "/proc/sys/net/ipv6/conf/lo/hop_limit", "/proc/sys/kernel/sysrq"
    here = systemd.run("cat", setting)
    written = systemd.run(*inside, "sh", "-c", f"echo 77 > {setting}; cat {setting}")
    assert written == "77"
    assert systemd.run("cat", setting) == here, "of another namespace"
    copy = f"value=$(cat {other}); echo $value 2>/dev/null > {other} || echo refused"
    assert systemd.run(*inside, "sh", "-c", copy) == "refused"


def test_a_bad_configuration_is_not_tried_again(systemd: Manager) -> None:
    systemd.run("sh", "-c", "echo 'unknown = 1' >> /etc/vtid/vtid.toml")
    systemd.run("systemctl", "restart", "vtid")
    assert systemd.show("ActiveState") == "failed"
    assert systemd.show("ExecMainStatus") == "78"
