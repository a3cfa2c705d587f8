"""In the machine: install the Debian package beside a running systemd, upgrade it, and purge it.

Run by `make deb`. The machine has what the package depends on, charon, and a kernel with VTI.
Rules of this file: it writes to the machine's disk, which is thrown away.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.systemd import Manager, booted

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = """
[[tunnel]]
connection = "V3-1"
interface = "vti4"
presence = "always"
local = "192.0.2.1"
remote = "192.0.2.2"
mark = 42
esp = "aes256gcm16-ecp384"
addresses = ["169.254.1.0/31"]
"""

PATIENCE = 400
"""Seconds for dpkg: the package compiles its modules, on an emulated processor."""


def dpkg(systemd: Manager, *arguments: str) -> None:
    """Run dpkg where systemd is."""
    command = systemd.inside("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def installed(systemd: Manager, package: str) -> str:
    """Install the package: the service waits for a configuration."""
    systemd.run("systemctl", "start", "strongswan")
    dpkg(systemd, "--install", package)
    seen = [systemd.show(key) for key in ("UnitFileState", "ActiveState", "ConditionResult")]
    assert seen == ["enabled", "inactive", "no"], seen
    return "enabled, and not started without a configuration"


def started(systemd: Manager, _package: str) -> str:
    """Write a configuration and start the service: charon and the kernel let it in."""
    write = f"umask 027; cat >/etc/vtid/vtid.toml <<'X'{CONFIG}X\n"
    systemd.run("sh", "-c", write)
    systemd.run("systemctl", "start", "vtid")
    systemd.eventually(lambda: "169.254.1.0/31" in systemd.run("ip", "address"))
    systemd.eventually(lambda: systemd.show("StatusText") == "tunnels: 1 down")
    return f"interface made by the user {systemd.run('stat', '-c', '%U', '/run/vtid/control.sock')}"


def upgraded(systemd: Manager, package: str) -> str:
    """Install it again: the service restarts, and the kernel hears nothing of it."""
    before = systemd.show("MainPID")
    monitor = subprocess.Popen(
        [
            "nsenter",
            "--net",
            f"--target={systemd.pid}",
            "ip",
            "monitor",
            "link",
            "address",
            "route",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        dpkg(systemd, "--install", package)
        assert systemd.show("ActiveState") == "active"
        assert systemd.show("MainPID") != before, "it was not restarted"
        systemd.eventually(lambda: systemd.show("StatusText") == "tunnels: 1 down")
    finally:
        monitor.terminate()
        events, _ = monitor.communicate()
    assert events == "", events
    return "restarted, with no event of links, addresses or routes"


def purged(systemd: Manager, _package: str) -> str:
    """Purge it: the service goes, the tunnel stays."""
    dpkg(systemd, "--purge", "vtid")
    left = systemd.run("sh", "-c", "getent passwd vtid; ls -d /etc/vtid /var/lib/vtid")
    seen = (systemd.show("LoadState"), left, "vti4" in systemd.run("ip", "link"))
    assert seen == ("not-found", "", True), seen
    return "service, user and directories are gone, the interface stays"


STEPS: tuple[Callable[[Manager, str], str], ...] = (installed, started, upgraded, purged)


def main(package: str) -> int:
    """Run the trial; return 0 if everything holds."""
    with booted() as systemd:
        for step in STEPS:
            try:
                print(f"PASS  {step.__name__}: {step(systemd, package)}", flush=True)
            except AssertionError as error:
                print(f"FAIL  {step.__name__}: {error}", flush=True)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
