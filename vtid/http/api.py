"""Api: what the HTTP server needs from the daemon, as a protocol. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vtid.model.ike import ListedIke
from vtid.model.levels import Level, LogLevel, Subsystem
from vtid.model.mode import Mode
from vtid.model.operation import Op
from vtid.model.status import BgpRow

if TYPE_CHECKING:
    from vtid.http.journal import Journal
    from vtid.model.listing import Listing, Wanted
    from vtid.model.status import Status, Summary, TunnelDetails


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """How a reload went."""

    ok: bool
    errors: tuple[str, ...] = ()
    """Every error of the configuration, one clear line each, with key path and line number."""
    warnings: tuple[str, ...] = ()
    """What the administrator should know of a configuration that was accepted."""
    changes: tuple[str, ...] = ()
    """What differs from the configuration before, one line for each table."""
    operations: int = 0
    """Operations that changed something meanwhile."""
    finished: bool = True
    """Whether nothing was under way any more at the end."""
    problems: tuple[str, ...] = ()
    """What went wrong meanwhile, one line each."""


@dataclass(frozen=True, slots=True)
class FlushResult:
    """What a flush did."""

    removed: int
    """Interfaces that are gone."""
    left: tuple[str, ...] = ()
    """What could not be removed, one line each with the reason."""


@dataclass(frozen=True, slots=True)
class ResyncResult:
    """What a resync did."""

    operations: int
    """Operations that changed something meanwhile."""
    finished: bool
    """Whether everything was read, and nothing was under way any more at the end."""


@dataclass(frozen=True, slots=True)
class ModeResult:
    """What a change of mode did."""

    mode: Mode
    tunnels: int
    """How many it was for."""
    finished: bool
    """Whether nothing was under way any more at the end."""


@dataclass(frozen=True, slots=True)
class AdoptResult:
    """What became of interfaces that were to be adopted."""

    adopted: tuple[str, ...]
    """Those that are vtid's own now, as `NETNS/NAME`."""
    refused: tuple[str, ...]
    """Those that are not, one line each with every difference and the way out."""
    finished: bool
    """Whether nothing was under way any more at the end."""


@dataclass(frozen=True, slots=True)
class BirdFile:
    """What a BIRD's include file should say, and how that differs from what it says."""

    instance: str
    path: str
    text: str = ""
    diff: str = ""
    """Unified; empty where the file says what it should."""
    error: str = ""
    """Why the file cannot be read, and the way out."""


@dataclass(frozen=True, slots=True)
class BirdChange:
    """How a BIRD's include file would change."""

    instance: str
    path: str = ""
    diff: str = ""
    """Unified; passwords are hidden."""
    error: str = ""
    """Why that cannot be said, and the way out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done."""

    ops: tuple[Op, ...] = ()
    birds: tuple[BirdChange, ...] = ()
    """The BIRDs whose files would change."""
    ok: bool = True
    """Whether a reload would take the configuration that this is for."""
    errors: tuple[str, ...] = ()
    """As those of a reload."""
    warnings: tuple[str, ...] = ()
    """What an operator should know of a configuration that a reload would take."""
    changes: tuple[str, ...] = ()
    """What differs from the configuration in use, one line for each table."""


@dataclass(frozen=True, slots=True)
class SaList:
    """What charon has now."""

    ike_sas: tuple[ListedIke, ...]
    errors: tuple[str, ...] = ()
    """What charon sent and cannot be read, one line each."""


@dataclass(frozen=True, slots=True)
class BgpList:
    """The BGP sessions over tunnels."""

    sessions: tuple[BgpRow, ...]


@dataclass(frozen=True, slots=True)
class LogLevels:
    """The log level of each subsystem."""

    levels: tuple[LogLevel, ...]


@dataclass(frozen=True, slots=True)
class RecentInput:
    """Something that happened to vtid: an input of its core."""

    at: float
    """Unix time at which it was applied."""
    input: str
    """Its class, as in a recording."""
    about: str
    """JSON without secrets, the first characters of it: of what lists everything, numbers."""


class UnavailableError(Exception):
    """What was asked for cannot be had now; says why and the way out."""


class ReadApi(Protocol):
    """The daemon, as whoever may read sees it."""

    @property
    def journal(self) -> Journal:
        """What happens, and what happened lately."""
        ...

    async def whole(self) -> None:
        """Wait until the daemon is not in the midst of applying something."""
        ...

    def status(self) -> Status:
        """Return the status without tunnels; the cost does not depend on their number."""
        ...

    async def full_status(self) -> Status:
        """Return the status with all tunnels."""
        ...

    def summary(self) -> Summary:
        """Return the status on one screen; the cost does not depend on the number of tunnels."""
        ...

    def tunnel(self, name: str) -> TunnelDetails | None:
        """Return one tunnel by its label or its interface (`NETNS/NAME`), None if there is none."""
        ...

    async def listing(self, wanted: Wanted) -> Listing:
        """Return some tunnels and the last operations; no turn grows with all tunnels."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of all tunnels, also of those that are yet to come up."""
        ...

    async def plan(self) -> Plan:
        """Return what a full pass would do, without doing it."""
        ...

    async def sas(self, tunnel: str, peer: str) -> SaList:
        """Ask charon for its SAs: all, or of a tunnel by its label, or of a peer (`*` is any).

        Raises UnavailableError.
        """
        ...

    async def bgp(self, tunnel: str) -> BgpList:
        """Return the BGP sessions of all tunnels, or of one by its label."""
        ...

    async def recent(self) -> tuple[RecentInput, ...]:
        """Return the last inputs, the oldest first, without secrets."""
        ...


class Api(ReadApi, Protocol):
    """The daemon, as `vtictl` and Prometheus see and control it."""

    async def reload(self) -> ReloadResult:
        """Read the configuration again and follow it; a bad one changes nothing.

        Returns when everything that follows from it is done or has failed.
        """
        ...

    async def plan_for(self, text: str, name: str) -> Plan:
        """Return what a reload would do if the configuration file had this text.

        `name` is what errors call the file.
        """
        ...

    async def flush(self) -> FlushResult:
        """Remove everything that vtid owns; return when that is done, or has failed."""
        ...

    async def resync(self) -> ResyncResult:
        """Read SAs, links, MSS elements and routes again, and correct what follows from them."""
        ...

    async def set_mode(self, mode: Mode, labels: tuple[str, ...]) -> ModeResult:
        """Pause, drain or resume some tunnels; all where there are no labels."""
        ...

    def log_levels(self) -> LogLevels:
        """Return the log level of each subsystem."""
        ...

    def set_log_level(
        self, subsystem: Subsystem | None, level: Level | None, seconds: float
    ) -> LogLevels:
        """Change the log level of a subsystem, None for all; None restores what is configured.

        It returns after some seconds, and at the next reload; 0 seconds: only then.
        """
        ...

    async def adopt(self, names: tuple[str, ...]) -> AdoptResult:
        """Make interfaces that somebody else made vtid's own; all that are wanted without names."""
        ...

    async def bird_files(self, *, passwords: bool) -> tuple[BirdFile, ...]:
        """Return what would be written for each BIRD, passwords hidden unless asked for."""
        ...
