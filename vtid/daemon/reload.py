"""Reload: reads the configuration file again. An edge.

Rules of this file:

* A configuration that cannot be used changes nothing; the one in use goes on. Nor can it be used if
  a BIRD template that it names cannot.
* A reload has ended when what follows from it is done, or has failed.
* The service manager hears of the begin and the end of every reload (Type=notify-reload).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from vtid.bird.quote import RenderError
from vtid.bird.template import SHIPPED
from vtid.bird.template import load as load_template
from vtid.config.load import ConfigError, load
from vtid.daemon import notify
from vtid.http.api import ReloadResult
from vtid.model.status import Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from vtid.config.keys import Config

log = structlog.get_logger()


LOOK = 30.0
"""Seconds between two looks at the file."""


class Reloader:
    """Reloads one configuration file; `use` takes a configuration and returns what came of it."""

    def __init__(self, file: Path, use: Callable[[Config], Awaitable[ReloadResult]]) -> None:
        self.error = ""
        """Why the last reload was refused; empty if it was not."""
        self._refused_at = 0.0
        self.loaded_at = time.time()
        """Unix time at which the configuration in use was loaded, in seconds."""
        self.stale = False
        """Whether the file differs from the configuration in use, as of the last look."""
        self.digest = _digest(file)
        """SHA-256 of the file as it was loaded; empty if it could not be read."""
        self.results = Counter(done=0, refused=0)
        """How often a reload was done, and how often refused."""
        self._file = file
        self._use = use
        self._lock = asyncio.Lock()

    async def reload(self, *, ready: bool) -> ReloadResult:
        """Read the file and use it; `ready` says whether vtid has started already."""
        async with self._lock:
            if ready:
                notify.reloading()
            try:
                config, digest = await asyncio.to_thread(self._read)
            except (OSError, UnicodeDecodeError, ConfigError, RenderError) as error:
                return self._refuse(error)
            else:
                return await self._accept(config, digest)
            finally:
                # a reload during the start does not make vtid ready
                if ready:
                    notify.notify("READY=1")

    async def watch(self) -> None:
        """Look from time to time whether the file still is the one in use, until cancelled."""
        while True:
            await asyncio.sleep(LOOK)
            found = await asyncio.to_thread(_digest, self._file)
            self.stale = found != self.digest

    def _read(self) -> tuple[Config, str]:
        content = self._file.read_bytes()
        config = load(content.decode("utf-8"))
        for bird in config.birds:
            if bird.template not in SHIPPED:
                load_template(bird.template)
        return config, hashlib.sha256(content).hexdigest()

    def troubles(self) -> tuple[Trouble, ...]:
        """Return that the last reload was refused, if it was, since the first that was."""
        if not self.error:
            return ()
        refused = "refused, an older one is in use"
        return (Trouble("configuration", f"{refused}: {self.error}", self._refused_at),)

    def _refuse(self, error: Exception) -> ReloadResult:
        lines = describe(error, self._file)
        self.results["refused"] += 1
        self.stale = True
        self._refused_at = self._refused_at if self.error else time.time()
        self.error = "; ".join(lines)
        for line in lines:
            log.error("configuration refused", detail=line)
        return ReloadResult(ok=False, errors=lines)

    async def _accept(self, config: Config, digest: str) -> ReloadResult:
        self.results["done"] += 1
        self.digest, self.stale = digest, False
        self.error, self.loaded_at = "", time.time()
        log.info("configuration loaded", tunnels=len(config.policies))
        return await self._use(config)


def _digest(file: Path) -> str:
    """SHA-256 of a file; empty if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def describe(error: Exception, config_file: Path) -> tuple[str, ...]:
    """Return lines about a configuration that cannot be used, for an operator."""
    if isinstance(error, ConfigError):
        return tuple(error.format(str(config_file)).splitlines())
    if isinstance(error, PermissionError):
        why = "vtid's user must be able to read it: chgrp vtid, mode 0640"
        return (f"{config_file}: {error.strerror}; {why}",)
    if isinstance(error, OSError):
        return (f"{config_file}: {error.strerror}; name the file with --config FILE",)
    return (f"{config_file}: {error}",)
