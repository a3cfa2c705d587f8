"""The words that all of vtid speaks: SAs, links, operations and inputs, as plain values.

Rules of this file:

* Standard library only, no behaviour beyond properties of a value.
* Every value is frozen and made of str, int, float, bool, None, tuples and other such values, so
  that an input or an operation can be written down as JSON and read back.
* Addresses are text in canonical form (`str(ipaddress.ip_address(text))`); whoever turns bytes or
  somebody's text into a value here has validated it.
* What a peer said (identities, names) has been stripped of control characters by its edge.

The way of the data: an edge turns bytes into an `Input`; the state applies it and tells which
tunnels it touched; for each of them a `Desired` is compared with an `Observed` and the difference
is a tuple of `Op`; edges execute operations and answer with `OpDone` or `OpFailed`, again inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import ClassVar

from vtid.bgp import HIDDEN as HIDDEN  # noqa: PLC0414 - a word of this file
from vtid.bgp import BgpSession as BgpSession  # noqa: PLC0414 - a word of this file
from vtid.bgp import BirdBlock as BirdBlock  # noqa: PLC0414, TC001 - a word of this file
from vtid.bgp import SaFacts as SaFacts  # noqa: PLC0414 - a word of this file
from vtid.bgp import Secret as Secret  # noqa: PLC0414 - a word of this file
from vtid.bgp import TunnelFacts as TunnelFacts  # noqa: PLC0414 - a word of this file
from vtid.esp import EspAlgorithms as EspAlgorithms  # noqa: PLC0414, TC001 - a word of this file
from vtid.sysctls import Sysctls  # noqa: TC001 - part of a word of this file

LINK_GROUP = 0x76746964
"""IFLA_GROUP of every link vtid owns ("vtid" in ASCII): the mark from the first moment."""

PROTOCOL = 118
"""rtm_protocol of every route and IFA_PROTO of every address that vtid adds ("v" in ASCII).

Unassigned in linux/rtnetlink.h and in iproute2's rt_protos; IFA_PROTO exists since Linux 5.18.
"""

MAIN_TABLE = 254
"""Routing table of links that are in no VRF (linux/rtnetlink.h, RT_TABLE_MAIN)."""

ALIAS_PREFIX = "vtid:"
"""IFLA_IFALIAS of a link vtid owns is this prefix and the tunnel's name."""

FULL_MASK = 0xFFFFFFFF


# --- what strongSwan says ------------------------------------------------------------------------


class SaMode(StrEnum):
    """Mode of a CHILD_SA, as VICI spells it (libstrongswan/ipsec/ipsec_types.c)."""

    TUNNEL = "TUNNEL"
    TRANSPORT = "TRANSPORT"
    BEET = "BEET"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Mark:
    """An XFRM mark: a packet matches where `packet & mask == value` (xfrm(8), xfrm_mark)."""

    value: int
    mask: int = FULL_MASK


@dataclass(frozen=True, slots=True)
class ChildSa:
    """One CHILD_SA with what its IKE_SA says of the endpoints, from list-sas or an event."""

    unique_id: int
    connection: str
    child: str
    ike_unique_id: int
    local_host: str
    remote_host: str
    mode: SaMode
    protocol: str
    """`ESP` or `AH`."""
    esp: EspAlgorithms
    encap: bool = False
    """NAT-T: ESP in UDP (RFC 3948)."""
    mark_in: Mark | None = None
    mark_out: Mark | None = None
    if_id_in: int = 0
    if_id_out: int = 0
    reqid: int = 0
    state: str = "INSTALLED"
    local_id: str = ""
    remote_id: str = ""
    """Identity that the peer authenticated with: its EAP or XAuth identity where it has one."""
    remote_vips: tuple[str, ...] = ()
    """Virtual IPs that the peer was given (RFC 7296, section 2.19)."""
    local_ts: tuple[str, ...] = ()
    remote_ts: tuple[str, ...] = ()
    installed_at: float = 0.0
    """Unix time of the installation, in seconds; 0 where unknown."""

    def __str__(self) -> str:
        return f"{self.connection}/{self.child}{{{self.unique_id}}}"


# --- what the kernel has, and what it should have ------------------------------------------------


class Kind(StrEnum):
    """Kind of tunnel interface a policy asks for."""

    VTI = "vti"
    """A VTI finds its SAs by marks."""
    XFRM = "xfrm"
    """An XFRM interface finds its SAs by their interface ID."""


