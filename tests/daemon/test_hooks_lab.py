"""Hooks under the hardening of the unit: a program runs, and has no privilege."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.systemd import Manager, booted

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

ROOT = Path(__file__).parents[2]

TRIAL = """
import asyncio
from vtid.core.transitions import Turn
from vtid.daemon.hooks import Hooks
from tests.daemon.test_hooks import transition

async def main():
    hooks = Hooks()
    hooks.use("/etc/vtid/hooks.d")
    running = asyncio.create_task(hooks.run())
    hooks.post([transition()])
    while not sum(hooks.results.values()):
        await asyncio.sleep(0.05)
    print(dict(hooks.results), flush=True)
    print([line for line in open("/proc/self/status") if "CapEff" in line], flush=True)
    running.cancel()

asyncio.run(main())
"""
"""Runs one program as vtid does."""

HOOK = """#!/bin/sh
cat > /var/lib/vtid/event
cat /proc/self/status > /var/lib/vtid/status
touch /etc/vtid/mine 2> /var/lib/vtid/refused
ip link add made type dummy 2>> /var/lib/vtid/refused
true
"""

BEGIN = f"""
mount -t tmpfs tmpfs /var/lib
rm -rf /etc/vtid
files={shlex.quote(str(ROOT))}/systemd
systemd-sysusers $files/sysusers.d/vtid.conf
systemd-tmpfiles --create $files/tmpfiles.d/vtid.conf
touch /etc/vtid/vtid.toml
printf '%s' {shlex.quote(TRIAL)} > /etc/vtid/trial.py
install -d -m 0755 /etc/vtid/hooks.d
printf '%s' {shlex.quote(HOOK)} > /etc/vtid/hooks.d/hook
chmod 0755 /etc/vtid/hooks.d/hook
sed -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d; /^Watchdog/d; /^NotifyAccess/d' \
  -e 's,^ExecStart=.*,ExecStart={sys.executable} /etc/vtid/trial.py,' \
  -e '/^ExecReload/d' $files/vtid.service > vtid.service
mkdir vtid.service.d
printf '[Service]\\nEnvironment=PYTHONPATH=%s\\nStandardOutput=file:/run/trial.out\\n' \
  {shlex.quote(":".join([str(ROOT), *sys.path[1:]]))} > vtid.service.d/trial.conf
"""


@pytest.fixture(scope="module")
def systemd() -> Iterator[Manager]:
    with booted(BEGIN) as manager:
        yield manager


def test_a_program_runs_without_privileges_where_vtid_has_some(systemd: Manager) -> None:
    systemd.run("systemctl", "start", "vtid")
    said = systemd.run("cat", "/run/trial.out")
    assert "'done': 1" in said
    assert "0000000000003000" in said, "vtid itself keeps CAP_NET_ADMIN and CAP_NET_RAW"
    assert '"event": "up"' in systemd.run("cat", "/var/lib/vtid/event")
    status = dict(
        line.split(":\t", 1) for line in systemd.run("cat", "/var/lib/vtid/status").splitlines()
    )
    for kind in ("CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"
    assert set(status["Uid"].split()) == {systemd.run("id", "-u", "vtid")}
    refused = systemd.run("cat", "/var/lib/vtid/refused")
    assert "Read-only file system" in refused or "Permission denied" in refused
    assert "Operation not permitted" in refused
