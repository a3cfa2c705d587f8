"""Tunnel interfaces: what exists for a tunnel, and what should. Pure.

Rules of this file:

* Desired and observed have the same shape, so that comparing them is the whole plan. Only routes,
  of which one interface may have thousands, have a book of their own (`core/route_book.py`).
* What belongs to vtid is marked in the kernel itself (group, alias, protocol number): after a
  restart, ownership is read from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vtid.model.bgp import BirdBlock
from vtid.model.bounds import MtuBound
from vtid.model.sysctls import Sysctls

LINK_GROUP = 0x76746964
"""IFLA_GROUP of every link vtid owns ("vtid" in ASCII), set when the link is created."""

LEAVING_GROUP = LINK_GROUP + 1
"""IFLA_GROUP of links of ours that are about to be deleted together, by their group."""

OUR_GROUPS = frozenset({LINK_GROUP, LEAVING_GROUP})

PROTOCOL = 118
"""rtm_protocol of every route and IFA_PROTO of every address that vtid adds ("v" in ASCII).

Unassigned in linux/rtnetlink.h and in iproute2's rt_protos; IFA_PROTO exists since Linux 5.18.
"""

MAIN_TABLE = 254
"""Routing table of links that are in no VRF (linux/rtnetlink.h, RT_TABLE_MAIN)."""

ALIAS_PREFIX = "vtid:"
"""IFLA_IFALIAS of a link vtid owns begins with this prefix (`core/alias.py`)."""


def tunnel_name(netns: str, interface: str) -> str:
    """Return the name of a tunnel: its interface, after `NETNS/` unless in vtid's own namespace."""
    return f"{netns}/{interface}" if netns else interface


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
    strict_all: bool = False
    """net.ipv4.conf.all.rp_filter is 1, which counts where the link's own is 0. Observed only."""
    outer_netns_ok: bool = True
    """The link's outer side is in vtid's own namespace (IFLA_LINK_NETNSID says so).

    Only then it is ours: several vtids, each in a namespace of its own, may share an inner one.
    """
    if_id: int = 0
    vrf: str = ""
    """VRF device it is enslaved to; `?` is a master of another kind."""
    table: int = MAIN_TABLE
    """Routing table of its VRF, main without one. Observed only: the VRF has it, not the link."""
    link_local: bool = True
    """The kernel may give it an IPv6 link-local address (addrgenmode is not `none`)."""
    sysctls: Sysctls = ()
    """Settings, named as in `sysctls`: desired those that are asked for, observed all."""


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A route that vtid adds through its link; the fields are its identity in the kernel."""

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
    """What should exist for one tunnel, and why. With everything None or empty, nothing should."""

    reason: str
    link: Link | None = None
    addresses: tuple[str, ...] = ()
    """Interface addresses: `2001:db8:ff::/127`, or with a peer `10.0.0.1 peer 10.0.0.2/32`."""
    clamp: Clamp | None = None
    birds: tuple[BirdBlock, ...] = ()
    """At most one block per BIRD instance."""
    probes: tuple[tuple[str, str], ...] = ()
    """Outer local and remote addresses whose path MTUs must be known first."""
    routes_revision: int = 0
    """Which of the sets of routes that the tunnel's route book has had; 0 is the empty one."""
    keep_routes: bool = False
    """Leave the routes as they are found."""
    no_routes: bool = False
    """Want none of the routes in the tunnel's book."""
    path_mtu: int = 0
    """Bytes; the largest packet that fits into the SA and passes. 0 if unknown."""
    computed_mtu: int = 0
    """Bytes; the same, whatever probes proved: as far as a search goes."""
    bounds: tuple[MtuBound, ...] = ()
    """All that bounds the MTU, whether it counts or not."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What exists for one tunnel. `ifindex` is 0 while there is no link."""

    link: Link | None = None
    ifindex: int = 0
    addresses: frozenset[str] = frozenset()
    clamp: Clamp | None = None
    birds: tuple[BirdBlock, ...] = ()
    """As last handed to the BIRD edge; a block without sessions where only a file names it."""
