"""The tunnels: what is known of each, which are due for planning, and when. Pure.

Rules of this file:

* `Tunnels` owns them. Whoever changes a tunnel calls `changed`, or changes it by `observe`: it is
  then planned again, at once or, while operations are under way, when the last one is answered.
* `hold` gives a tunnel without SA its hold time; nothing here deletes anything.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from vtid.config.types import ANY_REMOTE, is_static
from vtid.core.deadlines import Deadlines
from vtid.core.desired import NOTHING
from vtid.core.lifecycle import Life
from vtid.core.members import Members
from vtid.core.presence import declared
from vtid.core.progress import Progress
from vtid.core.route_book import RouteBook
from vtid.model.link import Desired, Observed, tunnel_name
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Policy
    from vtid.core.made import Made
    from vtid.core.tally import Tally
    from vtid.core.underlay import Path
    from vtid.model.sa import ChildSa
    from vtid.model.status import PastOp


ABSENT = Observed()
"""Nothing is there."""


@dataclass(slots=True)
class Tunnel:
    """One tunnel. `lifecycle` tells its life, `progress` how far the work on it is.

    Times are seconds of the state's clock.
    """

    name: str
    interface: str
    netns: str
    label: str = ""
    """Its name for operators (`labels`); empty while no policy wants it."""
    tally: Tally | None = None
    """Where its traffic counts: that of the label it has, or had last."""

    # who wants it
    policy: Policy | None = None
    members: Members = field(default_factory=Members)
    """The installed CHILD_SAs."""
    last_sa: ChildSa | None = None
    """The SA that joined last, installed or not."""
    serves: tuple[str, str, bool] | None = None
    """Connection and child of that SA, and whether only its inbound direction."""
    hold_until: float | None = None
    """End of the hold time; None while there is an SA or nothing to hold."""

    # what there is
    observed: Observed = ABSENT
    our_addresses: frozenset[str] = frozenset()
    """Addresses that vtid added, now or before a restart."""
    routes: RouteBook = field(default_factory=RouteBook)
    """Routes that should be there, and those that are."""
    paths: set[Path] = field(default_factory=set)
    """Outer local and remote addresses whose path MTU counts."""
    lookup_all: bool = False
    """Whether to look up all of them, not only those that are due (`Paths`)."""
    lookup_at: float | None = None
    """When to look up the paths again."""

    proven: int = 0
    """Bytes; the largest packet that passes, if probes found that larger ones do not; else 0."""

    silent: str = ""
    """Why its interface is to be down although there is an SA; empty if it is not."""

    # what should be there
    desired: Desired = NOTHING
    made: Made | None = None
    """What its SAs asked for last."""
    last_desired: Desired | None = None
    """What was desired of the interface last, for the time without SA; None if it has none."""
    progress: Progress = field(default_factory=Progress)

    since_event: float | None = None
    """When the event came that the operations under way go back to; None while there are none."""
    life: Life = Life.UNWANTED
    """As it was when the tunnel was planned last."""

    # what operators see
    state: TunnelState = TunnelState.DOWN
    since: float = 0.0
    history: tuple[PastOp, ...] = ()
    """Its last operations, the oldest first."""

    @property
    def sas(self) -> dict[int, ChildSa]:
        """Installed CHILD_SAs by unique ID."""
        return self.members.sas

    @property
    def declared(self) -> ChildSa | None:
        """The SA that the policy declares, in place of one that charon does not have."""
        return declared(self.policy, self.last_sa) if self.policy else None

    @property
    def wanted_by(self) -> Members:
        """The SAs that the interface is for: those installed, else the declared one."""
        if self.sas or not (sa := self.declared):
            return self.members
        return Members((sa,))

    @property
    def empty(self) -> bool:
        """Whether no SA wants this tunnel, nothing is there and nothing is under way."""
        return not self.sas and not self.progress.pending and self.observed == ABSENT

    @property
    def peer(self) -> str:
        """Outer address of its peer as it was last; empty where it has several, or had none."""
        if self.last_sa is None or (self.policy and self.policy.remote == ANY_REMOTE):
            return ""
        return self.last_sa.remote_host

    @property
    def has_owner(self) -> bool:
        """Whether its policy owns its name: no SA of another policy can then have it."""
        return self.policy is not None and (bool(self.sas) or is_static(self.policy.interface))

    def lookup_due(self, now: float) -> bool:
        """Whether it is time to look up the paths again."""
        return self.lookup_at is not None and self.lookup_at <= now


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log."""

    level: str
    event: str
    tunnel: str = ""
    detail: str = ""
    peer: str = ""
    """Outer address of the peer; empty where it is about none, or about several."""


