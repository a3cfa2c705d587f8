"""Operations: one effect each, as a value. Pure.

Rules of this file:

* The core plans operations, an edge carries them out and answers each with `OpDone` or `OpFailed`.
* `reason` is a sentence for the operator. It has no part in the comparison with what exists.
* Operations are idempotent: deleting what is gone and creating what exists succeed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from vtid.model.bgp import BirdBlock
from vtid.model.link import Clamp, Link, Route


class Stage(IntEnum):
    """Order in which the operations of one tunnel are executed in a pass."""

    PROBE = 0
    DELETE = 1
    CREATE = 2
    CONFIGURE = 3
    UP = 4
    CLAMP = 5
    ROUTE = 6
    BIRD = 7
    INITIATE = 8
    ECHO = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One effect on kernel, nftables, BIRD or charon."""

    stage: ClassVar[Stage]
    gates: ClassVar[bool] = False
    """Whether the later operations of the tunnel are pointless if this one fails."""
    tunnel: str
    reason: str

    @property
    def subject(self) -> str:
        """What the operation is about, in a word or two, where its class does not say it all."""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeUnderlay(Op):
    """Find route and MTU from `local` to `remote` in vtid's own namespace: an `UnderlaySeen`."""

    stage: ClassVar[Stage] = Stage.PROBE
    local: str
    remote: str

    @property
    def subject(self) -> str:
        """Return the peer."""
        return self.remote


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLink(Op):
    """RTM_DELLINK, only if the link with this index still is in our group."""

    stage: ClassVar[Stage] = Stage.DELETE
    gates: ClassVar[bool] = True
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

    @property
    def subject(self) -> str:
        """Return the BIRD."""
        return self.instance


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLink(Op):
    """RTM_NEWLINK with NLM_F_EXCL in `link.netns`, then alias and settings; left down."""

    stage: ClassVar[Stage] = Stage.CREATE
    gates: ClassVar[bool] = True
    link: Link


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptLink(Op):
    """Make a link that somebody else made ours: link group and alias, nothing else of the link.

    It must have kind, keys, endpoints and VRF of `link`; if it differs, the error names each
    difference. Those of its addresses and routes that equal these get our protocol number, and
    are not away for a moment. `OpDone.changed` is false where there is no link of that name.
    """

    stage: ClassVar[Stage] = Stage.CREATE
    gates: ClassVar[bool] = True
    link: Link
    addresses: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()


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

    @property
    def subject(self) -> str:
        """Return the names of what changes."""
        return ", ".join(self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp(Op):
    """Set IFF_UP (or clear it) on a link of ours."""

    stage: ClassVar[Stage] = Stage.UP
    netns: str
    name: str
    up: bool = True

    @property
    def subject(self) -> str:
        """Return the new state."""
        return "up" if self.up else "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddress(Op):
    """RTM_NEWADDR on a link of ours; IPv6 without duplicate address detection."""

    stage: ClassVar[Stage] = Stage.CONFIGURE
    netns: str
    interface: str
    address: str

    @property
    def subject(self) -> str:
        """Return the address."""
        return self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAddress(Op):
    """RTM_DELADDR on a link of ours."""

    stage: ClassVar[Stage] = Stage.CONFIGURE
    netns: str
    interface: str
    address: str

    @property
    def subject(self) -> str:
        """Return the address."""
        return self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRoute(Op):
    """RTM_NEWROUTE through a link of ours, with our protocol number."""

    stage: ClassVar[Stage] = Stage.ROUTE
    netns: str
    interface: str
    route: Route

    @property
    def subject(self) -> str:
        """Return the destination."""
        return self.route.to


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRoute(Op):
    """RTM_DELROUTE of a route through a link of ours, only if it has our protocol number."""

    stage: ClassVar[Stage] = Stage.ROUTE
    netns: str
    interface: str
    route: Route

    @property
    def subject(self) -> str:
        """Return the destination."""
        return self.route.to


@dataclass(frozen=True, slots=True, kw_only=True)
class SetClamp(Op):
    """Set the MSS elements of an interface, in the namespace of the interface."""

    stage: ClassVar[Stage] = Stage.CLAMP
    netns: str
    interface: str
    clamp: Clamp

    @property
    def subject(self) -> str:
        """Return the MSS for IPv4 and for IPv6."""
        return f"{self.clamp.mss4}/{self.clamp.mss6}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBird(Op):
    """Make a tunnel's block part of its BIRD's include file; the push follows by itself."""

    stage: ClassVar[Stage] = Stage.BIRD
    block: BirdBlock

    @property
    def subject(self) -> str:
        """Return the BIRD."""
        return self.block.instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiate(Op):
    """Ask charon to initiate a CHILD_SA that neither exists nor is in progress.

    It belongs to a policy: `tunnel` is its interface, which may be a template (`vti{mark}`).
    `OpDone.changed` is false if charon did not have to be asked.
    """

    stage: ClassVar[Stage] = Stage.INITIATE
    connection: str
    child: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekey(Op):
    """Ask charon to rekey a CHILD_SA that is up and carries nothing."""

    stage: ClassVar[Stage] = Stage.INITIATE
    unique_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendProbe(Op):
    """Send echo requests with DF to `peer` through an interface, one for each of `sizes` in order.

    Each answer is a `ProbeAnswered`. A size above the interface's MTU is sent all the same, with
    the MTU raised for it.
    """

    stage: ClassVar[Stage] = Stage.ECHO
    netns: str
    ifindex: int
    peer: str
    round: int
    sizes: tuple[int, ...]
    """Bytes of the IP packets."""
