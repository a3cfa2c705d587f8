"""Route book: the routes of one tunnel that should be, those that are, and the difference. Pure.

Rules of this file:

* The difference is kept, not computed: a peer that comes or goes costs its own routes, however
  many other peers the interface has.
* A route without a table goes to that of the link's VRF, main in none. What is there has its table
  as a number.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.model.link import MAIN_TABLE, Route

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet


class RouteBook:
    """The routes of one tunnel."""

    __slots__ = ("_ipv6", "_missing", "_surplus", "_table", "_there", "_wanted", "revision", "why")

    def __init__(self) -> None:
        self.revision = 0
        """Counts up whenever other routes are wanted."""
        self.why = ""
        """Why some traffic selectors have no route; empty if each has one."""
        self._wanted: dict[Route, None] = {}
        self._there: dict[Route, None] = {}
        self._missing: dict[Route, Route] = {}
        """Wanted ones that are not there, by how they would be there."""
        self._surplus: dict[Route, None] = {}
        self._table = MAIN_TABLE
        self._ipv6 = 0

    @property
    def wanted(self) -> AbstractSet[Route]:
        """Routes that should be there, as the policy has them."""
        return self._wanted.keys()

    @property
    def there(self) -> AbstractSet[Route]:
        """Routes of ours that are there."""
        return self._there.keys()

    @property
    def missing(self) -> tuple[Route, ...]:
        """Routes that are wanted and not there."""
        return tuple(self._missing.values())

    @property
    def surplus(self) -> tuple[Route, ...]:
        """Routes that are there and not wanted."""
        return tuple(sorted(self._surplus))

    @property
    def wants_ipv6(self) -> bool:
        """Whether an IPv6 route is wanted."""
        return self._ipv6 > 0

    # --- what should be -------------------------------------------------------------------------

    def want_only(self, routes: Iterable[Route]) -> None:
        """Want these routes and no others."""
        only = dict.fromkeys(routes)
        for route in [route for route in self._wanted if route not in only]:
            self.unwant(route)
        for route in only:
            self.want(route)

    def want(self, route: Route) -> None:
        """Want a route."""
        if route not in self._wanted:
            self._wanted[route] = None
            self._ipv6 += _is_ipv6(route)
            self._compare(route)

    def unwant(self, route: Route) -> None:
        """Want a route no longer."""
        if route in self._wanted:
            del self._wanted[route]
            self._ipv6 -= _is_ipv6(route)
            self._compare(route)

    def _compare(self, wanted: Route) -> None:
        self.revision += 1
        self._differ(wanted if wanted.table else replace(wanted, table=self._table))

    # --- what is --------------------------------------------------------------------------------

    def see(self, route: Route) -> bool:
        """File that a route is there; return whether that is news."""
        if route in self._there:
            return False
        self._there[route] = None
        self._differ(route)
        return True

    def lose(self, route: Route) -> bool:
        """File that a route is gone; return whether that is news."""
        if route not in self._there:
            return False
        del self._there[route]
        self._differ(route)
        return True

    def see_only(self, routes: Iterable[Route]) -> bool:
        """File all routes that are there; return whether that is news."""
        only = dict.fromkeys(routes)
        gone = [self.lose(route) for route in list(self._there) if route not in only]
        came = [self.see(route) for route in only]
        return any((*gone, *came))

    def use_table(self, table: int) -> None:
        """Take the table of the link's VRF; another one changes what is missing."""
        if table != self._table:
            self._table = table
            self._missing, self._surplus = {}, {}
            for route in (*self._wanted, *self._there):
                self._differ(route if route.table else replace(route, table=table))

    # --- the difference -------------------------------------------------------------------------

    def _differ(self, actual: Route) -> None:
        """Compare what is wanted and what is there of one route; its table is a number."""
        wanted = self._wanted_as(actual)
        there = actual in self._there
        self._missing.pop(actual, None)
        self._surplus.pop(actual, None)
        if wanted and not there:
            self._missing[actual] = wanted
        if there and not wanted:
            self._surplus[actual] = None

    def _wanted_as(self, actual: Route) -> Route | None:
        if actual in self._wanted:
            return actual
        default = replace(actual, table=0)
        return default if actual.table == self._table and default in self._wanted else None


def _is_ipv6(route: Route) -> bool:
    return ":" in route.to
