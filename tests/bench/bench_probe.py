"""What probes cost: the share of one core that confirmations of many tunnels take.

    python -m tests.bench.bench_probe [TUNNELS] [INTERVAL]        as root: raw sockets

10,000 tunnels that confirm their MTU every 30 seconds are 333 probes per second. Both parts are
measured for one interval, one after the other, in CPU seconds of this process:

* the core: deadlines, probes and their answers, through `State.work` and `State.apply`
* the edge: real echo requests of the full size over `lo`, in batches as the core asks for them, and
  their answers; what the kernel does for both, and for the peer's answer, is included
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from dataclasses import replace

from tests.bench.bench_core import configuration
from tests.core.world import World, sa
from vtid.core.probing import BATCH
from vtid.kernel.echo import Echo
from vtid.model.input import Input, OpDone, ProbeAnswered
from vtid.model.operation import SendProbe

MTU = 1426
"""Bytes; AES-GCM in IPv6 with 1,500 outside."""

WARM_UP = 60.0
"""Seconds in which all searches end."""


def settled(tunnels: int, interval: float) -> World:
    """A core whose tunnels are all proven."""
    config = configuration(tunnels)
    probe = replace(config.policies[0].probe, interval=interval)
    policies = tuple(replace(one, probe=probe) for one in config.policies)
    sas = [sa(number, f"c{number}", number) for number in range(1, tunnels + 1)]
    world = World(config=replace(config, policies=policies), checked=False)
    world.passes = 65535
    world.start(sas)
    end = world.now + WARM_UP
    while world.now < end:
        world.pass_time(BATCH)
    return world


def core(world: World, seconds: float) -> tuple[float, int]:
    """CPU seconds of the core for some seconds of its time, and how many probes were sent."""
    state, now, sent = world.state, world.now, 0
    begun = time.process_time()
    for _ in range(int(seconds / BATCH)):
        now += BATCH
        for op in state.work(now):
            assert isinstance(op, SendProbe)
            sent += len(op.sizes)
            for event in answers(op):
                state.apply(event, now)
    return time.process_time() - begun, sent


def answers(op: SendProbe) -> list[Input]:
    return [OpDone(op), *(ProbeAnswered(op.tunnel, op.round, size, 0.02) for size in op.sizes)]


async def edge(probes: int, batch: int) -> float:
    """CPU seconds of that many requests and answers over `lo`."""
    found = 0
    done = asyncio.Event()

    def post(event: Input) -> None:
        nonlocal found
        assert isinstance(event, ProbeAnswered)
        found += 1
        if found == probes:
            done.set()

    echo = Echo(post, lambda _: set())
    begun = time.process_time()
    for first in range(0, probes, batch):
        ops = [probe(number) for number in range(first, min(first + batch, probes))]
        results = await echo.execute(ops)
        assert all(isinstance(result, OpDone) for result in results), results
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await done.wait()
    spent = time.process_time() - begun
    echo.close()
    return spent


def probe(number: int) -> SendProbe:
    return SendProbe(
        tunnel=f"vti{number}",
        reason="",
        netns="",
        ifindex=socket.if_nametoindex("lo"),
        peer="127.0.0.1",
        round=1,
        sizes=(MTU,),
    )


def main() -> None:
    tunnels = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    interval = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    spent, sent = core(settled(tunnels, interval), interval)
    at_the_edge = asyncio.run(edge(sent, max(1, int(sent * BATCH / interval))))
    print(f"{tunnels} tunnels, each confirmed every {interval:g} s: {sent} probes per interval")
    for what, seconds in (("core", spent), ("edge", at_the_edge), ("both", spent + at_the_edge)):
        share, each = 100 * seconds / interval, 1e6 * seconds / sent
        print(f"{what}  {seconds:6.3f} s CPU  {share:5.2f} % of a core  {each:6.1f} µs per probe")


if __name__ == "__main__":
    main()
