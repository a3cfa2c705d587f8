"""What it costs to raise an interface's MTU for one probe.

    python -m tests.lab.host run --for daemons -- python3 -m tests.kernel.measure_raise

A pair of veth interfaces, and real echo requests: within the MTU, and above it.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median

from tests.kernel.test_echo_lab import linked

ROUNDS = 200


async def measure() -> None:
    async with linked() as link:
        for name, size in (("within", 1446), ("above", 1500)):
            times, op = [], link.op("10.7.0.2", size)
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                await link.echo.execute([op])
                times.append(time.perf_counter() - begun)
            print(f"{name} the MTU: {1e6 * median(times):6.0f} µs per probe")


if __name__ == "__main__":
    asyncio.run(measure())
