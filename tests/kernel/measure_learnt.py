"""What it costs to list the path MTUs that the kernel learnt, beside many routes.

    unshare -n .venv/bin/python -m tests.kernel.measure_learnt

An exception belongs to a route, so that the kernel walks all of them.
"""

from __future__ import annotations

import subprocess
import time

from vtid.kernel.sockets import Requests
from vtid.kernel.underlay import learnt

TIMES = 20


def main() -> None:
    """Print the milliseconds of a listing with each number of routes."""
    there = 0
    ip("link set lo up", "link add eth0 type veth peer name eth1", "link set eth0 up")
    ip("link set eth1 up", "address add 203.0.113.1/24 dev eth0")
    for routes in (0, 10_000, 100_000, 1_000_000):
        ip(*(f"route add {_address(n)} via 203.0.113.2" for n in range(there, routes)))
        there = routes
        requests = Requests()
        began = time.perf_counter()
        for _ in range(TIMES):
            learnt(requests)
        each = (time.perf_counter() - began) / TIMES * 1000
        print(f"{routes:9,} routes: {each:7.2f} ms")
        requests.close()


def ip(*lines: str) -> None:
    subprocess.run(["ip", "-batch", "-"], check=True, text=True, input="\n".join(lines))


def _address(number: int) -> str:
    return f"{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.0/24"


if __name__ == "__main__":
    main()
