"""The doctor beside a real udev and systemd-networkd that lay hands on vtid's interfaces.

A veth with vtid's group stands in for the interface. NetworkManager is not among the lab's
packages: `test_look_links.py` has its files.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.systemd import Manager, booted
from vtid.model.link import LINK_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

ROOT = Path(__file__).parents[2]

LINK_FILE = "[Match]\nOriginalName=vti*\n[Link]\nMTUBytes=1200\n"
NETWORK_FILE = "[Match]\nName=vti*\n"
RULE = 'SUBSYSTEM=="net", ACTION=="add", KERNEL=="vti2", NAME="lan0"\n'

CONFIG = """
[daemon]
control_socket = "/run/none"
[vici]
socket = "/run/none"
[[tunnel]]
connection = "a"
interface = "vti1"
[[tunnel]]
connection = "b"
interface = "vti2"
"""

BEGIN = f"""
umount -l /sys/fs/cgroup
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for unit in systemd-networkd.service systemd-networkd.socket systemd-udevd.service \\
  systemd-udevd-kernel.socket systemd-udevd-control.socket; do rm -f $unit; done
rm -f /etc/udev/rules.d/* /etc/systemd/network/* /etc/systemd/networkd.conf.d/*
mkdir -p /etc/udev/rules.d /etc/systemd/network /etc/systemd/networkd.conf.d
printf '%s' {shlex.quote(CONFIG)} > /etc/doctor.toml
"""

OURS = (
    ("99-vtid.rules", "/etc/udev/rules.d"),
    ("90-vtid.network", "/etc/systemd/network"),
    ("networkd.conf.d/vtid.conf", "/etc/systemd/networkd.conf.d"),
)


@pytest.fixture(scope="module")
def systemd() -> Iterator[Manager]:
    with booted(BEGIN) as manager:
        yield manager


def write(systemd: Manager, path: str, text: str) -> None:
    systemd.run("sh", "-c", f"printf '%s' {shlex.quote(text)} > {path}")


def make(systemd: Manager, name: str) -> None:
    systemd.run("ip", "link", "add", name, "group", str(LINK_GROUP), "type", "veth", "peer", "far")
    systemd.run("ip", "link", "set", name, "up")


def start(systemd: Manager) -> None:
    for unit in ("systemd-udevd", "systemd-networkd"):
        systemd.run("systemctl", "restart", unit)


def findings(systemd: Manager) -> set[tuple[str, str]]:
    doctor = (sys.executable, "-m", "vtid", "--doctor", "--config", "/etc/doctor.toml")
    found = json.loads(systemd.run("env", f"PYTHONPATH={ROOT}:{':'.join(sys.path[1:])}", *doctor))
    words = ("udev", "networkd", "networkmanager")
    pairs = ((one["id"], one["subject"]) for one in found["findings"])
    return {pair for pair in pairs if pair[0].startswith(words)}


def test_what_udev_and_networkd_do_is_found_and_our_files_end_it(systemd: Manager) -> None:
    write(systemd, "/etc/systemd/network/95-all.link", LINK_FILE)
    write(systemd, "/etc/systemd/network/95-all.network", NETWORK_FILE)
    write(systemd, "/etc/udev/rules.d/70-names.rules", RULE)
    start(systemd)
    make(systemd, "vti1")
    wanted = {
        ("networkd-routes", "systemd-networkd"),
        ("networkd-link", "vti1"),
        ("udev-changes", "vti1"),
        ("udev-changes", "vti2"),
        ("udev-rules", "vti1"),
    }
    systemd.eventually(lambda: findings(systemd) == wanted)
    assert "mtu 1200" in systemd.run("ip", "link", "show", "vti1"), "udev did what was found"

    systemd.run("ip", "link", "delete", "vti1")
    systemd.run("rm", "/etc/systemd/network/95-all.link", "/etc/udev/rules.d/70-names.rules")
    for file, place in OURS:
        systemd.run("cp", f"{ROOT}/systemd/{file}", place)
    start(systemd)
    make(systemd, "vti1")
    entry = "grep -h ID_VTID /run/udev/data/n*"
    systemd.eventually(lambda: "E:ID_VTID=1" in systemd.run("sh", "-c", entry))
    systemd.eventually(lambda: findings(systemd) == set())