@dataclass(frozen=True, slots=True)
class Link:
    """A tunnel interface as RTM_NEWLINK describes it; the same shape desired and observed.

    `kind` is the kernel's rtnl_link_ops name, `vti` (IPv4 outside), `vti6` (IPv6 outside) or
    `xfrm`. Of a VTI, `local` and `remote` are the outer addresses, `ikey` and `okey` the marks in
    and out; an XFRM interface has an `if_id` instead, and no outer addresses. `rp_filter` and
    `disable_policy` are the interface's IPv4 settings (net.ipv4.conf.*).
    """

    netns: str
    """Namespace the link lives in; "" is vtid's own, where charon and the outer addresses are."""
    name: str
    kind: str
    local: str
    remote: str
    ikey: int
    okey: int
    mtu: int
    alias: str
    up: bool = True
    disable_policy: bool = True
    rp_filter: int = 0
    outer_netns_ok: bool = True
    """The link's outer side is in vtid's own namespace (IFLA_LINK_NETNSID says so).

    Only then it is ours: several vtids, each in a namespace of its own, may share an inner one.
    """
    if_id: int = 0
    vrf: str = ""
    """VRF device it is enslaved to; `?` is a master of another kind."""
    table: int = MAIN_TABLE
    """Routing table of its VRF, main in none. Only told: the VRF has it, not the link."""
    link_local: bool = True
    """The kernel may give it an IPv6 link-local address (addrgenmode is not `none`)."""
    sysctls: Sysctls = ()
    """Settings as `vtid.sysctls` names them: desired those that are asked for, observed all."""


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A route of ours to a prefix through a link of ours; what tells it apart from others."""

    to: str
    metric: int
    """0 is IPv4's default, 1024 IPv6's; a smaller one wins."""
    table: int = 0
    """0 stands for the table of the link's VRF, main in none."""


@dataclass(frozen=True, slots=True)
class Clamp:
    """TCP maximum segment sizes in bytes, for IPv4 and IPv6 through one interface (RFC 9293)."""

    mss4: int
    mss6: int


@dataclass(frozen=True, slots=True)
class Desired:
    """What should be there for one tunnel, and why. All None and empty: nothing should."""

    reason: str
    link: Link | None = None
    addresses: tuple[str, ...] = ()
    """Interface addresses: `2001:db8:ff::/127`, or with a peer `10.0.0.1 peer 10.0.0.2/32`."""
    clamp: Clamp | None = None
    birds: tuple[BirdBlock, ...] = ()
    """At most one block per BIRD instance."""
    probes: tuple[tuple[str, str], ...] = ()
    """Outer local and remote addresses whose path MTUs must be known first."""
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """What is there for one tunnel. `ifindex` is 0 while there is no link."""

    link: Link | None = None
    ifindex: int = 0
    addresses: frozenset[str] = frozenset()
    clamp: Clamp | None = None
    birds: tuple[BirdBlock, ...] = ()
    """As last handed to the BIRD edge; a block without sessions where only a file names it."""
    routes: frozenset[Route] = frozenset()
    """Those of ours, each with its table by number."""


# --- operations: one effect as a value -----------------------------------------------------------


class Stage(IntEnum):
    """Order in which the operations of one pass are executed."""

    PROBE = 0
    DELETE = 1
    CREATE = 2
    CONFIGURE = 3
    UP = 4
    CLAMP = 5
    ROUTE = 6
    BIRD = 7
    INITIATE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One effect. Idempotent: deleting what is gone and creating what is there succeed."""

    stage: ClassVar[Stage]
    tunnel: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeUnderlay(Op):
    """Find route and MTU from `local` to `remote` in vtid's own namespace: an `UnderlaySeen`."""

    stage: ClassVar[Stage] = Stage.PROBE
    local: str
    remote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLink(Op):
    """RTM_DELLINK, only if the link with this index still is in our group."""

    stage: ClassVar[Stage] = Stage.DELETE
    netns: str
    name: str
    ifindex: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteClamp(Op):
    """Remove the MSS elements of an interface."""

    stage: ClassVar[Stage] = Stage.DELETE
    netns: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBird(Op):
    """Remove a tunnel's text from a BIRD include file."""

    stage: ClassVar[Stage] = Stage.BIRD
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLink(Op):
    """RTM_NEWLINK with NLM_F_EXCL in `link.netns`, then alias and settings; left down."""

    stage: ClassVar[Stage] = Stage.CREATE
    link: Link


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLink(Op):
    """Change the named fields of an existing link of ours to those of `link`, in place.

    Field names are those of `Link`: kind, local, remote, ikey, okey and if_id go as one change
    of IFLA_INFO_DATA; ipv6 sysctls are written below /proc/sys; mtu, alias, vrf, link_local,
    disable_policy, rp_filter and the other sysctls as they are.
    """

    stage: ClassVar[Stage] = Stage.CONFIGURE
    link: Link
    ifindex: int
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp(Op):
    """Set IFF_UP (or clear it) on a link of ours."""

    stage: ClassVar[Stage] = Stage.UP
    netns: str
    name: str
    up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddress(Op):
    """RTM_NEWADDR on a link of ours; IPv6 without duplicate address detection."""

    stage: ClassVar[Stage] = Stage.CONFIGURE
    netns: str
    interface: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAddress(Op):
    """RTM_DELADDR on a link of ours."""

    stage: ClassVar[Stage] = Stage.CONFIGURE
    netns: str
    interface: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRoute(Op):
    """RTM_NEWROUTE through a link of ours, with our protocol number."""

    stage: ClassVar[Stage] = Stage.ROUTE
    netns: str
    interface: str
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRoute(Op):
    """RTM_DELROUTE of a route through a link of ours, only if it has our protocol number."""

    stage: ClassVar[Stage] = Stage.ROUTE
    netns: str
    interface: str
    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClamp(Op):
    """Set the MSS elements of an interface, in the namespace of the interface."""

    stage: ClassVar[Stage] = Stage.CLAMP
    netns: str
    interface: str
    clamp: Clamp


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBird(Op):
    """Make a tunnel's block part of its BIRD's include file; the push follows by itself."""

    stage: ClassVar[Stage] = Stage.BIRD
    block: BirdBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiate(Op):
    """Have charon initiate a CHILD_SA, unless it is there or in progress (`changed` tells).

    It belongs to a policy: `tunnel` is named as the policy names it, `vti{mark}` maybe.
    """

    stage: ClassVar[Stage] = Stage.INITIATE
    connection: str
    child: str


