"""Directions: one XFRM interface each, where if_id_in and if_id_out of a CHILD_SA differ. Pure.

Rules of this file:

* An XFRM interface has one if_id. `interface` sends with `if_id_out`, and `interface_in` receives
  with `if_id_in`. Each is a tunnel of its own.
* Addresses, routes and sessions belong to the outbound interface.
* If both if_ids are equal, one interface serves both directions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Policy
    from vtid.model.sa import ChildSa


def inbound(policy: Policy) -> Policy | None:
    """Return the policy of the inbound interface, None where `interface_in` is not set."""
    if not policy.interface_in:
        return None
    return replace(
        policy,
        interface=policy.interface_in,
        interface_in="",
        addresses=(),
        routes=(),
        bgp=(),
        initiate=False,
    )


def halves(
    policy: Policy, policy_in: Policy | None, sa: ChildSa
) -> Iterator[tuple[Policy, ChildSa]]:
    """Yield a policy and the half of the SA for each interface, the outbound one first."""
    if policy_in is None or sa.if_id_in == sa.if_id_out:
        yield policy, sa
        return
    yield policy, replace(sa, if_id_in=sa.if_id_out)
    yield policy_in, replace(sa, if_id_out=sa.if_id_in)
