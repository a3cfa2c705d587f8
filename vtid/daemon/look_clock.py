"""Look at the clock: what the kernel is told of it, and whether it was set since vtid started.

Rule of this file: the time since boot never jumps. Unix time minus that is the same at each moment,
unless somebody set the clock in between.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import TYPE_CHECKING

from vtid.daemon.look_daemon import answer, process
from vtid.daemon.looks import UnseenError, read

if TYPE_CHECKING:
    from pathlib import Path

_TIMEX_BYTES = 256
"""More than struct timex has (linux/timex.h). All zero, it asks and sets nothing."""

_TIME_ERROR = 5
"""What adjtimex(2) returns for a clock that is not synchronised."""

_START_TIME = 19
"""Place of `starttime` among the fields of /proc/PID/stat behind the name (proc(5): field 22)."""


def is_synchronised() -> bool:
    """Whether the kernel is told that the clock is right. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return bool(state != _TIME_ERROR)


def jumped(control: str, root: Path) -> float:
    """Return by how many seconds the clock was set while the vtid that listens has been running.

    It is exact to the seconds that vtid takes to start.
    """
    began_at = float(answer(control, "/v1/summary")["started_at"])
    pid = process(control)
    stat = read(root / f"proc/{pid}/stat")
    if stat is None:
        raise UnseenError(f"there is no /proc/{pid}/stat: it runs elsewhere, as in a container")
    ticks = int(stat.rpartition(")")[2].split()[_START_TIME])
    since_boot = ticks / os.sysconf("SC_CLK_TCK")
    booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted_at + since_boot - began_at
