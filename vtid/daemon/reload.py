"""Reload: reads the configuration file again. An edge.

Rules of this file:

* A configuration that cannot be used changes nothing; the one in use goes on.
* The service manager hears of the begin and the end of every reload (Type=notify-reload).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from vtid.config.load import ConfigError, load
from vtid.daemon import notify
from vtid.http.api import ReloadResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vtid.config.keys import Config

log = structlog.get_logger()


class Reloader:
    """Reloads one configuration file; `use` takes a configuration and returns warnings."""

    def __init__(self, file: Path, use: Callable[[Config], tuple[str, ...]]) -> None:
        self.error = ""
        """Why the last reload was refused; empty if it was not."""
        self.loaded_at = time.time()
        """Unix time at which the configuration in use was loaded, in seconds."""
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
                config = await asyncio.to_thread(self._read)
            except (OSError, UnicodeDecodeError, ConfigError) as error:
                return self._refuse(error)
            else:
                return self._accept(config)
            finally:
                # a reload during the start does not make vtid ready
                if ready:
                    notify.notify("READY=1")

    def _read(self) -> Config:
        return load(self._file.read_text("utf-8"))

    def _refuse(self, error: Exception) -> ReloadResult:
        lines = describe(error, self._file)
        self.results["refused"] += 1
        self.error = "; ".join(lines)
        for line in lines:
            log.error("configuration refused", detail=line)
        return ReloadResult(ok=False, errors=lines)

    def _accept(self, config: Config) -> ReloadResult:
        self.results["done"] += 1
        self.error, self.loaded_at = "", time.time()
        warnings = self._use(config)
        log.info("configuration loaded", tunnels=len(config.policies))
        return ReloadResult(ok=True, warnings=warnings)


def describe(error: Exception, config_file: Path) -> tuple[str, ...]:
    """Return lines about a configuration that cannot be used, for an operator."""
    if isinstance(error, ConfigError):
        return tuple(error.format(str(config_file)).splitlines())
    if isinstance(error, OSError):
        return (f"{config_file}: {error.strerror}; name the file with --config FILE",)
    return (f"{config_file}: {error}",)
