"""What a user would have instead of vtid: `ip -batch`, `nft -f`, an updown script, `ip link del`.

Each function makes or removes the same interfaces as vtid does, and returns the seconds it took.
`batch` leaves out the interfaces' sysctls, which `settings` sets.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.bench.played_charon import LOCAL, remote

GROUP = 4711
MTU = 1406
VTI6 = ("vti6", "key")
VXLAN = ("vxlan dstport 4789", "id")
"""A kind of interface in the words of ip(8), and what it calls the number of one."""
SCRIPT = Path(__file__).with_name("updown.sh")

TABLE = """table inet vtid {
  map mss4_out { typeof oifname : tcp option maxseg size; }
  map mss6_out { typeof oifname : tcp option maxseg size; }
}
"""
"""As much of a ruleset as the clamps need to be there."""


def address(number: int) -> str:
    """Return the address of an interface."""
    return f"fd00::{2 * number:x}/127"


def timed(*command: str, text: str = "", env: dict[str, str] | None = None) -> float:
    """Run a command; return the seconds it took."""
    start = time.perf_counter()
    subprocess.run(command, check=True, text=True, input=text, env=env, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def batch(count: int, kind: tuple[str, str]) -> float:
    """Make all interfaces by `ip -batch`, and their clamps by `nft -f`."""
    numbers = range(1, count + 1)
    links = [line for number in numbers for line in _lines(number, *kind)]
    pairs = {4: MTU - 40, 6: MTU - 60}
    clamps = [
        f"add element inet vtid mss{family}_out {{ "
        + ", ".join(f'"vti{number}" : {mss}' for number in numbers)
        + " }"
        for family, mss in pairs.items()
    ]
    return timed("ip", "-batch", "-", text="\n".join(links)) + timed(
        "nft", "-f", "-", text=TABLE + "\n".join(clamps) + "\n"
    )


def load_module(kind: tuple[str, str]) -> None:
    """Have the kernel load what makes interfaces of a kind."""
    timed("ip", *_lines(1, *kind)[0].split())
    remove_one_by_one(1)


def settings(count: int) -> float:
    """Give all interfaces by `sysctl -p` the IPv4 settings that vtid gives to them."""
    lines = (
        f"net.ipv4.conf.vti{number}.{setting}"
        for number in range(1, count + 1)
        for setting in ("disable_policy=1", "rp_filter=0")
    )
    return timed("sysctl", "-q", "-p", "-", text="\n".join(lines))


def _lines(number: int, kind: str, key: str) -> tuple[str, ...]:
    name, ends = f"vti{number}", f"local {LOCAL} remote {remote(number)} {key} {number}"
    return (
        f"link add {name} mtu {MTU} group {GROUP} type {kind} {ends}",
        f"link set {name} alias batch:{name}",
        f"address add {address(number)} dev {name} nodad",
        f"link set {name} up",
    )


def remove_group() -> float:
    """Remove all interfaces by `ip link del group`."""
    return timed("ip", "link", "del", "group", str(GROUP))


def remove_one_by_one(count: int) -> float:
    """Remove the first interfaces by one `ip link del` for each."""
    loop = f"for n in $(seq {count}); do ip link del vti$n; done"
    return timed("sh", "-c", loop)


def remove_clamps() -> None:
    """Remove the table."""
    timed("nft", "delete", "table", "inet", "vtid")


def updown(number: int, kind: tuple[str, str]) -> float:
    """Run the updown script for one new SA; the table has to be there. Removes it again."""
    surroundings = {
        "PLUTO_PEER": remote(number),
        "PLUTO_CONNECTION": f"c{number}",
        "LOCAL": LOCAL,
        "NUMBER": str(number),
        "ADDRESS": address(number),
        "MTU": str(MTU),
        "KIND": kind[0],
        "KEY": kind[1],
    }
    took = timed("sh", str(SCRIPT), env={**surroundings, "PLUTO_VERB": "up-client-v6"})
    timed("sh", str(SCRIPT), env={**surroundings, "PLUTO_VERB": "down-client-v6"})
    return took


def load_table() -> None:
    """Make the table that the updown script adds to."""
    timed("nft", "-f", "-", text=TABLE)
