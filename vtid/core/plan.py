"""Plan: the operations that turn what is observed into what is desired. Pure.

Rules of this file:

* It plans one tunnel and knows nothing of the others.
* What is equal is left alone: the plan for a converged tunnel is empty.
* It returns all steps, in the order of their stages. If one fails, the next plan starts from what
  is there then.
"""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from vtid.model.link import Link
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    CreateLink,
    DeleteAddress,
    DeleteBird,
    DeleteClamp,
    DeleteLink,
    DeleteRoute,
    Op,
    ProbeUnderlay,
    PutBird,
    SetClamp,
    SetLink,
    SetUp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.core.route_book import RouteBook
    from vtid.model.link import Desired, Observed

_IDENTITY = "netns", "name", "kind"
"""Fields of a link that cannot change in place: the link is deleted and created again."""

_NOT_SET = frozenset({"up", "table", "strict_all"})
"""Fields that `SetLink` does not set: `SetUp` sets the first, the others are not the link's own."""

_PLAIN = tuple(
    field.name for field in fields(Link) if field.name not in {*_IDENTITY, *_NOT_SET, "sysctls"}
)
"""Fields that `SetLink` sets, and that are as wanted where they are equal."""

_stage = attrgetter("stage")
_identity, _place, _settings = (
    attrgetter(*names) for names in (_IDENTITY, (*_IDENTITY, "vrf"), _PLAIN)
)

_LOOSE = 2
"""Of rp_filter: any route to the source will do (RFC 3704, section 2.4)."""


def plan(
    tunnel: str,
    desired: Desired,
    observed: Observed,
    ours: frozenset[str] = frozenset(),
    routes: RouteBook | None = None,
) -> tuple[Op, ...]:
    """Return the operations that make `observed` equal to `desired`, in the order of their stages.

    `ours` are the addresses that vtid added: those that are no longer desired are removed.
    Addresses that another program added stay.
    """
    steps = chain(
        _steps(tunnel, desired, observed, ours),
        _route_steps(tunnel, desired, observed, routes) if routes else (),
    )
    return tuple(sorted(steps, key=_stage))


def _steps(tunnel: str, desired: Desired, observed: Observed, ours: frozenset[str]) -> Iterator[Op]:
    for local, remote in desired.probes:
        yield ProbeUnderlay(tunnel=tunnel, reason=desired.reason, local=local, remote=remote)
    if desired.probes:
        return
    yield from _link_steps(tunnel, desired, observed, ours)
    yield from _clamp_steps(tunnel, desired, observed)
    yield from _bird_steps(tunnel, desired, observed)


def _link_steps(
    tunnel: str, desired: Desired, observed: Observed, ours: frozenset[str]
) -> Iterator[Op]:
    there, reason = observed.link, desired.reason
    wanted = _with_least_filter(desired.link, there)
    if there and (wanted is None or _identity(wanted) != _identity(there)):
        yield DeleteLink(
            tunnel=tunnel,
            reason=reason,
            netns=there.netns,
            name=there.name,
            ifindex=observed.ifindex,
        )
        there = None
    if wanted is None:
        return
    if there is None:
        yield CreateLink(tunnel=tunnel, reason=reason, link=wanted)
    elif changes := _changes(wanted, there):
        yield SetLink(
            tunnel=tunnel, reason=reason, link=wanted, ifindex=observed.ifindex, changes=changes
        )
    present = observed.addresses if there else frozenset()
    yield from _address_steps(tunnel, desired, wanted, present, ours)
    if wanted.up != (there is not None and there.up):
        yield SetUp(
            tunnel=tunnel, reason=reason, netns=wanted.netns, name=wanted.name, up=wanted.up
        )


def _with_least_filter(wanted: Link | None, there: Link | None) -> Link | None:
    """Where all links filter strictly, 0 has no effect, and loose filtering is the least."""
    if wanted and there and there.strict_all and not wanted.rp_filter:
        return replace(wanted, rp_filter=_LOOSE)
    return wanted


def _changes(wanted: Link, there: Link) -> tuple[str, ...]:
    """Return the fields to set; of sysctls, only those that are wanted count."""
    changed: tuple[str, ...] = ()
    if _settings(there) != _settings(wanted):
        changed = tuple(name for name in _PLAIN if getattr(there, name) != getattr(wanted, name))
    if wanted.sysctls and not frozenset(wanted.sysctls) <= frozenset(there.sysctls):
        return (*changed, "sysctls")
    return changed


def _address_steps(
    tunnel: str, desired: Desired, link: Link, present: frozenset[str], ours: frozenset[str]
) -> Iterator[Op]:
    wanted = frozenset(desired.addresses)
    for address in desired.addresses:
        if address not in present:
            yield AddAddress(
                tunnel=tunnel,
                reason=desired.reason,
                netns=link.netns,
                interface=link.name,
                address=address,
            )
    for address in sorted((ours - wanted) & present):
        yield DeleteAddress(
            tunnel=tunnel,
            reason=f"{address} is no longer configured",
            netns=link.netns,
            interface=link.name,
            address=address,
        )


def _route_steps(
    tunnel: str, desired: Desired, observed: Observed, routes: RouteBook
) -> Iterator[Op]:
    link, there = desired.link, observed.link
    if link is None or (desired.keep_routes and not desired.no_routes):
        return
    stays = there is not None and _place(link) == _place(there)
    # a link that changes its VRF loses its routes, and the table they go to is not known yet
    missing = routes.missing if stays else routes.wanted
    surplus = routes.surplus if stays else ()
    if desired.no_routes:
        missing, surplus = (), tuple(sorted(routes.there)) if stays else ()
    for route in missing:
        yield AddRoute(
            tunnel=tunnel,
            reason=desired.reason,
            netns=link.netns,
            interface=link.name,
            route=route,
        )
    for route in surplus:
        yield DeleteRoute(
            tunnel=tunnel,
            reason=f"the route to {route.to} is no longer wanted",
            netns=link.netns,
            interface=link.name,
            route=route,
        )


def _clamp_steps(tunnel: str, desired: Desired, observed: Observed) -> Iterator[Op]:
    if desired.clamp == observed.clamp:
        return
    netns, _, interface = tunnel.rpartition("/")
    if desired.clamp is None:
        yield DeleteClamp(tunnel=tunnel, reason=desired.reason, netns=netns, interface=interface)
        return
    yield SetClamp(
        tunnel=tunnel,
        reason=desired.reason,
        netns=netns,
        interface=interface,
        clamp=desired.clamp,
    )


def _bird_steps(tunnel: str, desired: Desired, observed: Observed) -> Iterator[Op]:
    if desired.birds == observed.birds:
        return
    wanted = {block.instance for block in desired.birds}
    for block in observed.birds:
        if block.instance not in wanted:
            yield DeleteBird(tunnel=tunnel, reason=desired.reason, instance=block.instance)
    for block in desired.birds:
        if block not in observed.birds:
            yield PutBird(tunnel=tunnel, reason=desired.reason, block=block)