# --- inputs: all that can happen -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    """Something that happened, told to the state by an edge."""


@dataclass(frozen=True, slots=True)
class ChildUp(Input):
    """VICI child-updown with up=yes."""

    sa: ChildSa


@dataclass(frozen=True, slots=True)
class ChildDown(Input):
    """VICI child-updown with up=no. For one that the state no longer has, nothing happens."""

    unique_id: int


@dataclass(frozen=True, slots=True)
class ChildRekeyed(Input):
    """VICI child-rekey: the new SA joins; the old one leaves at the same moment."""

    old_unique_id: int
    sa: ChildSa


@dataclass(frozen=True, slots=True)
class IkeDown(Input):
    """VICI ike-updown with up=no: all its CHILD_SAs are gone, told singly or not."""

    ike_unique_id: int


@dataclass(frozen=True, slots=True)
class IkeRekeyed(Input):
    """VICI ike-rekey: the CHILD_SAs now belong to another IKE_SA."""

    old_unique_id: int
    new_unique_id: int


@dataclass(frozen=True, slots=True)
class IkeUpdated(Input):
    """VICI ike-update: the endpoints of an IKE_SA and of its CHILD_SAs moved (MOBIKE, NAT)."""

    ike_unique_id: int
    local_host: str
    remote_host: str


@dataclass(frozen=True, slots=True)
class SaSnapshot(Input):
    """All installed CHILD_SAs (list-sas after the events were registered): replaces all."""

    sas: tuple[ChildSa, ...]


@dataclass(frozen=True, slots=True)
class ViciLost(Input):
    """The VICI connection is gone or could not be made. Freezes deletes and holds."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkSeen(Input):
    """A link in our group, as an RTM_NEWLINK event or answer describes it."""

    link: Link
    ifindex: int


@dataclass(frozen=True, slots=True)
class LinkGone(Input):
    """A link of ours was deleted, left the namespace or left our group."""

    netns: str
    ifindex: int


@dataclass(frozen=True, slots=True)
class AddressSeen(Input):
    """RTM_NEWADDR on a link of ours, with prefix length."""

    netns: str
    ifindex: int
    address: str
    ours: bool = False
    """It carries our mark: vtid added it."""


@dataclass(frozen=True, slots=True)
class AddressGone(Input):
    """RTM_DELADDR on a link of ours."""

    netns: str
    ifindex: int
    address: str


@dataclass(frozen=True, slots=True)
class RoutesSeen(Input):
    """All routes of ours through one link of ours; each has its table by number."""

    netns: str
    ifindex: int
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class LinkSnapshot(Input):
    """All links of ours in one namespace with all that is on them: replaces what was known."""

    netns: str
    links: tuple[tuple[int, Link], ...]
    """Interface index and link."""
    addresses: tuple[tuple[int, str], ...]
    marked: tuple[tuple[int, str], ...] = ()
    """Those of the addresses that carry our mark."""
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
    """0 where there is no route."""
    interface: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class UnderlayChanged(Input):
    """Routes or link MTUs changed in vtid's own namespace: what is known of paths is old."""


