"""Log: structlog to stderr, one line per event, safe to read in a terminal. An edge.

* A line is `level=info msg="tunnel up" tunnel=V2-1 mtu=1406`: plain words unquoted, anything else
  quoted as in JSON. Unprintable characters are escaped: identities and names come from peers.
* Under systemd, where stderr is the journal's, a line begins with its priority (sd-daemon(3)) and
  has no time; the journal has a better one. Elsewhere it begins with the time, in UTC.
* With `VTID_LOG=json`, lines are JSON.
* Records of libraries (`logging`) have the same format, and so have exceptions in destructors.
* Whoever follows events gets every record, whatever the level of the log is.
* Every logger belongs to a subsystem, `structlog.get_logger(Subsystem.VICI)`, which has a level of
  its own (`levels`).
* A line that cannot be written (a full disk, a closed pipe) is dropped, and vtid goes on.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog

from vtid.daemon.levels import LEVELS, of_library
from vtid.model.levels import Level, Subsystem
from vtid.printable import escape

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""syslog(3) priorities of our levels."""

_BARE = re.compile(r"[A-Za-z0-9_./:%@+\-\[\]{},]+")
"""What needs no quotes: ASCII without spaces, quotes, `=` and controls."""


Tell = Callable[[str, Mapping[str, Any]], None]
"""Takes the level and the fields of a record; `event` is its message."""


def configure(
    level: str, stream: TextIO | None = None, tell: Tell | None = None, *, is_fixed: bool = False
) -> None:
    """Log from `level` (debug, info, warning, error) upwards, to stderr by default.

    `tell` gets the records of all levels. A level that `is_fixed` stays when a configuration is
    loaded.
    """
    out = cast("TextIO", _Patient(stream or sys.stderr))
    written = _processors(in_journal=_is_journal(stream or sys.stderr))
    LEVELS.configure(Level(level), is_fixed=is_fixed)
    structlog.configure(
        processors=[*_before(tell), _only_taken, *written],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *names: _Logger(out, Subsystem(*names or (Subsystem.DAEMON,))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.INFO, force=True)
    sys.unraisablehook = _tell_ignored


def logfmt(event: Mapping[str, Any]) -> str:
    """Write an event as `key=value` words on one line."""
    return " ".join(f"{escape(key)}={_value(value)}" for key, value in event.items())


def _value(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    if _BARE.fullmatch(text):
        return text
    # JSON escapes quotes, backslashes and ASCII controls; the escapes of the rest stay visible.
    quoted = json.dumps(text, ensure_ascii=False)
    return escape(quoted)


class _Logger(structlog.WriteLogger):
    """The log, as a subsystem has it."""

    def __init__(self, out: TextIO, subsystem: Subsystem) -> None:
        super().__init__(out)
        self.subsystem = subsystem


def _before(tell: Tell | None) -> tuple[Processor, ...]:
    """Return what hands each record to `tell`."""
    if tell is None:
        return ()

    def hand_over(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        tell(method, event)
        return event

    return (hand_over,)


def _only_taken(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Drop what the level of its subsystem does not let through."""
    if not LEVELS.takes(logger.subsystem, method):
        raise structlog.DropEvent
    return event


def _processors(*, in_journal: bool) -> list[Processor]:
    as_json = os.environ.get("VTID_LOG", "") == "json"
    processors: list[Processor] = [structlog.processors.format_exc_info]
    if not in_journal:
        processors.append(structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"))
    if as_json:
        return [*processors, _in_order, structlog.processors.JSONRenderer(default=str)]
    return [*processors, _in_order, _with_priority if in_journal else _line]


def _in_order(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Put time, level and message first."""
    head = {"ts": event.pop("ts")} if "ts" in event else {}
    return {**head, "level": method, "msg": event.pop("event", ""), **event}


def _line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return logfmt(event)


def _with_priority(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return f"<{PRIORITIES.get(event['level'], 6)}>{logfmt(event)}"


def _is_journal(stream: TextIO) -> bool:
    """Whether a stream is the one that $JOURNAL_STREAM names by device and inode (systemd.exec)."""
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{stat.st_dev}:{stat.st_ino}"


class _Patient:
    """A stream that drops what it cannot write: no tunnel depends on the log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, or drop the text."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush, or drop the text."""
        with suppress(OSError):
            self._stream.flush()


def _tell_ignored(what: sys.UnraisableHookArgs) -> None:
    """Log an exception that nobody can catch, in place of Python's traceback on stderr."""
    detail = f"{what.exc_value!r} in {what.object!r}"
    log = structlog.get_logger(Subsystem.DAEMON)
    log.warning("exception ignored", detail=detail)


class _Forward(logging.Handler):
    """Passes the records of libraries to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record under the name of its logger."""
        log = structlog.get_logger(of_library(record.name))
        method = getattr(log, record.levelname.lower(), log.info)
        method(record.getMessage(), logger=record.name, exc_info=record.exc_info)
