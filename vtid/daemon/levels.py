"""Levels: the log level of each subsystem, which an operator can change for a while. An edge.

Rules of this file:

* A reload restores what is configured, so a forgotten `debug` does not stay for ever.
* A level with an end returns by itself; a later change of the same subsystem replaces that end.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from vtid.model.levels import Level, LogLevel, Subsystem
from vtid.model.operation import (
    DeleteBird,
    DeleteClamp,
    Initiate,
    Op,
    PutBird,
    Rekey,
    SetClamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(Subsystem.DAEMON)

ORDER = tuple(Level)
"""From the one with most lines to the one with fewest."""

_OF_OPS: dict[type[Op], Subsystem] = {
    SetClamp: Subsystem.NFT,
    DeleteClamp: Subsystem.NFT,
    PutBird: Subsystem.BIRD,
    DeleteBird: Subsystem.BIRD,
    Initiate: Subsystem.VICI,
    Rekey: Subsystem.VICI,
}
"""All others are the kernel's."""

_OF_LIBRARIES = {"aiohttp": Subsystem.HTTP, "pyroute2": Subsystem.KERNEL}


def of_op(op: Op) -> Subsystem:
    """Return the subsystem that carries out an operation."""
    return _OF_OPS.get(type(op), Subsystem.KERNEL)


def of_library(logger: str) -> Subsystem:
    """Return the subsystem that uses a library, by the name of the library's logger."""
    return _OF_LIBRARIES.get(logger.partition(".")[0], Subsystem.DAEMON)


class Levels:
    """The level of each subsystem, as configured and now."""

    def __init__(self) -> None:
        self._configured = Level.INFO
        self._is_fixed = False
        self._changed: dict[Subsystem, tuple[Level, float]] = {}
        """Levels that an operator set, each with its end."""
        self._timers: dict[Subsystem, asyncio.TimerHandle] = {}

    def configure(self, level: Level, *, is_fixed: bool = False) -> None:
        """Set the level for all; one that `is_fixed` is the command line's, and stays at reload."""
        self._configured, self._is_fixed = level, is_fixed
        self.restore(Subsystem)

    def reloaded(self, level: Level) -> None:
        """Take the level of a configuration that was loaded, and forget what an operator set."""
        self.configure(self._configured if self._is_fixed else level, is_fixed=self._is_fixed)

    def takes(self, subsystem: Subsystem, level: str) -> bool:
        """Whether a line is logged."""
        changed = self._changed.get(subsystem)
        least = changed[0] if changed else self._configured
        return _RANK.get(level, len(ORDER)) >= _RANK[least]

    # --- what an operator sets --------------------------------------------------------------------

    def set(self, subsystems: Iterable[Subsystem], level: Level, seconds: float = 0.0) -> None:
        """Change the level of subsystems, for some seconds or until the next reload."""
        until = time.time() + seconds if seconds else 0.0
        for one in subsystems:
            self._stop_timer(one)
            self._changed[one] = (level, until)
            if seconds:
                loop = asyncio.get_running_loop()
                self._timers[one] = loop.call_later(seconds, self._return, one)

    def restore(self, subsystems: Iterable[Subsystem]) -> None:
        """Give subsystems the configured level again."""
        for one in subsystems:
            self._stop_timer(one)
            self._changed.pop(one, None)

    def _return(self, subsystem: Subsystem) -> None:
        self.restore((subsystem,))
        log.warning("log level returned", subsystem=subsystem, to=self._configured)

    def _stop_timer(self, subsystem: Subsystem) -> None:
        if timer := self._timers.pop(subsystem, None):
            timer.cancel()

    # --- what an operator sees --------------------------------------------------------------------

    def status(self) -> tuple[LogLevel, ...]:
        """Return the level of each subsystem."""
        unchanged = (self._configured, 0.0)
        return tuple(
            LogLevel(one, level, self._configured, until)
            for one in Subsystem
            for level, until in (self._changed.get(one, unchanged),)
        )

    def changed(self) -> tuple[LogLevel, ...]:
        """Return the subsystems whose level is not the configured one."""
        return tuple(one for one in self.status() if one.level is not one.configured)


_RANK: dict[str, int] = {str(level): rank for rank, level in enumerate(ORDER)} | {"exception": 3}

LEVELS = Levels()
"""Those of this process, as its log is one."""
