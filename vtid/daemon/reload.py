"""Reload: reads the configuration file again. An edge.

Rules of this file:

* A configuration that cannot be used changes nothing; the one in use goes on. Nor can it be used if
  a BIRD template that it names cannot.
* A reload has ended when what follows from it is done, or has failed.
* The service manager hears of the begin and the end of every reload (Type=notify-reload).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from vtid.bird.quote import RenderError
from vtid.bird.template import SHIPPED, shipped
from vtid.bird.template import load as load_template
from vtid.config.changes import at_next_start, sharing
from vtid.config.load import ConfigError
from vtid.daemon import config_file, notify
from vtid.http.api import ReloadResult
from vtid.model.levels import Subsystem
from vtid.model.status import Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from pathlib import Path

    from vtid.config.keys import Config, Daemon
    from vtid.daemon.config_file import Found

log = structlog.get_logger(Subsystem.DAEMON)


LOOK = 30.0
"""Seconds between two looks at the files."""


class Reloader:
    """Reloads one configuration file; `use` takes a configuration and returns what came of it."""

    def __init__(
        self, file: Path, config: Config, use: Callable[[Config], Awaitable[ReloadResult]]
    ) -> None:
        """Begin with the configuration that was read from the file a moment ago."""
        self.error = ""
        """Why the last reload was refused; empty if it was not."""
        self._refused_at = 0.0
        self.loaded_at = time.time()
        """Unix time at which the configuration in use was loaded, in seconds."""
        self.stale = False
        """Whether the files differ from the configuration in use, as of the last look."""
        self._prints = config_file.prints(file, config)
        self._config = config
        self.results = Counter(done=0, refused=0)
        """How often a reload was done, and how often refused."""
        self._file = file
        self._use = use
        self._lock = asyncio.Lock()

    @property
    def digest(self) -> str:
        """SHA-256 of the file as it was loaded; empty if it could not be read."""
        return self._prints.digest

    async def reload(self, *, ready: bool) -> ReloadResult:
        """Read the file and use it; `ready` says whether vtid has started already."""
        async with self._lock:
            if ready:
                notify.reloading()
            try:
                found = await asyncio.to_thread(self._read)
            except (ConfigError, RenderError) as error:
                return self._refuse(error)
            else:
                return await self._accept(found)
            finally:
                # a reload during the start does not make vtid ready
                if ready:
                    notify.notify("READY=1")

    async def watch(self) -> None:
        """Look from time to time whether the files are still those in use, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            found = await asyncio.to_thread(config_file.prints, self._file, self._config)
            self.stale = found != self._prints

    def _read(self) -> Found:
        found = usable(config_file.read(self._file))
        return replace(found, config=sharing(self._config, found.config))

    def troubles(self) -> tuple[Trouble, ...]:
        """Return that the last reload was refused, if it was, since the first that was."""
        if not self.error:
            return ()
        refused = "refused, an older one is in use"
        return (Trouble("configuration", f"{refused}: {self.error}", self._refused_at),)

    def _refuse(self, error: ConfigError | RenderError) -> ReloadResult:
        lines = describe(error, str(self._file))
        self.results["refused"] += 1
        self.stale = True
        self._refused_at = self._refused_at if self.error else time.time()
        self.error = "; ".join(lines)
        for line in lines:
            log.error("configuration refused", detail=line)
        return ReloadResult(ok=False, errors=lines)

    async def _accept(self, found: Found) -> ReloadResult:
        self.results["done"] += 1
        self._config, self._prints, self.stale = found.config, found.prints, False
        self.error, self.loaded_at = "", time.time()
        log.info("configuration loaded", tunnels=len(found.config.policies))
        warn(found.warnings)
        result = await self._use(found.config)
        return replace(result, warnings=(*found.warnings, *result.warnings))


def usable(found: Found) -> Found:
    """Return a configuration whose BIRD templates can be used. Raises RenderError.

    It blocks, so that the event loop does not: the first template of all takes 20 ms and more.
    """
    for bird in found.config.birds:
        compiled = shipped if bird.template in SHIPPED else load_template
        compiled(bird.template)
    return found


def describe(error: ConfigError | RenderError, file: str) -> tuple[str, ...]:
    """Return lines about a configuration that cannot be used, for an operator."""
    if isinstance(error, ConfigError):
        return config_file.lines(error)
    return (f"{file}: {error}",)


def left_out(started: Daemon, config: Config) -> Iterator[str]:
    """Yield what a reload cannot take of a configuration; `started` is `[daemon]` of the start."""
    for key in at_next_start(started, config.daemon):
        yield f"{key} takes effect at the next start: `systemctl restart vtid` costs no packet"


def warn(warnings: Iterable[str]) -> None:
    """Log what the administrator should know of a configuration that is good."""
    for line in warnings:
        log.warning("configuration unwise", detail=line)
