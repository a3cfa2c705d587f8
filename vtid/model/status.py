"""Status: what operators see, for the control API, `vtictl` and the metrics. Pure.

Rules of this file:

* Times are Unix times in seconds, 0 where unknown; sizes are bytes.
* An error is one line that names the thing and the way out; empty where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from vtid.model.bgp import BgpState
from vtid.model.bounds import Bound, MtuBound
from vtid.model.counts import NO_COUNTS, Counts
from vtid.model.input import BirdState
from vtid.model.levels import LogLevel
from vtid.model.link import Clamp, Link, Route
from vtid.model.loaded import Loaded
from vtid.model.mode import Mode
from vtid.model.sa import ChildSa, IkeSa


class TunnelState(StrEnum):
    """State of a tunnel, the same word in metrics and `vtictl`."""

    UP = "up"
    """A CHILD_SA is installed, and everything is as desired."""
    PENDING = "pending"
    """Operations are under way."""
    HOLDING = "holding"
    """No SA; the interface waits for one until its hold time has passed."""
    DOWN = "down"
    """No SA; no interface either, or one that the policy keeps. Or an SA, and a silent peer."""
    ERROR = "error"
    """Something cannot be done; `error` says what and the way out."""


def carries(state: TunnelState, link: Link | None, *, has_sa: bool) -> bool:
    """Whether a tunnel carries traffic: it has an SA, and its interface is up.

    A tunnel that is being changed in place (a rekey with another MTU, an endpoint that moved)
    carries traffic meanwhile.
    """
    if state is TunnelState.UP:
        return True
    return state is TunnelState.PENDING and has_sa and link is not None and link.up


@dataclass(frozen=True, slots=True)
class ProbeStatus:
    """What probes through a tunnel found."""

    peer: str
    """The address that is asked to answer."""
    search: str
    """State of the search for the MTU (RFC 8899, section 5.2); empty where it is off."""
    computed_mtu: int
    """Bytes; what ciphers, route and configuration allow. 0 where the search is off."""
    proven_mtu: int
    """Bytes; the largest packet that is known to pass. 0 if none is."""
    alive: bool | None
    """Whether probes are answered; None where nothing is asked at intervals, or there is no SA."""
    sent: int
    answered: int
    rtt: float
    """Seconds that the last answer took; 0 if there was none."""
    answered_at: float
    """Unix time of the last answer."""
    error: str
    """Why the last probe could not be sent."""


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """All that vtid knows of one tunnel, for `vtictl` and the metrics."""

    tunnel: str
    """Its label, which stays the same for as long as the tunnel is wanted."""
    interface: str
    """The policy's template (`vti{mark}`) until the tunnel comes up for the first time."""
    netns: str
    policy: str
    state: TunnelState
    reason: str
    error: str = ""
    since: float = 0.0
    """Unix time of the last change of `state`."""
    sas: tuple[ChildSa, ...] = ()
    ike: IkeSa | None = None
    """The IKE_SA of the newest of them; None where it is not known."""
    link: Link | None = None
    ifindex: int = 0
    addresses: tuple[str, ...] = ()
    clamp: Clamp | None = None
    path_mtu: int = 0
    """Bytes; the largest packet that fits into the SA. 0 if unknown."""
    mtu_bounds: tuple[MtuBound, ...] = ()
    """All that bounds its MTU; empty while there is no SA."""
    mtu_limit: Bound | None = None
    """The one that counts."""
    underlay_mtu: int = 0
    underlay_interface: str = ""
    dropped: str = ""
    """What IPsec drops while nothing comes through, although the SA is up."""
    bgp: tuple[BgpState, ...] = ()
    """The tunnel's sessions as BIRD reports them; `state` is empty for one BIRD does not have."""
    failures: int = 0
    """Failed operations since the last success."""
    routes: tuple[Route, ...] = ()
    """Those that vtid added."""
    probe: ProbeStatus | None = None
    """None where the tunnel is not probed."""
    mode: Mode = Mode.MANAGED
    """Whether the operator paused or drained it."""
    series: bool = True
    """Whether metrics have it; not if no policy wants it, or another interface replaced it."""
    counts: Counts = NO_COUNTS
    """What happened to it since vtid started."""


