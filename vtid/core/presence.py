"""Presence: what an interface looks like while its tunnel has no SA. Pure.

Rules of this file:

* `presence = "always"` declares an SA: the policy's keys in the shape of a `ChildSa`, so that the
  same code makes the interface. Its unique ID is 0, which charon never uses.
* The algorithms negotiated last count for the MTU: the next SA will most likely have the same.
* An interface without SA (hold time, VICI lost, `on_down = "down"`) stays as it was desired last,
  and what another program changes or deletes is restored. After a restart of vtid there is no such
  memory: it then stays as it was found.
* The kernel removes routes and IPv6 addresses from an interface that is set down. They come back
  when it is up.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from vtid.config.types import ANY_REMOTE, family_of
from vtid.esp.algorithms import EspAlgorithms
from vtid.esp.mtu import tunnel_mtu
from vtid.esp.proposal import parse
from vtid.model.link import Desired, Observed
from vtid.model.sa import ChildSa, Mark, SaMode

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from vtid.config.keys import Policy

DECLARED = 0
"""Unique ID of a declared SA."""

ANY_HOST = {"ipv4": "0.0.0.0", "ipv6": "::"}  # noqa: S104 - the wildcard of a VTI
"""Remote address of a VTI that serves any peer."""


def declared(policy: Policy, last: ChildSa | None = None) -> ChildSa | None:
    """Return the SA that a policy declares, None where it declares none.

    The algorithms are those of `last`, the SA before, if there was one.
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
        esp=_largest_overhead(policy.esp) if policy.esp else EspAlgorithms(encr=""),
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


@cache
def _largest_overhead(proposal: str) -> EspAlgorithms:
    """Return the algorithms with the smallest MTU of all that a proposal allows."""
    return min(parse(proposal), key=lambda esp: tunnel_mtu(esp, 4, encap=False, underlay=1500).mtu)


def kept(
    why: str,
    before: Desired | None,
    there: Observed,
    ours: AbstractSet[str],
    *,
    down: bool = False,
) -> Desired:
    """Return what is desired of an interface without SA: what was desired `before`, or what exists.

    `ours` are the addresses that vtid added; with `down`, the interface is set down.
    """
    before = before or _found(there, ours)
    link = before.link
    if link and link.up and down:
        link = replace(link, up=False)
    up = link is not None and link.up
    return replace(
        before,
        reason=f"no CHILD_SA; kept: {why}",
        link=link,
        addresses=tuple(
            one for one in before.addresses if up or ":" not in one or one in there.addresses
        ),
        keep_routes=before.keep_routes or not up,
        no_routes=False,
        birds=there.birds,
    )


def _found(there: Observed, ours: AbstractSet[str]) -> Desired:
    """Return what exists; of settings and addresses only what is ours."""
    return Desired(
        reason="",
        link=replace(there.link, sysctls=()) if there.link else None,
        addresses=tuple(sorted(there.addresses & ours)),
        clamp=there.clamp,
        keep_routes=True,
    )
