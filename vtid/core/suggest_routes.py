"""Suggested routes: what traffic selectors and an interface that is there ask for. Pure.

Rules of this file:

* `remote-ts` makes the routes of selectors. A route that is there and that it would not make stands
  beside it; where all of its routes are there with another metric or table, it is left out.
* Adopting an interface takes over routes that only lack vtid's mark. Others stay whose they are,
  and a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from vtid.config.interface import REMOTE_TS
from vtid.core.routes import default_metric
from vtid.core.selectors import prefixes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vtid.core.loaded_child import LoadedChild
    from vtid.model.link import Link, Route
    from vtid.model.present import FoundRoute, Present

RouteKeys: TypeAlias = Mapping[str, str | int]
"""One route as `routes` has it."""

_NAMED = 5
"""Routes that a note names; of more, it tells the number."""


def route_keys(group: Sequence[LoadedChild], there: Present | None) -> tuple[RouteKeys, ...]:
    """Return `routes` for children that share an interface, which may be there."""
    selectors = [selector for one in group for selector in one.routes()]
    asked = {prefix for selector in selectors for prefix in prefixes(selector)}
    others = [keys for keys in _there(there) if keys.keys() != {"to"} or keys["to"] not in asked]
    unknown = any(not prefixes(selector) for selector in selectors)
    follows = unknown or not asked <= {keys["to"] for keys in others}
    return (*([{"to": REMOTE_TS}] if follows else ()), *others)


def about_routes(group: Sequence[LoadedChild], there: Present | None) -> Iterator[str]:
    """Yield what a person has to know of the routes."""
    selectors = dict.fromkeys(selector for one in group for selector in one.selectors)
    routes = dict.fromkeys(selector for one in group for selector in one.routes())
    keys = route_keys(group, there)
    if {"to": REMOTE_TS} in keys:
        yield f"The peer's selectors become routes: {', '.join(routes)}."
    wide = [one for one in selectors if any(net.endswith("/0") for net in prefixes(one))]
    if wide:
        yield f"{', '.join(wide)}: everything may pass. Which routes lead there, BGP or you say."
    narrow = [selector for selector in selectors if "[" in selector]
    if narrow:
        yield f"Only this protocol or port passes, whatever is routed there: {', '.join(narrow)}."
    if there:
        yield from _about_others(there)


def _there(there: Present | None) -> list[RouteKeys]:
    if there is None:
        return []
    found = sorted(one.route for one in there.routes if not one.daemon and not one.unlike)
    return [_keys(route, there.link) for route in found]


def _keys(route: Route, link: Link) -> RouteKeys:
    """Return the keys that make a route; those that need not be written are left out."""
    keys: dict[str, str | int] = {"to": route.to}
    if route.metric != default_metric(route.to):
        keys["metric"] = route.metric
    if route.table != link.table:
        keys["table"] = route.table
    return keys


def _about_others(there: Present) -> Iterator[str]:
    """Yield the routes through the interface that the policy does not get, and why."""
    by_daemon = [one for one in there.routes if one.daemon]
    if by_daemon:
        yield f"left out: routes of a routing daemon, which keeps them: {_named(by_daemon)}."
    unlike = [one for one in there.routes if one.unlike and not one.daemon]
    for one in unlike[:_NAMED]:
        yield f"left out: the route to {one.route.to}, which has {one.unlike}. To have it, first"
        yield f"    {_replace(one.route, there.link)}"
    if len(unlike) > _NAMED:
        yield f"left out: {len(unlike) - _NAMED} more routes of that sort."


def _named(routes: Sequence[FoundRoute]) -> str:
    names = ", ".join(one.route.to for one in routes[:_NAMED])
    more = len(routes) - _NAMED
    return f"{names} and {more} more" if more > 0 else names


def _replace(route: Route, link: Link) -> str:
    """Write the command that makes a route one that vtid can take over."""
    netns = f"-n {link.netns} " if link.netns else ""
    words = f"ip {netns}route replace {route.to} dev {link.name}"
    metric = f" metric {route.metric}" if route.metric else ""
    return f"{words}{metric} table {route.table}"
