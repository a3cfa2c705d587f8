"""IKE_SAs with their CHILD_SAs as charon lists them, for operators. Pure.

Rules of this file:

* Names are those of VICI. Times are Unix times in seconds, 0 where charon says none.
* Identities are a peer's words, and are escaped already.
"""

from __future__ import annotations

from dataclasses import dataclass

from vtid.esp.algorithms import EspAlgorithms


@dataclass(frozen=True, slots=True)
class ListedChild:
    """One CHILD_SA."""

    unique_id: int
    child: str
    state: str
    """charon's word, such as `INSTALLED` (child_sa_state_t)."""
    mode: str
    protocol: str
    esp: EspAlgorithms
    encap: bool = False
    """ESP in UDP (RFC 3948)."""
    spi_in: str = ""
    """Hexadecimal, as `ip xfrm state` has it without `0x`."""
    spi_out: str = ""
    dh_group: str = ""
    """Key exchange of its own, as after a rekey with PFS; empty for none."""
    reqid: int = 0
    bytes_in: int = 0
    packets_in: int = 0
    bytes_out: int = 0
    packets_out: int = 0
    used_in_at: float = 0.0
    """When a packet came last."""
    used_out_at: float = 0.0
    installed_at: float = 0.0
    rekey_at: float = 0.0
    expires_at: float = 0.0
    """When the kernel ends it if it is not rekeyed."""
    local_ts: tuple[str, ...] = ()
    remote_ts: tuple[str, ...] = ()
    tunnels: tuple[str, ...] = ()
    """Those that it serves: one, or one for each direction."""


@dataclass(frozen=True, slots=True)
class ListedIke:
    """One IKE_SA."""

    unique_id: int
    connection: str
    state: str
    """charon's word, such as `ESTABLISHED` (ike_sa_state_t)."""
    version: int
    initiator: bool
    """Whether this side initiated it."""
    local_host: str
    remote_host: str
    local_port: int = 0
    remote_port: int = 0
    local_id: str = ""
    remote_id: str = ""
    """Identity that the peer authenticated with: its EAP or XAuth identity where it has one."""
    nat: tuple[str, ...] = ()
    """Who is behind a NAT: `local`, `remote`; `fake` if it is only pretended."""
    algorithms: tuple[str, ...] = ()
    """Encryption, integrity, PRF and key exchange, as charon calls them."""
    initiator_spi: str = ""
    responder_spi: str = ""
    established_at: float = 0.0
    rekey_at: float = 0.0
    reauth_at: float = 0.0
    tasks: tuple[str, ...] = ()
    """Tasks that are queued or under way, such as `CHILD_CREATE`."""
    children: tuple[ListedChild, ...] = ()
