"""Presence: what an interface is while its tunnel has no SA. Pure.

Rules of this file:

* `presence = "always"` declares an SA: what the policy says of it, in the shape of one that charon
  told, so that one code makes interfaces of both. Its unique ID is 0, which charon gives to none.
* What was negotiated last counts for the MTU: the next SA will be much the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.config_types import ANY_REMOTE, family_of
from vtid.core.mtu import tunnel_mtu
from vtid.core.proposal import parse
from vtid.model import ChildSa, EspAlgorithms, Mark, SaMode

if TYPE_CHECKING:
    from vtid.config import Tunnel

DECLARED = 0
"""Unique ID of an SA that is only declared."""

ANY_HOST = {"ipv4": "0.0.0.0", "ipv6": "::"}  # noqa: S104 - the wildcard of a VTI
"""Remote address of a VTI that serves all peers."""


def declared(policy: Tunnel, last: ChildSa | None = None) -> ChildSa | None:
    """Return the SA that a policy declares, None where it declares none.

    `last` is the SA that there was, if there was one.
    """
    if policy.presence != "always" or policy.local is None or policy.remote is None:
        return None
    sa = ChildSa(
        unique_id=DECLARED,
        connection=policy.connection,
        child=policy.child,
        ike_unique_id=0,
        local_host=policy.local,
        remote_host=_remote(policy.remote, policy.local),
        mode=SaMode.TUNNEL,
        protocol="ESP",
        esp=_esp(policy),
        mark_in=_mark(policy.mark_in or policy.mark),
        mark_out=_mark(policy.mark_out or policy.mark),
        if_id_in=policy.if_id or 0,
        if_id_out=policy.if_id or 0,
    )
    return replace(sa, esp=last.esp, encap=last.encap) if last else sa


def _remote(remote: str, local: str) -> str:
    return ANY_HOST[family_of(local)] if remote == ANY_REMOTE else remote


def _mark(value: int | None) -> Mark | None:
    return None if value is None else Mark(value)


def _esp(policy: Tunnel) -> EspAlgorithms:
    """Return what leaves the least room of all that the policy lets charon negotiate."""
    if not policy.esp:
        return EspAlgorithms(encr="")
    return min(
        parse(policy.esp), key=lambda esp: tunnel_mtu(esp, 4, encap=False, underlay=1500).mtu
    )
