"""Cost of an event in the core, with few tunnels and with many, in one run.

    python -m tests.bench.bench_core [TUNNELS]

An event is what follows from one CHILD rekey (no operation) and from one loss of an SA and its
return within the hold time, through `State.apply` and `State.work`. The ratio is the point: it
says whether the cost of an event grows with the number of tunnels, or with the number of peers
that share one interface (`remote = "any"`, `routes = "remote-ts"`).
"""

from __future__ import annotations

import sys
import time
from ipaddress import IPv6Address
from statistics import median
from typing import TYPE_CHECKING

from tests.core.world import World, sa
from vtid.config.load import load
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp

if TYPE_CHECKING:
    from vtid.config.keys import Config
    from vtid.model.sa import ChildSa

EVENTS = 300
ROUNDS = 7


INNER = IPv6Address("2001:db8:ff::")
"""Inner addresses begin here."""


def configuration(tunnels: int) -> Config:
    tables = (
        f'[[tunnel]]\nconnection = "c{number}"\ninterface = "vti{number}"\n'
        f'addresses = ["{INNER + 2 * number}/127"]\n'
        for number in range(1, tunnels + 1)
    )
    return load("".join(tables))


def world_of(tunnels: int) -> World:
    """Many tunnels, all to one peer."""
    sas = [
        sa(number, f"c{number}", number, ike_unique_id=number) for number in range(1, tunnels + 1)
    ]
    return World(config=configuration(tunnels), checked=False).start(sas)


SHARED = load(
    '[[tunnel]]\nconnection = "c1"\ninterface = "vti1"\nremote = "any"\nroutes = "remote-ts"\n'
)


def peer(number: int) -> ChildSa:
    """A road warrior with a virtual IP, one of many on one interface."""
    return sa(
        number,
        "c1",
        1,
        ike_unique_id=number,
        remote_id=f"peer{number}",
        remote_host=f"2001:db8:9::{number:x}",
        remote_ts=(f"10.7.{number // 256}.{number % 256}/32",),
    )


def peers_of(peers: int) -> World:
    """One interface that many peers share."""
    sas = [peer(number) for number in range(1, peers + 1)]
    return World(config=SHARED, checked=False).start(sas)


def shared(peers: int) -> float:
    """Median seconds per loss or return of one of the peers that share an interface."""
    world = peers_of(peers)
    costs = []
    for _ in range(EVENTS // 10):
        begin = time.perf_counter()
        world.tell(ChildDown(1))
        world.tell(ChildUp(peer(1)))
        costs.append((time.perf_counter() - begin) / 2)
    return median(costs)


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
    for peers in (10, 1000, 5000):
        print(f"loss, return  {shared(peers) * 1e6:7.1f} us with {peers} peers on one interface")


if __name__ == "__main__":
    main()
