"""How long a real BIRD takes for a push of 1,000 and of 10,000 sessions, and vtid around it.

    python -m tests.bench.bench_bird [SESSIONS …]

BIRD (`VTID_BIRDS`, else /usr/sbin/bird) runs without privileges in a directory of its own, and the
neighbours are not there. Machines differ: the ratios, of one run, are what can be compared.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.birds import bird, declared
from vtid.bird.blocks import difference
from vtid.bird.control import Control
from vtid.bird.protocols import ProtocolReader, clock
from vtid.bird.push import Pusher
from vtid.bird.render import HEADER, compose, render
from vtid.bird.template import shipped
from vtid.model.bgp import BgpSession, BirdBlock

COUNTS = (1_000, 10_000)


def block(number: int) -> BirdBlock:
    session = BgpSession(f"vtid_{number}", f"t{number}", "fe80::2", 65001, 65002)
    return BirdBlock("bench", f"t{number}", (session,))


async def measure(count: int, directory: Path) -> dict[str, float]:
    """Seconds of each step of a first push of `count` sessions, and of one more session."""
    daemon = declared()[0]
    config = daemon.config(1, f'include "{directory}/vtid.bench.conf";')
    (directory / "vtid.bench.conf").write_text(HEADER)
    seconds: dict[str, float] = {}
    with bird(config, directory, "bench", daemon=daemon) as real:
        template = shipped(daemon.template)
        start = time.perf_counter()
        texts = {f"t{number}": render(block(number), template) for number in range(count + 1)}
        seconds["render"] = time.perf_counter() - start
        last = texts.pop(f"t{count}")
        start = time.perf_counter()
        difference(HEADER, compose(texts))
        seconds["compose and compare"] = time.perf_counter() - start
        async with await Control.connect(str(real.socket)) as control:
            pusher = Pusher("bench", str(real.include))
            await pusher.adopt()
            for tunnel, text in texts.items():
                pusher.blocks.change(tunnel, text)
            seconds["push all"] = await push(pusher, control)
            seconds["of that in BIRD"] = pusher.seconds
            pusher.blocks.change(f"t{count}", last)
            seconds["push one more"] = await push(pusher, control)
            seconds["of that in BIRD again"] = pusher.seconds
            seconds["poll"] = await poll(control, count + 1)
    return seconds


async def push(pusher: Pusher, control: Control) -> float:
    start = time.perf_counter()
    await pusher.write()
    await pusher.push(control, ())
    if pusher.unconfirmed or pusher.error:
        raise RuntimeError(pusher.error)
    return time.perf_counter() - start


async def poll(control: Control, count: int) -> float:
    start = time.perf_counter()
    reader = ProtocolReader("bench", clock(await control.ask("show status"), time.time()))
    await control.stream("show protocols all", reader.feed)
    reader.close()
    if len(reader.bgp) != count:
        raise RuntimeError(f"{len(reader.bgp)} sessions instead of {count}")
    return time.perf_counter() - start


def main() -> None:
    """Print a table of seconds, with the ratio of the last column to the first."""
    counts = [int(word) for word in sys.argv[1:]] or list(COUNTS)
    columns = []
    for count in counts:
        with tempfile.TemporaryDirectory() as directory:
            columns.append(asyncio.run(measure(count, Path(directory))))
    print(f"{'sessions':<24}" + "".join(f"{count:>10,}" for count in counts) + f"{'ratio':>8}")
    for step in columns[0]:
        values = [column[step] for column in columns]
        ratio = values[-1] / values[0]
        print(f"{step:<24}" + "".join(f"{value:>8.3f} s" for value in values) + f"{ratio:>8.1f}")


if __name__ == "__main__":
    main()
