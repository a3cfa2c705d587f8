"""Cost of an event in the core, with few tunnels and with many, in one run.

    python -m tests.bench.bench_core [TUNNELS]

An event is what follows from one CHILD rekey (no operation) and from one loss of an SA and its
return within the hold time, through `State.apply` and `State.work`. The ratio is the point: it
says whether the cost of an event grows with the number of tunnels.
"""

from __future__ import annotations

import sys
import time
from statistics import median

from tests.core.world import World, sa
from vtid.config import Config, load
from vtid.model import ChildDown, ChildRekeyed, ChildUp

EVENTS = 300
ROUNDS = 7


def configuration(tunnels: int) -> Config:
    tables = (
        f'[[tunnel]]\nconnection = "c{number}"\ninterface = "vti{number}"\n'
        f'addresses = ["2001:db8:ff::{2 * number:x}/127"]\n'
        for number in range(1, tunnels + 1)
    )
    return load("".join(tables))


def world_of(tunnels: int) -> World:
    sas = [
        sa(number, f"c{number}", number, ike_unique_id=number) for number in range(1, tunnels + 1)
    ]
    return World(config=configuration(tunnels)).start(sas)


def rekeys(world: World, first: int) -> float:
    begin = time.perf_counter()
    for number in range(EVENTS):
        world.tell(ChildRekeyed(first + number, sa(first + number + 1, "c1", 1)))
    return (time.perf_counter() - begin) / EVENTS


def flaps(world: World, last: int) -> float:
    begin = time.perf_counter()
    for number in range(EVENTS):
        world.tell(ChildDown(last + number))
        world.tell(ChildUp(sa(last + number + 1, "c1", 1)))
    return (time.perf_counter() - begin) / EVENTS / 2


def measure(tunnels: int) -> tuple[float, float]:
    """Median seconds per rekey and per loss or return."""
    world = world_of(tunnels)
    unique_id = 10_000_000
    world.tell(ChildRekeyed(1, sa(unique_id, "c1", 1)))
    rekey, flap = [], []
    for _ in range(ROUNDS):
        rekey.append(rekeys(world, unique_id))
        unique_id += EVENTS
        flap.append(flaps(world, unique_id))
        unique_id += EVENTS
    return median(rekey), median(flap)


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    few_cost, many_cost = measure(10), measure(many)
    for what, few, much in zip(("CHILD rekey", "loss, return"), few_cost, many_cost, strict=True):
        print(
            f"{what:13} {few * 1e6:7.1f} us with 10 tunnels, {much * 1e6:7.1f} us with {many}: "
            f"ratio {much / few:.2f}"
        )


if __name__ == "__main__":
    main()
