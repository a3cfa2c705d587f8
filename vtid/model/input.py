"""Inputs: everything that can happen, as values. Pure.

Rules of this file:

* An edge posts inputs, the core applies them; nothing else changes the core's state.
* Inputs are also what a recording consists of: names of classes and fields are a file format.
* A snapshot replaces everything that was known of its subject.
"""

from __future__ import annotations

from dataclasses import dataclass

from vtid.model.bgp import BgpState
from vtid.model.counts import LinkCounters
from vtid.model.link import Clamp, Link, Route
from vtid.model.mode import Mode
from vtid.model.operation import Op
from vtid.model.sa import ChildSa, IkeSa


@dataclass(frozen=True, slots=True)
class Input:
    """Something that happened; an edge posts it."""


@dataclass(frozen=True, slots=True)
class ChildUp(Input):
    """VICI child-updown with up=yes."""

    sa: ChildSa
    ike: IkeSa | None = None


@dataclass(frozen=True, slots=True)
class ChildDown(Input):
    """VICI child-updown with up=no. One that the state does not have is ignored."""

    unique_id: int


@dataclass(frozen=True, slots=True)
class ChildRekeyed(Input):
    """VICI child-rekey: the new SA joins; the old one leaves at the same moment."""

    old_unique_id: int
    sa: ChildSa
    ike: IkeSa | None = None


@dataclass(frozen=True, slots=True)
class IkeDown(Input):
    """VICI ike-updown with up=no: all its CHILD_SAs are gone, with or without own events."""

    ike_unique_id: int


@dataclass(frozen=True, slots=True)
class IkeRekeyed(Input):
    """VICI ike-rekey: the CHILD_SAs now belong to another IKE_SA."""

    old_unique_id: int
    new_unique_id: int
    ike: IkeSa | None = None
    """The new one."""


@dataclass(frozen=True, slots=True)
class IkeUpdated(Input):
    """VICI ike-update: the endpoints of an IKE_SA and of its CHILD_SAs moved (MOBIKE, NAT)."""

    ike_unique_id: int
    local_host: str
    remote_host: str


@dataclass(frozen=True, slots=True)
class Alert(Input):
    """VICI alert (strongSwan 6.0.3 and later): an error that charon met."""

    type: str
    """As VICI calls it, such as `peer-auth-failed`, or `other` (`vici/alerts.py`)."""
    connection: str = ""
    """Empty where it belongs to no IKE_SA."""
    peer: str = ""
    """Outer address of the peer, and its identity if it said one."""


@dataclass(frozen=True, slots=True)
class SaSnapshot(Input):
    """All installed CHILD_SAs (list-sas after the events were registered): replaces all."""

    sas: tuple[ChildSa, ...]
    ikes: tuple[IkeSa, ...] = ()
    """Their IKE_SAs."""


@dataclass(frozen=True, slots=True)
class ViciLost(Input):
    """VICI is lost or cannot be reached: nothing is deleted, and hold times stand still."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkSeen(Input):
    """A link in our group, as an RTM_NEWLINK event or answer describes it."""

    link: Link
    ifindex: int
    counters: LinkCounters | None = None
    """What it had counted when it turned up, where the kernel told it."""


@dataclass(frozen=True, slots=True)
class LinkGone(Input):
    """A link of ours was deleted, left the namespace or left our group."""

    netns: str
    ifindex: int
    counters: LinkCounters | None = None
    """What it counted in its life, where the kernel told it."""


@dataclass(frozen=True, slots=True)
class AddressSeen(Input):
    """RTM_NEWADDR on a link of ours, with prefix length."""

    netns: str
    ifindex: int
    address: str
    ours: bool = False
    """Whether vtid added it: IFA_PROTO is ours."""


@dataclass(frozen=True, slots=True)
class AddressGone(Input):
    """RTM_DELADDR on a link of ours."""

    netns: str
    ifindex: int
    address: str


@dataclass(frozen=True, slots=True)
class RouteSeen(Input):
    """RTM_NEWROUTE: a route of ours through a link of ours; its table is a number."""

    netns: str
    ifindex: int
    route: Route


@dataclass(frozen=True, slots=True)
class RouteGone(Input):
    """RTM_DELROUTE, or another route replaced it."""

    netns: str
    ifindex: int
    route: Route


@dataclass(frozen=True, slots=True)
class RoutesSeen(Input):
    """All our routes through one link of ours: none while it is down."""

    netns: str
    ifindex: int
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class LinkSnapshot(Input):
    """All our links in one namespace, with their addresses and our routes."""

    netns: str
    links: tuple[tuple[int, Link], ...]
    """Interface index and link."""
    addresses: tuple[tuple[int, str], ...]
    marked: tuple[tuple[int, str], ...] = ()
    """Those of `addresses` that vtid added."""
    routes: tuple[tuple[int, Route], ...] = ()
    """Those of ours."""


@dataclass(frozen=True, slots=True)
class NetnsLost(Input):
    """A namespace cannot be entered or watched (missing, no privilege); its edge tries again."""

    netns: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClampSnapshot(Input):
    """All MSS elements of table `inet vtid` in one namespace, by interface name."""

    netns: str
    clamps: tuple[tuple[str, Clamp], ...]


@dataclass(frozen=True, slots=True)
class UnderlaySeen(Input):
    """Route to a peer in vtid's own namespace: the outer MTU in bytes, or why there is none."""

    local: str
    remote: str
    mtu: int
    """That of the route; 0 where there is none."""
    interface: str = ""
    error: str = ""
    learnt: int = 0
    """Path MTU that the kernel learnt, where it is less than that; else 0."""
    expires: float = 0.0
    """Seconds until what was learnt is forgotten."""
    device: int = 0
    """MTU of the interface, where that of the route is less; else 0."""


