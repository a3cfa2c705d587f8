"""The tunnels: what is known of each of them, and which are to be looked at, and when. Pure.

Rules of this file:

* A `Tunnel` is one tunnel: what wants it, what there is, and what is under way.
* `Tunnels` owns the by_name. Who changes one tells it with `changed`, or by `observe`: then it is
  looked at again, at once.
* A tunnel without SA is given its time by `hold`; nothing here deletes anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vtid.config.types import is_static
from vtid.core.deadlines import Deadlines
from vtid.core.desired import NOTHING, Path
from vtid.core.naming import tunnel_name
from vtid.model.link import Desired, Observed
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Policy
    from vtid.model.operation import Op
    from vtid.model.sa import ChildSa

RETRY_FIRST = 0.5
RETRY_LAST = 60.0
"""Seconds between tries of a tunnel whose operation failed: doubled each time up to the last."""


@dataclass(slots=True)
class Tunnel:
    """One tunnel: what wants it, what there is, and what is under way."""

    name: str
    interface: str
    netns: str
    policy: Policy | None = None
    sas: dict[int, ChildSa] = field(default_factory=dict)
    declared: ChildSa | None = None
    """The SA that the policy declares to be there always, in place of one that is not there."""
    last: ChildSa | None = None
    """The SA that came last, there or not."""
    serves: tuple[str, str, bool] | None = None
    """Connection and child of the SA that came last, and whether only its inbound direction."""
    hold_until: float | None = None
    observed: Observed = field(default_factory=Observed)
    desired: Desired = NOTHING
    kept: Desired | None = None
    """What was desired last of an interface, which counts on while there is no SA."""
    placed: frozenset[str] = frozenset()
    """Addresses that vtid asked for on this tunnel, now or in an earlier life."""
    at_rest: bool = False
    """All was as desired when it was looked at last."""
    paths: frozenset[Path] = frozenset()
    """Outer local and remote addresses that count."""
    probe_at: float | None = None
    """When the path to the peer is to be looked up again."""
    pending: int = 0
    """Operations not yet answered."""
    last_ops: tuple[Op, ...] = ()
    batch_failed: bool = False
    clamp_told: bool = False
    """Whether all MSS elements were told while operations were under way."""
    failures: int = 0
    retry_at: float = 0.0
    error: str = ""
    state: TunnelState = TunnelState.DOWN
    since: float = 0.0

    @property
    def wanted_by(self) -> tuple[ChildSa, ...]:
        """Return the SAs that the interface is for: those that are live, else the declared one."""
        return tuple(self.sas.values()) or ((self.declared,) if self.declared else ())

    @property
    def empty(self) -> bool:
        """Whether no SA wants this tunnel, nothing is there and nothing is under way."""
        return not self.sas and not self.pending and self.observed == Observed()

    @property
    def has_owner(self) -> bool:
        """Whether its name is that of its policy, which no other policy's SA can then have."""
        return self.policy is not None and (bool(self.sas) or is_static(self.policy.interface))

    def probe_due(self, now: float) -> bool:
        """Whether it is time to look up the path to the peer again."""
        return self.probe_at is not None and self.probe_at <= now


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a line in the log."""

    level: str
    event: str
    tunnel: str = ""
    detail: str = ""


class Tunnels:
    """All by_name by the name of their tunnel."""

    def __init__(self) -> None:
        self.by_name: dict[str, Tunnel] = {}
        self.longest_hold = 0.0
        """Seconds that a tunnel without policy is held."""
        self.sas_known = False
        """Whether charon has told all its SAs, once at least."""
        self._notes: list[Note] = []
        self._dirty: dict[str, None] = {}
        self._deadlines = Deadlines[str]()

    def __iter__(self) -> Iterator[Tunnel]:
        return iter(self.by_name.values())

    def get(self, name: str | None) -> Tunnel | None:
        """Return a tunnel by its name, None where there is none."""
        return None if name is None else self.by_name.get(name)

    def at(self, netns: str, interface: str) -> Tunnel:
        """Return the tunnel of an interface, a new one where there is none yet."""
        name = tunnel_name(netns, interface)
        if name not in self.by_name:
            self.by_name[name] = Tunnel(name=name, interface=interface, netns=netns)
        return self.by_name[name]

    def inside(self, netns: str) -> list[Tunnel]:
        """Return the tunnels whose interfaces live in a namespace."""
        return [tunnel for tunnel in self if tunnel.netns == netns]

    def forget(self, tunnel: Tunnel) -> None:
        """Drop a tunnel that nobody wants and of which nothing is there."""
        del self.by_name[tunnel.name]
        self._deadlines.clear(tunnel.name)

    # --- what is to be looked at ----------------------------------------------------------------

    def changed(self, tunnel: Tunnel) -> None:
        """Look at a tunnel again, at once: a new input clears the back-off."""
        tunnel.retry_at = 0.0
        self.look_at(tunnel)

    def look_at(self, tunnel: Tunnel) -> None:
        """Look at a tunnel again when its back-off allows it."""
        self._dirty[tunnel.name] = None

    def observe(self, tunnel: Tunnel, observed: Observed) -> None:
        """File what there is of a tunnel."""
        if observed != tunnel.observed:
            tunnel.observed = observed
            self.changed(tunnel)

    def hold(self, tunnel: Tunnel, now: float) -> None:
        """Keep what is there for the hold time: that of its policy, else the longest there is."""
        time = tunnel.policy.hold_time if tunnel.policy else self.longest_hold
        tunnel.hold_until = now + time

    def hold_leftover(self, tunnel: Tunnel, now: float) -> None:
        """Give a tunnel its time that was found when the SAs were known and none wanted it."""
        if self.sas_known and not tunnel.sas and tunnel.hold_until is None:
            self.hold(tunnel, now)

    def wake(self, tunnel: Tunnel, now: float) -> None:
        """Have a tunnel looked at when the next of its times has come."""
        times = (tunnel.hold_until, tunnel.probe_at, tunnel.retry_at)
        if future := [when for when in times if when is not None and when > now]:
            self._deadlines.set(tunnel.name, min(future))

    def next_deadline(self) -> float | None:
        """Return when the next tunnel is due, None for never."""
        return self._deadlines.next()

    @property
    def dirty(self) -> bool:
        """Whether there are tunnels to be looked at."""
        return bool(self._dirty)

    def take_dirty(self, now: float, limit: int) -> Iterator[Tunnel]:
        """Give up to `limit` tunnels to be looked at, those that are due now with them."""
        self._dirty.update(dict.fromkeys(self._deadlines.pop_due(now)))
        for name in list(self._dirty)[:limit]:
            del self._dirty[name]
            if name in self.by_name:
                yield self.by_name[name]

    # --- what is worth a line -------------------------------------------------------------------

    def note(self, level: str, event: str, tunnel: str = "", detail: str = "") -> None:
        """Have a line logged."""
        self._notes.append(Note(level, event, tunnel, detail))

    def take_notes(self) -> list[Note]:
        """Give the lines that have not been logged yet."""
        notes, self._notes = self._notes, []
        return notes

    def fail(self, tunnel: Tunnel, error: str, now: float) -> None:
        """File a failure; the tunnel is tried again, later each time."""
        tunnel.failures += 1
        wait = min(RETRY_LAST, RETRY_FIRST * 2.0 ** (tunnel.failures - 1))
        tunnel.retry_at = now + wait
        if error != tunnel.error:
            self.note("error", "operation failed", tunnel.name, error)
        tunnel.error = error
