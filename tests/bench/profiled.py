"""A profile of vtid's event loop, and one of its threads, whenever a signal asks for them.

    make storms PROFILE=1
    python -m pstats lab-out/profile/7-ups-of-all-at-once.loop

Rules of this file:

* What waits counts where it waits, as `select` does. Functions that are called often look dearer
  than they are: count what is gained without the profiler.
* With Python 3.11 (OS=bookworm): since 3.12 a process has one profile, of all its threads.
"""

from __future__ import annotations

import signal
from collections import defaultdict
from concurrent.futures import thread
from contextlib import suppress
from cProfile import Profile
from pathlib import Path
from pstats import Stats
from threading import get_ident

SIGNAL = signal.SIGUSR2
PLACE = Path("/out/profile")
"""`lab-out/profile` where the lab runs (`tests.lab.host`)."""
LOOP, THREADS = PLACE / "loop", PLACE / "threads"
"""The last ones; `LOOP` is written last."""


def begin() -> None:
    """Profile the thread of the caller, and all work that is given to pools of threads."""
    PLACE.mkdir(exist_ok=True)
    LOOP.unlink(missing_ok=True)
    loop, threads = Profile(), defaultdict[int, Profile](Profile)
    run = thread._WorkItem.run

    def profiled(item: thread._WorkItem[object]) -> None:
        profile = threads[get_ident()]
        with suppress(ValueError):  # since Python 3.12
            profile.enable()
        try:
            run(item)
        finally:
            profile.disable()

    def save(*_: object) -> None:
        """Write what ran since the last time. No thread works meanwhile."""
        loop.disable()
        for path, profiles in ((THREADS, threads.values()), (LOOP, (loop,))):
            if ran := [profile for profile in profiles if profile.getstats()]:
                Stats(*ran).dump_stats(f"{path}.new")
                Path(f"{path}.new").replace(path)
            for profile in ran:
                profile.clear()
        loop.enable()

    setattr(thread._WorkItem, "run", profiled)  # noqa: B010
    signal.signal(SIGNAL, save)
    loop.enable()