@dataclass(frozen=True, slots=True)
class UnderlayChanged(Input):
    """Routes or link MTUs changed in vtid's own namespace: known paths may be out of date."""


@dataclass(frozen=True, slots=True)
class LearntSeen(Input):
    """Path MTUs that the kernel learnt towards peers of ours: those of all routes to them.

    Which of them counts, a lookup tells.
    """

    mtus: tuple[tuple[str, tuple[int, ...]], ...]
    """Peer and bytes, in order."""


@dataclass(frozen=True, slots=True)
class ProbeAnswered(Input):
    """The peer answered an echo request: a packet of this size passes in both directions."""

    tunnel: str
    round: int
    """That of the `SendProbe`."""
    size: int
    """Bytes of the IP packet."""
    rtt: float
    """Seconds from request to answer."""


@dataclass(frozen=True, slots=True)
class BirdSnapshot(Input):
    """Tunnels that the include file of a BIRD names, read before the first push."""

    instance: str
    tunnels: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class BirdRefusal:
    """Why a BIRD does not have the include file as it should be."""

    message: str
    """BIRD's own, `FILE:LINE:COLUMN what`, or which sessions a push that was undone took down."""
    quoted: str = ""
    """That line of our file, without secrets; empty where the line is not ours."""
    tunnels: tuple[str, ...] = ()
    """Whose blocks stay as they were."""


@dataclass(frozen=True, slots=True)
class BirdState(Input):
    """What one BIRD instance looks like now; sent when it changes and after each poll."""

    instance: str
    connected: bool
    version: str = ""
    error: str = ""
    """Why there is no connection, or what BIRD said when it refused our file; else empty."""
    pushes: int = 0
    """Reconfigurations that BIRD accepted since vtid started."""
    refusals: int = 0
    """Files that BIRD refused since vtid started."""
    undos: int = 0
    """Reconfigurations that were undone because sessions did not come back, since vtid started."""
    unconfirmed: bool = False
    """The file is yet to be accepted by BIRD, or can still be undone."""
    refusal: BirdRefusal | None = None
    push_seconds: float = 0.0
    """How long BIRD took to check and load its configuration the last time; 0 for never."""
    answered_at: float = 0.0
    """Unix time at which BIRD told its sessions last; 0 for never."""
    started_at: float = 0.0
    reconfigured_at: float = 0.0
    """Unix times at which BIRD was started and configured last, by whomever; 0 if unknown."""
    protocols: tuple[BgpState, ...] = ()


@dataclass(frozen=True, slots=True)
class FullPassDue(Input):
    """It is time to check every tunnel, in case an event was missed."""


@dataclass(frozen=True, slots=True)
class FlushAsked(Input):
    """The operator wants everything of vtid's removed until a configuration is loaded."""


@dataclass(frozen=True, slots=True)
class ModeAsked(Input):
    """The operator pauses, drains or resumes tunnels."""

    mode: Mode
    tunnels: tuple[str, ...] = ()
    """Their labels; all tunnels where there are none, also those that come later."""


@dataclass(frozen=True, slots=True)
class AdoptAsked(Input):
    """The operator wants interfaces that somebody else made to become vtid's own."""

    tunnels: tuple[str, ...] = ()
    """Their names, or their tunnels' labels; all that are wanted where there are none."""


@dataclass(frozen=True, slots=True)
class BirdGone(Input):
    """A BIRD left the configuration, and nothing of ours is in its file any more."""

    instance: str


@dataclass(frozen=True, slots=True)
class OpDone(Input):
    """An operation succeeded; `changed` is false if nothing had to be done."""

    op: Op
    changed: bool = True


@dataclass(frozen=True, slots=True)
class OpFailed(Input):
    """An operation failed; `error` names the thing and the way out."""

    op: Op
    error: str
