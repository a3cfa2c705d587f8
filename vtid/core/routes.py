"""Routes: what a policy and the traffic selectors of its SAs ask for, into the route book. Pure.

Rules of this file:

* `Routes` of an interface with many peers lives as long as the interface; `sync` costs what has
  changed. That of one peer is made anew each time.
* The main table does not get everything that a peer asks for (`selectors`); the policy must name a
  table or a VRF for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.config.interface import REMOTE_TS
from vtid.config.types import family_of
from vtid.core.route_book import RouteBook
from vtid.core.selectors import SELECTED_MAX, Selectors
from vtid.model.link import MAIN_TABLE, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.config.interface import RouteKeys
    from vtid.config.keys import Policy
    from vtid.model.sa import ChildSa

_METRIC = {"ipv4": 0, "ipv6": 1024}
"""The kernel's metric of a route without one (linux/ipv6_route.h, IP6_RT_PRIO_USER)."""


def sync_with_one_peer(book: RouteBook, policy: Policy, sas: Iterable[ChildSa]) -> None:
    """Write all routes of an interface with one peer into the book.

    Only a change of them counts its revision up: that is part of what is desired, and whatever else
    is desired ends a back-off.
    """
    if any(keys.to == REMOTE_TS for keys in policy.routes):
        found = RouteBook()
        Routes(policy, sas).sync(found)
        book.want_only(found.wanted)
        book.why = found.why
    else:
        book.want_only(_fixed(policy))
        book.why = ""


class Routes:
    """The routes that one policy wants for its SAs."""

    def __init__(self, policy: Policy, sas: Iterable[ChildSa] = ()) -> None:
        self._fixed = dict.fromkeys(_fixed(policy))
        self._selected = [keys for keys in policy.routes if keys.to == REMOTE_TS]
        self._policy = policy
        self._selectors = Selectors()
        self._parts: dict[str, str] = {}
        self._around: dict[str, str] = {}
        """Prefixes that the main table does not get, parts of a default route and those around a
        peer, each with the reason."""
        self._new = True
        for sa in sas:
            self.join(sa)

    def join(self, sa: ChildSa) -> None:
        """Take an SA that is not counted yet."""
        if self._selected:
            self._selectors.join(sa)

    def leave(self, sa: ChildSa) -> None:
        """Drop an SA."""
        if self._selected:
            self._selectors.leave(sa)

    def sync(self, book: RouteBook) -> None:
        """Write what has changed since the last time into the book; at first, everything."""
        touched = self._selectors.take_touched()
        if self._new:
            self._new = False
            book.want_only(self._fixed)
        for prefix in touched:
            self._follow(book, prefix)
        book.why = "; ".join(self._words())

    def _follow(self, book: RouteBook, prefix: str) -> None:
        """Bring the routes to one prefix up to date."""
        there, refused = prefix in self._selectors, self._refused(prefix)
        for keys in self._selected:
            route = _route(keys, prefix)
            if (there and not (refused and self._is_main(keys))) or route in self._fixed:
                book.want(route)
            else:
                book.unwant(route)

    def _refused(self, prefix: str) -> bool:
        """Whether the main table does not get a prefix; the reason is noted."""
        self._parts.pop(prefix, None)
        self._around.pop(prefix, None)
        if prefix not in self._selectors or not any(map(self._is_main, self._selected)):
            return False
        if why := self._selectors.part_of_default(prefix):
            self._parts[prefix] = why
        elif not self._policy.netns and (why := self._selectors.around_a_peer(prefix)):
            self._around[prefix] = why
        return bool(why)

    def _is_main(self, keys: RouteKeys) -> bool:
        """Whether routes from selectors would go to the main table."""
        return (keys.table or (0 if self._policy.vrf else MAIN_TABLE)) == MAIN_TABLE

    def _words(self) -> Iterator[str]:
        if self._selectors.exceeded:
            yield f"only the first {SELECTED_MAX} prefixes of the traffic selectors have a route"
        for refused in (self._parts, self._around):
            if refused:
                text, why = next(iter(refused.items()))
                more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
                yield f"no route to the traffic selector {text}{more}: {why}"


def _fixed(policy: Policy) -> Iterator[Route]:
    return (_route(keys, keys.to) for keys in policy.routes if keys.to != REMOTE_TS)


def _route(keys: RouteKeys, to: str) -> Route:
    metric = default_metric(to) if keys.metric is None else keys.metric
    return Route(to=to, metric=metric, table=keys.table or 0)


def default_metric(to: str) -> int:
    """Return the metric of a route to a prefix that has none in the configuration."""
    return _METRIC[family_of(to)]


def needs_link_local(policy: Policy) -> bool:
    """Whether a policy needs IPv6 on the link: an address, a neighbour or a BGP family."""
    sessions = (family for bgp in policy.bgp for family in (*bgp.families, family_of(bgp.neighbor)))
    return "ipv6" in {*map(family_of, policy.addresses), *sessions}
