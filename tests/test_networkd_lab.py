"""docs/migrate.md, interfaces of systemd-networkd: what there is when it lets one go.

A real networkd runs in namespaces of its own, with the shipped drop-in. There is no udev: a
read-only /sys tells networkd so. A bridge stands for the tunnel: networkd treats all kinds alike.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

ROOT = Path(__file__).parents[1]
PATIENCE = 60
MADE, OURS = "10.9.0.0/16", "10.8.0.0/16"
"""Routes of networkd, and of vtid besides."""

BEGIN = f"""
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
mkdir -p /run/systemd/network /run/systemd/networkd.conf.d
chown -R systemd-network:systemd-network /run/systemd/netif
cp {ROOT}/systemd/networkd.conf.d/vtid.conf /run/systemd/networkd.conf.d
mount -t sysfs -o ro sysfs /sys
touch /run/ready
exec sleep infinity
"""

FILES = {
    "20-t0.netdev": "[NetDev]\nName=t0\nKind=bridge\n",
    "20-t0.network": (
        "[Match]\nName=t0\n[Network]\nAddress=10.0.0.1/30\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n"
        f"[Route]\nDestination={MADE}\nScope=link\n"
    ),
}


@dataclass(frozen=True)
class Place:
    """The namespaces of one networkd."""

    pid: int

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", "--mount", "--net", f"--target={self.pid}", "--", *command]

    def run(self, command: str) -> str:
        done = subprocess.run(self.inside("sh", "-c", command), capture_output=True, check=False)
        return done.stdout.decode()

    def configure(self, files: dict[str, str]) -> None:
        self.run("rm -f /run/systemd/network/*")
        for name, text in files.items():
            self.run(f"cat > /run/systemd/network/{name} <<'END'\n{text}END\n")

    @contextmanager
    def networkd(self) -> Iterator[None]:
        process = subprocess.Popen(self.inside("/lib/systemd/systemd-networkd"))
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def state(self) -> str:
        """What networkd says of the interface."""
        return self.run("cat /run/systemd/netif/links/$(cat /sys/class/net/t0/ifindex)")


def eventually(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def place() -> Iterator[Place]:
    outer = subprocess.Popen(["unshare", "--mount", "--net", "sh", "-c", BEGIN])
    found = Place(outer.pid)
    try:
        eventually(lambda: "ready" in found.run("ls /run/ready"))
        yield found
    finally:
        outer.kill()
        outer.wait()


def test_an_interface_that_networkd_lets_go_keeps_what_it_has(place: Place) -> None:
    place.configure(FILES)
    with place.networkd():
        eventually(lambda: MADE in place.run("ip route show dev t0"))
        assert "proto static scope link" in place.run(f"ip route show {MADE}"), (
            "plain: `adopt` has it"
        )
    place.run(f"ip route add {OURS} dev t0 proto 118")
    place.configure({"20-t0.network": _of_the_page()})

    monitor = subprocess.Popen(place.inside("ip", "monitor"), stdout=subprocess.PIPE)
    with place.networkd():
        eventually(lambda: "ADMIN_STATE=unmanaged" in place.state())
    place.run("ip link set t0 alias end")
    monitor.terminate()
    events = monitor.communicate(timeout=PATIENCE)[0].decode()
    assert "Deleted" not in events
    routes = place.run("ip route show dev t0")
    assert MADE in routes
    assert OURS in routes
    assert "10.0.0.1/30" in place.run("ip address show dev t0")


def test_one_that_it_manages_gets_its_route_back_beside_vtids(place: Place) -> None:
    """Why networkd has to let go before vtid adopts."""
    place.configure(FILES)
    with place.networkd():
        eventually(lambda: MADE in place.run("ip route show dev t0"))
    place.run(f"ip route replace {MADE} dev t0 proto 118")
    assert "proto static" not in place.run(f"ip route show {MADE}")
    with place.networkd():
        eventually(lambda: "proto static" in place.run(f"ip route show {MADE}"))


def _of_the_page() -> str:
    """Return the file that docs/migrate.md has for an interface, for `t0`."""
    lines = (ROOT / "docs/migrate.md").read_text().splitlines()
    first = lines.index("       [Match]")
    block = [line.strip() for line in lines[first : first + 4]]
    assert block == ["[Match]", "Name=vti1", "[Link]", "Unmanaged=yes"]
    return "\n".join(block).replace("vti1", "t0") + "\n"