class Tunnels:
    """All tunnels by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Tunnel] = {}
        self._by_netns: dict[str, dict[str, Tunnel]] = {}
        self.longest_hold = 0.0
        """Seconds for which a tunnel without policy is held."""
        self.count: Counter[TunnelState] = Counter()
        """Tunnels in each state."""
        self.in_error: dict[str, Tunnel] = {}
        """Those in state `ERROR` by name, the one that is so for longest first."""
        self.busy: set[str] = set()
        """Names of those with operations under way."""
        self.sas_known = False
        """Whether charon has listed its SAs at least once."""
        self._notes: list[Note] = []
        self._durations: list[float] = []
        self._dirty: dict[str, None] = {}
        self._deadlines = Deadlines[str]()

    def __iter__(self) -> Iterator[Tunnel]:
        return iter(self.by_name.values())

    def get(self, name: str | None) -> Tunnel | None:
        """Return a tunnel by name, None where there is none."""
        return None if name is None else self.by_name.get(name)

    def get_or_add(self, netns: str, interface: str) -> Tunnel:
        """Return the tunnel of an interface, a new one where there is none yet."""
        name = tunnel_name(netns, interface)
        if name not in self.by_name:
            tunnel = Tunnel(name=name, interface=interface, netns=netns)
            self.by_name[name] = self._by_netns.setdefault(netns, {})[name] = tunnel
            self.count[tunnel.state] += 1
        return self.by_name[name]

    def in_netns(self, netns: str) -> list[Tunnel]:
        """Return the tunnels whose interfaces live in a namespace."""
        return list(self._by_netns.get(netns, {}).values())

    def forget(self, tunnel: Tunnel) -> None:
        """Drop a tunnel that nothing wants and of which nothing is left."""
        del self.by_name[tunnel.name]
        siblings = self._by_netns[tunnel.netns]
        del siblings[tunnel.name]
        if not siblings:
            del self._by_netns[tunnel.netns]
        self.count[tunnel.state] -= 1
        self.in_error.pop(tunnel.name, None)
        self._deadlines.clear(tunnel.name)

    def show(self, tunnel: Tunnel, state: TunnelState, now: float) -> None:
        """Note a new state of a tunnel, for operators."""
        self.count[tunnel.state] -= 1
        self.count[state] += 1
        tunnel.state, tunnel.since = state, now
        if state is TunnelState.ERROR:
            self.in_error[tunnel.name] = tunnel
        else:
            self.in_error.pop(tunnel.name, None)

    # --- what is due for planning ---------------------------------------------------------------

    def changed(self, tunnel: Tunnel) -> None:
        """Plan a tunnel again without back-off, at once or when nothing is under way any more."""
        tunnel.progress.retry_now()
        self.revisit(tunnel)

    def change_all(self) -> None:
        """Plan every tunnel again, as `changed` has it."""
        for tunnel in self:
            self.changed(tunnel)

    def revisit(self, tunnel: Tunnel) -> None:
        """Plan a tunnel again when its back-off allows, once nothing is under way.

        What comes and goes again before the last operation is answered is then never planned.
        """
        if not tunnel.progress.pending:
            self._dirty[tunnel.name] = None

    def observe(self, tunnel: Tunnel, observed: Observed) -> None:
        """File what there is of a tunnel."""
        if observed != tunnel.observed:
            tunnel.observed = observed
            self.changed(tunnel)

    def hold(self, tunnel: Tunnel, now: float) -> None:
        """Begin the hold time: that of the tunnel's policy, else the longest of all."""
        seconds = tunnel.policy.hold_time if tunnel.policy else self.longest_hold
        tunnel.hold_until = now + seconds

    def hold_leftover(self, tunnel: Tunnel, now: float) -> None:
        """Hold what turns up after charon listed its SAs and no SA wants."""
        if self.sas_known and not tunnel.sas and tunnel.hold_until is None:
            self.hold(tunnel, now)

    def wake(self, tunnel: Tunnel, now: float) -> None:
        """Set the deadline at which a tunnel is planned without any input."""
        times = (tunnel.hold_until, tunnel.lookup_at, tunnel.progress.retry_at)
        if future := [when for when in times if when is not None and when > now]:
            self._deadlines.set(tunnel.name, min(future))

    def next_deadline(self) -> float | None:
        """Return when the next tunnel is due, None for never."""
        return self._deadlines.next()

    @property
    def dirty(self) -> bool:
        """Whether any tunnel is due for planning."""
        return bool(self._dirty)

    @property
    def under_way(self) -> int:
        """How many tunnels are due for planning or have operations under way."""
        return len(self._dirty.keys() | self.busy)

    def is_dirty(self, tunnel: Tunnel) -> bool:
        """Whether a tunnel is due for planning."""
        return tunnel.name in self._dirty

    def take_dirty(self, now: float, limit: int) -> Iterator[Tunnel]:
        """Yield up to `limit` tunnels that are due, those whose deadline has come included."""
        self._dirty.update(dict.fromkeys(self._deadlines.pop_due(now)))
        for name in list(islice(self._dirty, limit)):
            del self._dirty[name]
            if name in self.by_name:
                yield self.by_name[name]

    # --- how long it takes ------------------------------------------------------------------------

    def done(self, tunnel: Tunnel, now: float) -> None:
        """Note that nothing is left to do for a tunnel."""
        if tunnel.since_event is not None:
            self._durations.append(now - tunnel.since_event)
            tunnel.since_event = None

    def take_durations(self) -> list[float]:
        """Return the seconds from event to done of what got done since the last call."""
        durations, self._durations = self._durations, []
        return durations

    # --- the log --------------------------------------------------------------------------------

    def note(
        self, level: str, event: str, tunnel: str = "", detail: str = "", peer: str = ""
    ) -> None:
        """Have a line logged; `tunnel` is a tunnel's name, `peer` by default its only one."""
        found = self.by_name.get(tunnel)
        label = (found.label if found else "") or tunnel
        self._notes.append(Note(level, event, label, detail, peer or (found.peer if found else "")))

    def failed(self, tunnel: str, error: str) -> None:
        """Have a failed operation logged."""
        self.note("error", "operation failed", tunnel, error)

    def take_notes(self) -> list[Note]:
        """Return the lines that have not been logged yet."""
        notes, self._notes = self._notes, []
        return notes
