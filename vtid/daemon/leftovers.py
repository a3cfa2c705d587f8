"""Leftovers: interfaces of ours in namespaces that no policy names. Part of the edge."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from vtid.kernel.leftovers import leftovers
from vtid.model.levels import Subsystem
from vtid.model.status import Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger(Subsystem.DAEMON)


class Leftovers:
    """What was found, one line each with the command that removes it, and since when."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    @property
    def lines(self) -> tuple[str, ...]:
        """What was found by the last look."""
        return tuple(self._since)

    def troubles(self) -> Iterator[Trouble]:
        """Yield them for the summary."""
        return (Trouble("", line, since) for line, since in self._since.items())

    async def look(self, known: frozenset[str]) -> None:
        """Look into all namespaces but those that are `known`."""
        found = await leftovers(known)
        for line in sorted(set(found) - set(self._since)):
            log.warning("leftover interfaces", detail=line)
        now = time.time()
        self._since = {line: self._since.get(line, now) for line in found}
