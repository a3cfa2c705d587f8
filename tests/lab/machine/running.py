"""The labs that run on this host, so that a shell can be opened in one, and a kept one ended.

Each has a locked file in the cache folder: a file without a lock is left from
a run that was killed, whatever process has its number now.

Rules of this file: the standard library only, like all that runs on the host.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tests.lab.machine.tree import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = CACHE / "running"


@dataclass(frozen=True, slots=True)
class Running:
    """A lab that runs, and the way in.

    In namespaces `inside` is the number of the process that made them, in a machine it is 0 and
    `console` the socket of its second serial line (`console.py`).
    """

    kept: bool
    inside: int = 0
    console: str = ""
    pid: int = 0
    """Process that runs it and ends it on SIGTERM."""
    started: float = 0.0


@contextmanager
def announced(lab: Running) -> Iterator[None]:
    """Let others find a lab of this process for as long as the context lasts."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{os.getpid()}.json"
    row = asdict(lab) | {"pid": os.getpid(), "started": time.time()}
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(row, file)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def found() -> list[Running]:
    """Return the labs that run, kept ones first, then the newest."""
    labs = [lab for path in FOLDER.glob("*.json") if (lab := _read(path))]
    return sorted(labs, key=lambda lab: (lab.kept, lab.started), reverse=True)


def _read(path: Path) -> Running | None:
    """Read a lab's file; one without a lock is removed."""
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Running(**json.load(file))
            path.unlink(missing_ok=True)
    except (OSError, ValueError):  # it begins or ends at this moment, or belongs to another user
        return None
    return None