@dataclass(frozen=True, slots=True)
class BirdSnapshot(Input):
    """Tunnels that the include file of a BIRD names, read before the first push."""

    instance: str
    tunnels: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class BgpChannel:
    """One address family of a BGP session; None is what BIRD does not tell, as of one that is down.

    BIRD tells how many routes its import filter refused only with `import keep filtered`.
    """

    family: str
    """BIRD's name of the channel: `ipv4`, `ipv6`, …"""
    state: str = ""
    """`UP`, `DOWN`, …; empty for BIRD 1.6, where session and channel are one."""
    imported: int | None = None
    filtered: int | None = None
    exported: int | None = None
    preferred: int | None = None
    limits_hit: tuple[str, ...] = ()
    """Of `import`, `receive` and `export` those whose limit on routes was reached."""


@dataclass(frozen=True, slots=True)
class BgpState:
    """One BGP protocol of a BIRD, from `show protocols all`."""

    protocol: str
    state: str
    """BIRD's state column: `up`, `start`, `down`."""
    info: str
    """BIRD's info column: `Established`, `Active`, … with its message."""
    since: str
    """Last change of `state`, in the words of BIRD."""
    since_at: float = 0.0
    """The same as Unix time, in seconds; 0 where BIRD's words do not say it."""
    neighbor: str = ""
    interface: str = ""
    """Where BIRD says it: of a neighbour given with one."""
    last_error: str = ""
    channels: tuple[BgpChannel, ...] = ()
    bfd: str = ""
    """State of the BFD session towards the neighbour (`Up`, `Down`, `Init`); empty for none."""
    bird: str = ""
    """The BIRD that has it: names of protocols are unique only within one."""

    @property
    def established(self) -> bool:
        """Whether the session is in the BGP state Established (RFC 4271)."""
        return self.info.split(" ", 1)[0] == "Established"


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
    protocols: tuple[BgpState, ...] = ()


@dataclass(frozen=True, slots=True)
class FullPassDue(Input):
    """Every tunnel is to be looked at, in case something was missed."""


@dataclass(frozen=True, slots=True)
class FlushAsked(Input):
    """The operator wants nothing of vtid's to be there until the next configuration is loaded."""


@dataclass(frozen=True, slots=True)
class BirdGone(Input):
    """A BIRD left the configuration, and nothing of ours is in its file any more."""

    instance: str


@dataclass(frozen=True, slots=True)
class OpDone(Input):
    """An operation succeeded. `changed` is false where nothing had to be done."""

    op: Op
    changed: bool = True


@dataclass(frozen=True, slots=True)
class OpFailed(Input):
    """An operation failed; `error` names the thing and the way out."""

    op: Op
    error: str


# --- what operators see --------------------------------------------------------------------------


class TunnelState(StrEnum):
    """State of a tunnel, one word that metrics and `vtictl` share."""

    UP = "up"
    """An SA is there and the kernel has all that is desired."""
    PENDING = "pending"
    """Operations are on their way."""
    HOLDING = "holding"
    """No SA; the interface waits for one until its hold time has passed."""
    DOWN = "down"
    """No SA; no interface either, or one that the policy keeps."""
    ERROR = "error"
    """Something cannot be done; `error` says what and the way out."""


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """IFLA_STATS64 of a link, in bytes, packets and errors since its creation."""

    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    rx_errors: int
    tx_errors: int


@dataclass(frozen=True, slots=True)
class TunnelStatus:
    """All that vtid knows of one tunnel, for `vtictl` and the metrics."""

    tunnel: str
    interface: str
    netns: str
    policy: str
    state: TunnelState
    reason: str
    error: str = ""
    since: float = 0.0
    """Unix time of the last change of `state`."""
    sas: tuple[ChildSa, ...] = ()
    link: Link | None = None
    ifindex: int = 0
    addresses: tuple[str, ...] = ()
    clamp: Clamp | None = None
    underlay_mtu: int = 0
    underlay_interface: str = ""
    bgp: tuple[BgpState, ...] = ()
    """The tunnel's sessions as BIRD reports them; `state` is empty for one BIRD does not have."""
    failures: int = 0
    """Failed operations since the last success."""
    routes: tuple[Route, ...] = ()
    """Those that vtid added."""


@dataclass(frozen=True, slots=True)
class Initiation:
    """A CHILD_SA that vtid has charon initiate, because a policy wants it."""

    connection: str
    child: str
    tunnel: str
    """As the policy names it, `vti{mark}` maybe."""
    up: bool
    asked: int
    """Times that charon was asked since vtid started."""
    next_at: float = 0.0
    """Unix time at which charon is asked next; 0 where nothing is due."""
    error: str = ""
    """Why charon refused to begin; what becomes of a beginning, it tells by no event."""


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
    birds: tuple[BirdState, ...] = ()
    initiations: tuple[Initiation, ...] = ()
    problems: tuple[str, ...] = field(default=())
    """SAs that no tunnel could be made for, and namespaces with interfaces of ours that no
    configuration names, one clear line each."""
