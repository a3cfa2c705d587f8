"""Log levels, as an operator sees and changes them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Subsystem(StrEnum):
    """A part of vtid that has a log level of its own."""

    DAEMON = "daemon"
    """Start, stop, reload, and what operators ask for."""
    CORE = "core"
    """Tunnels, and why they are as they are."""
    VICI = "vici"
    KERNEL = "kernel"
    NFT = "nft"
    BIRD = "bird"
    HTTP = "http"


class Level(StrEnum):
    """From which severity upwards lines are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogLevel:
    """The level of one subsystem."""

    subsystem: Subsystem
    level: Level
    configured: Level
    """The one that the configuration, or the command line, gives."""
    until: float = 0.0
    """Unix time at which `level` returns to `configured`; 0 if it does not by itself."""
