"""Faults of the machine: events that are lost, limits, and a clock that jumps.

Rules of this file: a limit is vtid's alone, and is lifted by its process number. A vtid that
another fault has killed has none.
"""

from __future__ import annotations

import resource
import subprocess
import time
from typing import TYPE_CHECKING

from tests.chaos.fault import fault
from tests.lab.checks import direct
from vtid.kernel.sockets import EVENT_BUFFER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.chaos.world import World

STORM = 200
"""Links that come and go at once: far more events than the small buffer has room for."""

SMALL_BUFFER = 4096

SPARE_MEMORY = (0, 1 << 16, 1 << 20, 1 << 24)
"""Bytes of address space that vtid gets beyond what it has."""


@fault("limits")
def events_are_lost(world: World, draw: Random) -> Iterator[None]:
    """Some of them: those of our own links among the others."""
    if not world.runs():
        yield
        return
    vtid = world.vtid
    vtid.set_netlink_buffers(SMALL_BUFFER)
    private = draw.random() < 1 / 2
    words = [f"link add storm{n} type bridge" for n in range(STORM)]
    words.insert(STORM // 2, f"link delete {'in4' if private else 'four'}")
    words += [f"link delete storm{n}" for n in range(STORM)]
    with direct.inside(world.private if private else world.a.netns):
        text = "\n".join([*words, ""])
        subprocess.run(
            ["ip", "-force", "-batch", "-"], input=text, text=True, capture_output=True, check=False
        )
    yield
    vtid.set_netlink_buffers(EVENT_BUFFER)


@fault("limits")
def descriptors_run_out(world: World, draw: Random) -> Iterator[None]:
    if not world.runs():
        yield
        return
    vtid = world.vtid
    number = sum(n for kind, n in vtid.open().items() if kind != "threads")
    with vtid.limited(resource.RLIMIT_NOFILE, number + draw.choice([0, 1, 3])):
        _work(world)
        yield


@fault("limits")
def memory_runs_out(world: World, draw: Random) -> Iterator[None]:
    """vtid may end of it, or hang: systemd starts it again.

    Python's `Thread.start` waits for good for a thread that has no memory to begin.
    """
    if not world.runs():
        yield
        return
    vtid = world.vtid
    world.expected_end = world.expected_errors = True
    with vtid.limited(resource.RLIMIT_AS, vtid.address_space() + draw.choice(SPARE_MEMORY)):
        _work(world)
        yield


def _work(world: World) -> None:
    """Give vtid something to do that takes what it lacks."""
    world.ip("link delete four")
    world.ask("/v1/resync", "POST")


@fault("clock")
def the_clock_jumps(world: World, draw: Random) -> Iterator[None]:
    before, since = time.time(), time.monotonic()
    time.clock_settime(
        time.CLOCK_REALTIME, before + draw.choice([-86400, -5, 5, 3600, 86400 * 400])
    )
    yield
    time.clock_settime(time.CLOCK_REALTIME, before + time.monotonic() - since)
