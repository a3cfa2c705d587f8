"""Loaded: compares the connections that charon has loaded with the policies. Pure.

Rules of this file:

* Names are compared, nothing else: list-conns tells neither marks nor if_ids of a connection. A
  child that no policy claims may well be one that needs no interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.loaded import Loaded, PolicyLoaded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vtid.config.keys import Policy
    from vtid.core.policies import Policies

NAMED = 100
"""Unclaimed children that are named; the others are counted."""

Child = tuple[str, str]
"""Names of a connection and of its child."""


def unloaded(policies: Policies, loaded: Iterable[Child]) -> tuple[Policy, ...]:
    """Return the policies for which charon has no child."""
    claimed = {id(policy) for child in loaded for policy in policies.claims(*child)}
    return tuple(policy for policy in policies.all if id(policy) not in claimed)


def compare(policies: Policies, connections: int, loaded: Sequence[Child]) -> Loaded:
    """Compare; `connections` is how many charon has, with children or without."""
    claims = [policies.claims(*child) for child in loaded]
    claimed = {id(policy) for found in claims for policy in found}
    unclaimed = sorted(child for child, found in zip(loaded, claims, strict=True) if not found)
    return Loaded(
        connections=connections,
        children=len(loaded),
        unclaimed=len(unclaimed),
        unclaimed_names=tuple(unclaimed[:NAMED]),
        policies=tuple(
            PolicyLoaded(
                f"{policy.connection}/{policy.child}",
                policy.netns,
                policy.interface,
                loaded=id(policy) in claimed,
            )
            for policy in policies.all
        ),
    )
