"""Sharing: which SAs can serve one interface together. Pure.

Rules of this file:

* An interface serves one peer and any number of its CHILD_SAs, unless its policy has
  `remote = "any"`. A peer is a connection and the identity that authenticated there.
* An interface has one set of marks, or one if_id. Only the next SA of the same child of the same
  peer may bring others (`%unique` marks after a reauthentication); the newest SA counts.
* The SAs that an interface has stay. One that comes later and does not fit is a problem, and waits
  for the one that it conflicts with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vtid.config.types import ANY_REMOTE
from vtid.model.link import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.config.keys import Policy
    from vtid.model.sa import ChildSa


class Conflict(NamedTuple):
    """What keeps an SA from sharing an interface."""

    other: ChildSa
    why: str
    """One line, with the way out."""


def conflict(
    policy: Policy, interface: str, there: Iterable[ChildSa], sa: ChildSa
) -> Conflict | None:
    """Return the first SA there with which another cannot share an interface, None if it can."""
    for other in there:
        if other.unique_id != sa.unique_id and (why := _why_not(policy, interface, other, sa)):
            return Conflict(other, why)
    return None


def needs_alike(kind: Kind, sa: ChildSa) -> tuple[object, ...]:
    """Return what is the same for all SAs of a shared interface: its keys, a VTI's local address.

    SAs that are equal in it never conflict there.
    """
    return (sa.mark_in, sa.mark_out, sa.local_host) if kind is Kind.VTI else _keys(kind, sa)


def _why_not(policy: Policy, interface: str, other: ChildSa, sa: ChildSa) -> str:
    shared, same_peer = policy.remote == ANY_REMOTE, peer_of(other) == peer_of(sa)
    if not shared and not same_peer:
        return _other_peer(policy, interface, other, sa)
    if same_peer and other.child == sa.child:  # one succeeds the other
        return ""
    if _keys(policy.kind, other) != _keys(policy.kind, sa):
        return _other_keys(policy.kind, interface, other, sa)
    if shared and policy.kind is Kind.VTI and other.local_host != sa.local_host:
        return (
            f"{sa}: interface {interface} has the outer address {other.local_host}, which all "
            f"who share it need, and this SA has {sa.local_host}; give these peers a "
            "`[[tunnel]]` and a mark of their own"
        )
    return ""


def peer_of(sa: ChildSa) -> tuple[str, str]:
    """Return what tells the peers of an interface apart."""
    return sa.connection, sa.remote_id


def _keys(kind: Kind, sa: ChildSa) -> tuple[object, ...]:
    return (sa.mark_in, sa.mark_out) if kind is Kind.VTI else (sa.if_id_in, sa.if_id_out)


def _other_peer(policy: Policy, interface: str, other: ChildSa, sa: ChildSa) -> str:
    key = "{mark}" if policy.kind is Kind.VTI else "{if_id}"
    return (
        f"{sa} of {sa.remote_id or sa.remote_host}: interface {interface} already serves "
        f"{other.remote_id or other.remote_host} of connection {other.connection!r}; name the "
        f'interface after each peer (`interface = "vti{key}"`), or write '
        f'`remote = "{ANY_REMOTE}"` for one that they share'
    )


def _other_keys(kind: Kind, interface: str, other: ChildSa, sa: ChildSa) -> str:
    what = "marks" if kind is Kind.VTI else "if_ids"
    keys = "mark_in and mark_out" if kind is Kind.VTI else "if_id_in and if_id_out"
    return (
        f"{sa} has other {what} than {other}, and interface {interface} has one set for all; give "
        f"both children the same {keys} in swanctl.conf, or a `[[tunnel]]` each"
    )
