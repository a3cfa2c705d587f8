"""Directions: an XFRM interface for each, where a CHILD_SA has if_ids of its own in and out. Pure.

Rules of this file:

* The kernel gives an XFRM interface one if_id: it sends by `if_id_out` through `interface`, and
  receives by `if_id_in` on `interface_in`. Each is a tunnel of its own.
* What is routed belongs to the outbound one: addresses, routes and sessions.
* Where both if_ids are the same, one interface does for both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Policy
    from vtid.model.sa import ChildSa

_OUTBOUND_ONLY = {"addresses": (), "routes": (), "bgp": (), "initiate": False}


def inbound(policy: Policy) -> Policy | None:
    """Return the policy of the inbound interface, None where there is none of its own."""
    if not policy.interface_in:
        return None
    changes = {"interface": policy.interface_in, "interface_in": "", **_OUTBOUND_ONLY}
    return policy.model_copy(update=changes)


def halves(
    policy: Policy, policy_in: Policy | None, sa: ChildSa
) -> Iterator[tuple[Policy, ChildSa]]:
    """Return an SA as each of its interfaces has it, with the policy that makes that."""
    if policy_in is None or sa.if_id_in == sa.if_id_out:
        yield policy, sa
        return
    yield policy, replace(sa, if_id_in=sa.if_id_out)
    yield policy_in, replace(sa, if_id_out=sa.if_id_in)
