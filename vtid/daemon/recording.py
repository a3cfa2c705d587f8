"""Recordings: every input of a daemon as a line of JSON, and their replay.

    {"vtid": "0.1.0", "seed": 7}                                    first
    {"at": 12.25, "since": 12.24, "ChildDown": {"unique_id": 7}}    an input, and when
    {"at": 15.25}                                                   a pass that no input caused

Rules of this file:

* Lines of the same moment are one pass: their inputs are applied, then the work is done. `since` is
  when the first of them came: what was judged then, too, is in the replay.
* A recording has no secrets: charon reports identities, addresses and algorithms, and passwords of
  BGP sessions are left out. Only its owner can read the file all the same.
* A thread of its own writes it, so it costs the loop next to nothing. A recording that cannot be
  written, falls behind or grows too large is ended and logged; the daemon goes on.
"""

from __future__ import annotations

import json
import os
import random
import stat
from contextlib import suppress
from itertools import groupby
from queue import Full, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import structlog

from vtid import __version__
from vtid.core.state import State
from vtid.daemon.codec import from_json, named
from vtid.model.input import Input
from vtid.model.levels import Subsystem
from vtid.model.operation import SendProbe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from vtid.model.operation import Op

log = structlog.get_logger(Subsystem.DAEMON)


class RecordingError(ValueError):
    """A recording cannot be written or read; says where and why."""


class Line(NamedTuple):
    """One line: the moment, on the state's clock in seconds, and the input, None for a pass."""

    at: float
    event: Input | None
    since: float | None = None
    """When the first input of the moment came, None for just then."""

    def __str__(self) -> str:
        since = {} if self.since is None else {"since": self.since}
        return _line(self.at, since | ({} if self.event is None else named(self.event)))


RECORDING_MAX = 1 << 30
"""Longest recording in bytes: 1 GiB, some millions of inputs."""

_BEHIND_MAX = 10_000
"""Passes that may wait to be written: a slower disk will not catch up."""

_LAST_WORDS = 5.0
"""Seconds that the end of a recording waits for what is still to be written."""


class Recorder:
    """Writes a recording into a file, in a thread of its own."""

    def __init__(
        self, path: Path, seed: int, *, limit: int = RECORDING_MAX, behind: int = _BEHIND_MAX
    ) -> None:
        """Begin a recording, in place of what the file held. Raises RecordingError.

        It ends at `limit` bytes, or when more than `behind` passes wait to be written.
        """
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)  # it may have been there before
        except OSError as error:
            raise RecordingError(f"cannot record into {path}: {error.strerror}") from error
        self._path = path
        self._room = limit
        self._passes: Queue[tuple[float, Sequence[Input], float | None] | None] = Queue(behind)
        self._ended = False
        first = json.dumps({"vtid": __version__, "seed": seed})
        arguments = (os.fdopen(descriptor, "wb"), first)
        self._thread = Thread(target=self._run, args=arguments, name="recorder", daemon=True)
        self._thread.start()

    def passed(self, at: float, events: Sequence[Input], since: float | None = None) -> None:
        """Record one pass: what was applied, and that work was done. Never blocks.

        `since` is when the first of the inputs came.
        """
        if self._ended:
            return
        try:
            self._passes.put_nowait((at, events, since))
        except Full:
            self._end(f"{self._path} is written more slowly than things happen")

    def close(self) -> None:
        """End the recording when all is written, or cannot be for a while."""
        with suppress(Full):
            self._passes.put(None, timeout=_LAST_WORDS)
        self._thread.join(_LAST_WORDS)

    def _run(self, file: BinaryIO, first: str) -> None:
        with suppress(OSError), file:  # what is left in its buffer goes where the rest went
            self._write(file, [first])
            for at, events, since in iter(self._passes.get, None):
                if not self._ended:
                    lines = [str(Line(at, event, since)) for event in events or (None,)]
                    self._write(file, lines)

    def _write(self, file: BinaryIO, lines: Sequence[str]) -> None:
        try:
            data = "".join(line + "\n" for line in lines).encode()
            self._room -= len(data)
            if self._room >= 0:
                file.write(data)
            else:
                self._end(f"{self._path} is as large as a recording may get")
            if self._ended or self._passes.empty():
                file.flush()
        except (OSError, ValueError) as error:  # ValueError: what UTF-8 cannot say
            self._end(str(error))

    def _end(self, why: str) -> None:
        if not self._ended:
            self._ended = True
            log.error("recording stopped", detail=why)


def read(lines: Iterable[str]) -> tuple[int, list[Line]]:
    """Return the seed of a recording and its lines. Raises RecordingError."""
    seed, found = 0, []
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
            if "vtid" in data:
                seed = int(data["seed"])
                continue
            at, since = float(data.pop("at")), data.pop("since", None)
            event = from_json(Input, data) if data else None
            found.append(Line(at, event, None if since is None else float(since)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordingError(f"line {number}: {error!r} in {line.strip()[:200]}") from error
    return seed, found


class Replay:
    """Replays a recording into a state without edges, so nothing is touched."""

    def __init__(self, seed: int = 0) -> None:
        self.state = State(jitter=random.Random(seed).random)  # noqa: S311 - spreads load

    def tell(self, lines: Iterable[Line]) -> Iterator[tuple[float, Op]]:
        """Return the operations that follow, and when."""
        for (at, since), moment in groupby(lines, lambda line: (line.at, line.since)):
            for line in moment:
                if line.event is not None:
                    self.state.apply(line.event, at)
            for op in self.state.work(at, since=since):
                if not isinstance(op, SendProbe):  # they change nothing, and are many
                    yield at, op


def op_line(at: float, op: Op) -> str:
    """Return an operation as a line of JSON."""
    return _line(at, named(op))


def _line(at: float, content: dict[str, Any]) -> str:
    return json.dumps({"at": at, **content}, ensure_ascii=False)
