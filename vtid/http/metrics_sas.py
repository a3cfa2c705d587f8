"""Metrics of the tunnels' SAs: of the newest CHILD_SA, and of its IKE_SA. Pure.

The rules are those of `vtid.http.metrics`. A tunnel without CHILD_SA has none of these series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.exposition import Family, family, labels
from vtid.model.sa import newest_sa

if TYPE_CHECKING:
    from vtid.http.exposition import Exposition
    from vtid.model.sa import ChildSa, IkeSa
    from vtid.model.status import Status

BITS = 8
"""Of a byte: strongSwan tells the sizes of keys in bits."""


def write_sas(out: Exposition, status: Status) -> None:
    """Write the series of the tunnels' CHILD_SAs."""
    newest = {
        labels(tunnel=one.tunnel): sa
        for one in status.tunnels
        if one.series and (sa := newest_sa(one.sas))
    }
    out.write(_CHILD, newest)


def write_ike(out: Exposition, status: Status) -> None:
    """Write the series of the tunnels' IKE_SAs."""
    known = [(one.tunnel, one.ike) for one in status.tunnels if one.series and one.ike]
    out.write(_IKE, {labels(tunnel=name): ike for name, ike in known})
    out.write(_IKE_INFO, {_ike_info(name, ike): ike for name, ike in known})


_CHILD: tuple[Family[ChildSa], ...] = (
    family(
        "gauge",
        "vtid_tunnel_sa_installed_timestamp_seconds",
        "Unix time at which the newest CHILD_SA was installed.",
        lambda sa: sa.installed_at or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_sa_rekey_timestamp_seconds",
        "Unix time at which charon rekeys the newest CHILD_SA, if it does.",
        lambda sa: sa.rekey_at or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_sa_expiry_timestamp_seconds",
        "Unix time at which the newest CHILD_SA ends, unless it is rekeyed before.",
        lambda sa: sa.expires_at or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_encryption_key_bytes",
        "Key size of the newest CHILD_SA's encryption, where charon tells it.",
        lambda sa: sa.esp.encr_keysize // BITS or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_integrity_key_bytes",
        "Key size of the newest CHILD_SA's integrity algorithm, where charon tells it.",
        lambda sa: sa.esp.integ_keysize // BITS or None,
    ),
)

_IKE: tuple[Family[IkeSa], ...] = (
    family(
        "gauge",
        "vtid_tunnel_ike_established_timestamp_seconds",
        "Unix time at which the IKE_SA was established.",
        lambda ike: ike.established_at or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_ike_rekey_timestamp_seconds",
        "Unix time at which charon rekeys the IKE_SA, if it does.",
        lambda ike: ike.rekey_at or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_ike_reauth_timestamp_seconds",
        "Unix time at which charon authenticates the peer again, if it does.",
        lambda ike: ike.reauth_at or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_ike_encryption_key_bytes",
        "Key size of the IKE_SA's encryption, where charon tells it.",
        lambda ike: ike.encr_keysize // BITS or None,
    ),
)

_IKE_INFO: tuple[Family[IkeSa], ...] = (
    family(
        "gauge",
        "vtid_tunnel_ike_info",
        "IKE version, our role, algorithms, and which sides are behind a NAT; always 1.",
        lambda _: 1,
    ),
)


def _ike_info(tunnel: str, ike: IkeSa) -> str:
    return labels(
        tunnel=tunnel,
        version=str(ike.version),
        role="initiator" if ike.initiator else "responder",
        proposal=ike.proposal,
        nat="+".join(ike.nat) or "none",
    )
