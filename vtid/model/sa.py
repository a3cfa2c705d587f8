"""CHILD_SAs as strongSwan reports them. Pure.

Rules of this file:

* Names are those of VICI and swanctl.conf. Identities are a peer's words, and are escaped already.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from vtid.esp.algorithms import EspAlgorithms

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL_MASK = 0xFFFFFFFF

AH = "AH"
"""Protocol of a CHILD_SA that authenticates only (RFC 4302)."""


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
class IkeSa:
    """One IKE_SA, from list-sas or an event; times are Unix times in seconds, 0 where unknown."""

    unique_id: int
    version: int = 2
    initiator: bool = False
    """Whether we started it."""
    encr: str = ""
    encr_keysize: int = 0
    """Bits; 0 where the algorithm has one size only."""
    integ: str = ""
    prf: str = ""
    dh: str = ""
    nat: tuple[str, ...] = ()
    """Which sides are behind a NAT, `local` and `remote`; `fake` where that is only pretended."""
    established_at: float = 0.0
    rekey_at: float = 0.0
    """When charon rekeys it."""
    reauth_at: float = 0.0
    """When charon authenticates again."""

    @property
    def proposal(self) -> str:
        """Its algorithms, as strongSwan joins them: `AES_CBC-256/HMAC_…/PRF_…/ECP_384`."""
        encr = f"{self.encr}-{self.encr_keysize}" if self.encr_keysize else self.encr
        return "/".join(filter(None, (encr, self.integ, self.prf, self.dh)))


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
    ipcomp: bool = False
    """Compression (RFC 3173): ESP is then in transport mode, below IPComp in tunnel mode."""
    mark_in: Mark | None = None
    mark_out: Mark | None = None
    if_id_in: int = 0
    if_id_out: int = 0
    reqid: int = 0
    cpu: int | None = None
    """The CPU whose packets it is for (RFC 9611); None for any, and without `per_cpu_sas`."""
    state: str = "INSTALLED"
    local_id: str = ""
    remote_id: str = ""
    """Identity that the peer authenticated with: its EAP or XAuth identity where it has one."""
    remote_vips: tuple[str, ...] = ()
    """Virtual IPs that the peer was given (RFC 7296, section 2.19)."""
    local_vips: tuple[str, ...] = ()
    """Virtual IPs that the peer gave to us."""
    local_ts: tuple[str, ...] = ()
    remote_ts: tuple[str, ...] = ()
    installed_at: float = 0.0
    """Unix time of the installation, in seconds; 0 where unknown."""
    rekey_at: float = 0.0
    """Unix time at which charon rekeys it; 0 where unknown, or where it does not."""
    expires_at: float = 0.0
    """Unix time at which the kernel deletes it; 0 where unknown, or for never."""

    def __str__(self) -> str:
        return f"{self.connection}/{self.child}{{{self.unique_id}}}"


def newest_sa(sas: Sequence[ChildSa]) -> ChildSa | None:
    """Find the CHILD_SA that was installed last: the one whose keys protect what is sent."""
    if len(sas) <= 1:
        return sas[0] if sas else None
    return max(sas, key=lambda sa: (sa.installed_at, sa.unique_id))
