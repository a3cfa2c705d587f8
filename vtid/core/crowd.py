"""Crowd: the CHILD_SAs of many peers on one interface, counted. Pure.

Rules of this file:

* It answers what `Members` answers. What follows from an SA is counted when it joins and leaves, so
  that a peer that comes or goes costs the same however many others there are.
* The newest SA gives keys and the local address, the smallest MTU of all counts.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, TypeVar

from vtid.config.types import ANY_REMOTE
from vtid.core.members import Members, Way, path_of, way_of
from vtid.core.routes import Routes
from vtid.core.sharing import needs_alike

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from vtid.config.keys import Policy
    from vtid.core.members import Known
    from vtid.core.route_book import RouteBook
    from vtid.core.sharing import Conflict
    from vtid.core.underlay import Path, Underlay
    from vtid.model.sa import ChildSa

T = TypeVar("T")


def members_for(policy: Policy | None, sas: Iterable[ChildSa], known: Known) -> Members:
    """Return the SAs of a tunnel in the shape that its policy needs."""
    if policy is None or policy.remote != ANY_REMOTE:
        return Members(sas)
    return Crowd(policy, sas, known)


class Crowd(Members):
    """The installed CHILD_SAs of many peers, by unique ID."""

    __slots__ = ("_alike", "_ids", "_moved", "_on_path", "_policy", "_routes", "_unknown", "_ways")

    are_few = False

    def __init__(self, policy: Policy, sas: Iterable[ChildSa], known: Known) -> None:
        super().__init__()
        self._policy = policy
        self._ids: list[int] = []
        """Unique IDs, in order."""
        self._alike: Counter[tuple[object, ...]] = Counter()
        """What all who share have to have alike."""
        self._on_path: defaultdict[Path, dict[int, ChildSa]] = defaultdict(dict)
        self._unknown: dict[Path, None] = {}
        self._ways: Counter[Way] = Counter()
        self._moved: set[Path] | None = None
        """Paths whose users changed since they were asked for; None while they never were."""
        self._routes = Routes(policy)
        for sa in sas:
            self.join(sa, known)

    def join(self, sa: ChildSa, known: Known) -> None:
        """Take an SA, a new or a changed one."""
        self.leave(sa.unique_id, known)
        path = path_of(sa)
        self.sas[sa.unique_id] = sa
        insort(self._ids, sa.unique_id)
        self._alike[needs_alike(self._policy.kind, sa)] += 1
        self._on_path[path][sa.unique_id] = sa
        if underlay := known.get(path):
            self._ways[way_of(sa, underlay)] += 1
        else:
            self._unknown[path] = None
        self._touch(path)
        self._routes.join(sa)

    def leave(self, unique_id: int, known: Known) -> None:
        """Drop an SA."""
        sa = self.sas.pop(unique_id, None)
        if sa is None:
            return
        path = path_of(sa)
        del self._ids[bisect_left(self._ids, unique_id)]
        _take(self._alike, needs_alike(self._policy.kind, sa))
        if path not in self._unknown:
            _take(self._ways, way_of(sa, known[path]))
        del self._on_path[path][unique_id]
        if not self._on_path[path]:
            del self._on_path[path]
            self._unknown.pop(path, None)
        self._touch(path)
        self._routes.leave(sa)

    @property
    def newest(self) -> ChildSa:
        """The SA that charon made last; there is at least one."""
        return self.sas[self._ids[-1]]

    def conflict(self, policy: Policy, interface: str, sa: ChildSa) -> Conflict | None:
        """Return what keeps an SA from sharing the interface, None if nothing does."""
        if self._alike.keys() <= {needs_alike(policy.kind, sa)}:
            return None
        return super().conflict(policy, interface, sa)

    # --- paths ----------------------------------------------------------------------------------

    @property
    def paths(self) -> AbstractSet[Path]:
        """Outer addresses whose path MTU counts: those of all."""
        return self._on_path.keys()

    def moved(self, have: AbstractSet[Path]) -> AbstractSet[Path]:
        """Return the paths that may have come or gone since the last call, when it was `have`."""
        moved, self._moved = self._moved, set()
        return have ^ self.paths if moved is None else moved

    def _touch(self, path: Path) -> None:
        if self._moved is not None:
            self._moved.add(path)

    def path_changed(self, path: Path, before: Underlay | None, now: Underlay) -> None:
        """Take what was found about a path."""
        self._unknown.pop(path, None)
        for sa in self._on_path[path].values() if path in self._on_path else ():
            if before:
                _take(self._ways, way_of(sa, before))
            self._ways[way_of(sa, now)] += 1

    def unknown(self, known: Known) -> tuple[Path, ...]:  # noqa: ARG002 - counted already
        """Return the paths that were not looked up yet."""
        return tuple(self._unknown)

    def ways(self, known: Known) -> AbstractSet[Way]:  # noqa: ARG002 - counted already
        """Return the ways of all SAs, each over its own path; a thousand have few distinct ones."""
        return self._ways.keys()

    # --- routes ---------------------------------------------------------------------------------

    def sync(self, book: RouteBook, policy: Policy) -> None:  # noqa: ARG002 - it has its own
        """Write the routes that are wanted now into the book."""
        self._routes.sync(book)


def _take(counter: Counter[T], one: T) -> None:
    counter[one] -= 1
    if not counter[one]:
        del counter[one]
