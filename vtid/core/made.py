"""Made: what policy and SAs ask for, made anew only where it would be something else. Pure.

Rules of this file:

* It is the same while policy, path, routes and what probes proved are, and SAs differ in nothing
  but what a rekey changes. After a rekey, the reason names the new SA.
* Of many peers on one interface (`Crowd`) it is made each time.
* The wanted routes are written into the book only where policy or SAs are others than before:
  nobody else changes them once a tunnel was planned.
"""

from __future__ import annotations

from dataclasses import fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from vtid.core.desired import cause_of, desire
from vtid.core.presence import DECLARED
from vtid.model.sa import ChildSa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtid.config.keys import Policy
    from vtid.core.members import Members
    from vtid.core.route_book import RouteBook
    from vtid.core.underlay import Path, Underlay
    from vtid.model.link import Desired

_OF_A_REKEY = {
    *("unique_id", "ike_unique_id", "reqid", "cpu", "state"),
    *("installed_at", "rekey_at", "expires_at"),
}
"""Fields of an SA that a rekey changes, and that no interface follows."""

_lasting = attrgetter(*(one.name for one in fields(ChildSa) if one.name not in _OF_A_REKEY))


class Made(NamedTuple):
    """What is desired, and what that follows from."""

    desired: Desired
    policy: Policy | None = None
    sas: tuple[ChildSa, ...] = ()
    """The newest one is the last."""
    rest: tuple[object, ...] = ()
    """Whether it is a declared SA, its path, what probes proved, and what became of the routes."""


def make(
    tunnel: str,
    policy: Policy,
    members: Members,
    known: Mapping[Path, Underlay],
    routes: RouteBook,
    *,
    proven: int = 0,
    before: Made | None = None,
) -> Made:
    """Write the wanted routes into the book; return what `desire` does.

    Of what was made `before`, all that is the same is kept.
    """
    if not members.are_few:
        members.sync(routes, policy)
        return Made(desire(tunnel, policy, members, known, routes, proven=proven))
    sas = tuple(members.sas[unique_id] for unique_id in sorted(members.sas))
    if before is None or before.policy is not policy or not _alike(before.sas, sas):
        members.sync(routes, policy)
        before = None
    is_declared = sas[-1].unique_id == DECLARED
    rest = (is_declared, members.underlay(known), proven, routes.revision, routes.why)
    if before is None or before.rest != rest:
        desired = desire(tunnel, policy, members, known, routes, proven=proven)
    elif before.sas[-1] is sas[-1]:
        return before
    else:
        how = before.desired.reason.removeprefix(cause_of(before.sas[-1]))
        desired = replace(before.desired, reason=f"{cause_of(sas[-1])}{how}")
    return Made(desired, policy, sas, rest)


def _alike(before: tuple[ChildSa, ...], now: tuple[ChildSa, ...]) -> bool:
    """Whether SAs are the same apart from what a rekey changes."""
    return [*map(_lasting, before)] == [*map(_lasting, now)]