@dataclass(frozen=True, slots=True)
class PastOp:
    """An operation that was carried out, or failed."""

    at: float
    """Unix time of its end; in the core, seconds of the state's clock."""
    op: str
    """Class name of the operation."""
    subject: str
    """What it was about, as `Op.subject` has it."""
    result: str
    """`done`, `unchanged` or `failed`."""
    reason: str
    """Why it was wanted."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class TunnelDetails(TunnelStatus):
    """The status of one tunnel, and what was done for it."""

    synced: bool = True
    """Everything is as it should be; nothing is under way or waits for another try."""
    history: tuple[PastOp, ...] = ()
    """The last operations, the oldest first."""


@dataclass(frozen=True, slots=True)
class BgpRow(BgpState):
    """A BGP session that the configuration wants, as BIRD has it, or why it does not."""

    tunnel: str = ""
    """Label of the tunnel that it runs over."""
    tunnel_state: TunnelState = TunnelState.DOWN
    local_as: int = 0
    remote_as: int = 0
    missing: str = ""
    """Why BIRD does not have it, and the way out; empty where it has."""


@dataclass(frozen=True, slots=True)
class PatternStatus:
    """A policy that matches any number of connections or peers, and how many tunnels it has."""

    policy: str
    interface: str
    netns: str
    tunnels: int
    up: int


@dataclass(frozen=True, slots=True)
class Initiation:
    """A CHILD_SA that vtid asks charon to initiate, because its policy says so."""

    connection: str
    child: str
    tunnel: str
    """The policy's interface, which may be a template (`vti{mark}`)."""
    up: bool
    asked: int
    """Times that charon was asked since vtid started."""
    next_at: float = 0.0
    """Unix time at which charon is asked next; 0 where nothing is due."""
    error: str = ""
    """Why charon refused to begin; there is no event if it fails later."""
    error_at: float = 0.0
    """Unix time of the first of these refusals; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class BirdSummary:
    """A BIRD in a few words."""

    instance: str
    connected: bool
    version: str
    sessions: int
    established: int
    unconfirmed: bool
    """The file is yet to be accepted by BIRD, or can still be undone."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that needs attention."""

    subject: str
    """`charon`, `namespace NAME`, `bird NAME`, a tunnel; empty where the error names it."""
    error: str
    since: float
    """Unix time at which it began; 0 if vtid has never seen it otherwise."""

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.subject}: {self.error}" if self.subject else self.error


@dataclass(frozen=True, slots=True)
class Summary:
    """The daemon on one screen. It costs the same however many tunnels are well."""

    version: str
    started_at: float
    config_loaded_at: float
    ready: bool
    waiting_for: tuple[str, ...]
    synced: bool
    """Everything is known, nothing is under way, and no tunnel is in error."""
    vici_connected: bool
    namespaces: int
    namespaces_watched: int
    birds: tuple[BirdSummary, ...]
    tunnels: dict[str, int]
    """How many tunnels are in each state; policies whose tunnel never came up count as down."""
    paused: int
    drained: int
    """Tunnels that the operator paused, and that he drained."""
    initiating: int
    """CHILD_SAs that charon is to initiate and that are not there yet."""
    troubles: tuple[Trouble, ...]
    """The first ones, those of the daemon before those of tunnels."""
    more_troubles: int
    log_levels: tuple[LogLevel, ...] = ()
    """Those that an operator changed."""
    under_way: int = 0
    """Tunnels that are due for a look, or have operations under way."""
    operations_begun: int = 0
    operations_answered: int = 0
    """Operations since vtid started: that were begun, and that are done or failed."""

    def since(self, moment: float) -> tuple[Trouble, ...]:
        """Return those of `troubles` that began at a moment (Unix time) or later."""
        return tuple(one for one in self.troubles if one.since >= moment)


@dataclass(frozen=True, slots=True)
class Status:
    """A picture of the whole daemon at one moment."""

    version: str
    started_at: float
    config_loaded_at: float
    config_error: str
    """Why the last reload was refused; empty where it was not."""
    vici_connected: bool
    vici_error: str
    namespaces: tuple[tuple[str, str], ...]
    """Namespace and error; empty where it is watched."""
    ready: bool
    waiting_for: tuple[str, ...]
    """What readiness still waits for."""
    tunnels: tuple[TunnelStatus, ...] = ()
    patterns: tuple[PatternStatus, ...] = ()
    birds: tuple[BirdState, ...] = ()
    initiations: tuple[Initiation, ...] = ()
    alerts: tuple[tuple[str, int], ...] = ()
    """Alerts of charon since the start, by type."""
    loaded: Loaded | None = None
    """What charon has loaded, beside the policies; None where that is not known."""
    problems: tuple[str, ...] = field(default=())
    """SAs that no tunnel could be made for, and namespaces with interfaces of ours that no
    configuration names, one clear line each."""
