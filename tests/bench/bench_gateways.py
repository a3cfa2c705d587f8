"""A hundred thousand tunnels on several gateways: what each of them has to do, in the core.

    python -m tests.bench.bench_gateways [TUNNELS]

Each gateway has its share of the tunnels, a process and a configuration of its own, and shares
nothing with the others. Then one of them fails, and each of the others gets a part of its peers, as
anycast or ECMP would have it. The kernel is one of dicts (`tests.core.world`): its time and
charon's come on top.
"""

from __future__ import annotations

import subprocess
import sys
import time
from ipaddress import IPv6Address
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.bench_core import EVENTS, configuration, rekeys
from tests.core.world import World, sa
from vtid.model.input import ChildRekeyed, ChildUp

if TYPE_CHECKING:
    from vtid.model.sa import ChildSa

GATEWAYS = (1, 2, 5, 10, 20)
MANY = 100_000
REPLACED = 10_000_000
"""Unique IDs of SAs that replace others are above."""


def share(own: int, taken: int) -> str:
    """Be one gateway; return a line of figures, in seconds and MB."""
    config = configuration(own + taken)  # whoever may take over peers has their policies
    begin = time.process_time()
    sas = [_peer(n) for n in range(1, own + 1)]
    world = World(config=config, checked=False).start(sas)
    started = time.process_time() - begin
    world.tell(ChildRekeyed(1, sa(REPLACED, "c1", 1)))
    event = median(rekeys(world, REPLACED + round * EVENTS) for round in range(3))  # noqa: A001
    begin = time.process_time()
    world.tell(*(ChildUp(_peer(n)) for n in range(own + 1, own + taken + 1)))
    over = time.process_time() - begin
    return f"{started} {event} {over} {_memory()}"


def _peer(number: int) -> ChildSa:
    host = str(IPv6Address("2001:db8:9::") + number)
    return sa(number, f"c{number}", number, ike_unique_id=number, remote_host=host)


def _memory() -> float:
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line
    )
    return int(line.split()[1]) / 1000


def row(tunnels: int, gateways: int) -> str:
    """Return a line of the table."""
    own = tunnels // gateways
    taken = own // (gateways - 1) if gateways > 1 else 0
    command = [sys.executable, "-m", "tests.bench.bench_gateways", str(own), str(taken)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    started, event, over, memory = map(float, told.split())
    return (
        f"| {gateways} | {own:,} | {started:.1f} s | {memory:.0f} MB | {event * 1e6:.0f} µs | "
        + (f"{taken:,} | {over:.2f} s |" if taken else "- | - |")
    )


def main() -> None:
    """Print the table, or be one gateway."""
    numbers = [int(word) for word in sys.argv[1:]]
    if len(numbers) == 2:
        print(share(*numbers))
        return
    tunnels = numbers[0] if numbers else MANY
    print("| gateways | tunnels each | start | memory | a rekey | one fails: each gets | within |")
    print("|---|---|---|---|---|---|---|")
    for gateways in GATEWAYS:
        print(row(tunnels, gateways), flush=True)


if __name__ == "__main__":
    main()
