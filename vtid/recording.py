"""Recordings: all that happened to a vtid as lines of JSON, and what follows when it is told again.

    {"vtid": "0.1.0", "seed": 7}                            first
    {"at": 12.25, "ChildDown": {"unique_id": 7}}            an input, and when
    {"at": 15.25}                                           a pass that no input caused

Rules of this file:

* Lines of the same moment are one pass: their inputs are applied, then the work is done. So a
  replay makes the very decisions that were made.
* A recording holds no secrets: charon tells identities, addresses and names of algorithms, and
  passwords of BGP sessions are not written. Its file is its owner's alone all the same.
* A recording that cannot be written costs vtid nothing: it ends, and that is logged.
"""

from __future__ import annotations

import json
import os
import random
import stat
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import structlog

from vtid import __version__
from vtid.core.state import State
from vtid.model import Input
from vtid.values import from_json, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from vtid.model import Op

log = structlog.get_logger()


class RecordingError(ValueError):
    """A recording cannot be written or read; says where and why."""


class Line(NamedTuple):
    """One line: the moment, on the state's clock in seconds, and the input, None for a pass."""

    at: float
    event: Input | None

    def __str__(self) -> str:
        return _line(self.at, {} if self.event is None else named(self.event))


class Recorder:
    """Writes a recording into a file."""

    def __init__(self, path: Path, seed: int) -> None:
        """Begin a recording, in place of what the file held. Raises RecordingError."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)  # it may have been there before
        except OSError as error:
            raise RecordingError(f"cannot record into {path}: {error.strerror}") from error
        self._file: TextIO | None = os.fdopen(descriptor, "w", encoding="utf-8")
        self._write([json.dumps({"vtid": __version__, "seed": seed})])

    def passed(self, at: float, events: Sequence[Input]) -> None:
        """Record one pass: what was applied, and that work was done."""
        self._write([str(Line(at, event)) for event in events or (None,)])

    def close(self) -> None:
        """End the recording."""
        if self._file:
            with suppress(OSError):
                self._file.close()
        self._file = None

    def _write(self, lines: Sequence[str]) -> None:
        if self._file is None:
            return
        try:
            self._file.writelines(line + "\n" for line in lines)
            self._file.flush()
        except (OSError, ValueError) as error:  # ValueError: what UTF-8 cannot say
            log.error("the recording ends here", detail=str(error))  # noqa: TRY400 - no defect
            self.close()


def read(lines: Iterable[str]) -> tuple[int, list[Line]]:
    """Return the seed of a recording and its lines. Raises RecordingError."""
    seed, found = 0, []
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
            if "vtid" in data:
                seed = int(data["seed"])
                continue
            at = float(data.pop("at"))
            found.append(Line(at, from_json(Input, data) if data else None))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RecordingError(f"line {number}: {error!r} in {line.strip()[:200]}") from error
    return seed, found


class Replay:
    """A state to which a recording is told. It has no edges: nothing is touched."""

    def __init__(self, seed: int = 0) -> None:
        self.state = State(jitter=random.Random(seed).random)  # noqa: S311 - spreads load

    def tell(self, lines: Iterable[Line]) -> Iterator[tuple[float, Op]]:
        """Return the operations that follow, and when."""
        for at, moment in groupby(lines, lambda line: line.at):
            for line in moment:
                if line.event is not None:
                    self.state.apply(line.event, at)
            for op in self.state.work(at):
                yield at, op


def op_line(at: float, op: Op) -> str:
    """Return an operation as a line of JSON."""
    return _line(at, named(op))


def _line(at: float, content: dict[str, Any]) -> str:
    return json.dumps({"at": at, **content}, ensure_ascii=False)
