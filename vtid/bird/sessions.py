"""Sessions: the control connection to one BIRD, and the sessions that it reports. An edge.

Rules of this file:

* One connection is kept; after any error the caller disconnects, and `connect` makes another.
* A poll reads everything anew. It also notices when BIRD was started or configured by another
  program in the meantime.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from vtid.bird.control import Control
from vtid.bird.protocols import ProtocolReader, bfd_sessions, clock, with_bfd
from vtid.bird.reply import has_moved, status_times
from vtid.model.levels import Subsystem

if TYPE_CHECKING:
    from vtid.model.bgp import BgpState

log = structlog.get_logger(Subsystem.BIRD)


def steady(before: float, now: float) -> float:
    """Return a time that does not move by what BIRD's clock moves it (see `has_moved`)."""
    return before if abs(now - before) <= 1 else now


class Sessions:
    """The BGP sessions of one BIRD, while there is a connection to it."""

    def __init__(self, bird: str, socket: str) -> None:
        """Prepare for the BIRD called `bird`; there is no connection yet."""
        self.control: Control | None = None
        """The connection; None while BIRD is away."""
        self.version = ""
        """BIRD's version when it was connected last."""
        self.family = ""
        """The only address family of a daemon of BIRD 1.x; empty for later versions."""
        self.states: tuple[BgpState, ...] = ()
        """As of the last poll; empty while BIRD is away."""
        self.started_at = self.reconfigured_at = 0.0
        """Unix times of the last poll, in seconds; 0 where BIRD's words do not say them."""
        self._bird = bird
        self._socket = socket
        self._times: tuple[str, str] | None = None

    async def connect(self) -> Control:
        """Connect. Raises ControlError."""
        self.control = control = await Control.connect(self._socket)
        self.version = control.version
        self.family = await self._ask_family(control)
        self._times = None
        log.info("BIRD connected", bird=self._bird, version=self.version)
        return control

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        if self.control is not None:
            self.control.close()
        self.control, self.states = None, ()

    def reconfigured(self) -> None:
        """Note that vtid has configured BIRD: the next poll finds nothing strange in that."""
        self._times = None

    async def poll(self, control: Control) -> bool:
        """Read all sessions; return whether BIRD was started or configured by another program.

        Raises ControlError and ReplyError.
        """
        status = await control.ask("show status")
        shown = clock(status, time.time())
        reader = ProtocolReader(self._bird, shown, self.family)
        times = status_times(status)
        self.started_at, self.reconfigured_at = (
            steady(before, shown.unix(words))
            for before, words in zip((self.started_at, self.reconfigured_at), times, strict=True)
        )
        moved = self._times is not None and any(map(has_moved, self._times, times))
        self._times = times
        await control.stream("show protocols all", reader.feed)
        reader.close()
        found = [
            session
            for name in reader.bfd
            for session in bfd_sessions(await control.ask(f"show bfd sessions '{name}'"), shown)
        ]
        self.states = with_bfd(reader.bgp, found)
        return moved

    async def _ask_family(self, control: Control) -> str:
        if not self.version.startswith("1."):
            return ""
        return "ipv6" if (await control.ask("eval ::1")).ok else "ipv4"
