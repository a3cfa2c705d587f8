"""Members: the CHILD_SAs of one tunnel, and what they ask of its interface together. Pure.

Rules of this file:

* `Members` are those of one peer: a handful, looked at one by one. Those of many peers on one
  interface (`remote = "any"`) are a `Crowd`, which counts.
* While several SAs of a peer serve a tunnel (a rekey, a duplicate), the newest gives endpoints and
  keys. charon counts unique IDs up: the largest one is the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vtid.core.presence import ANY_HOST
from vtid.core.routes import sync_with_one_peer
from vtid.core.sharing import conflict
from vtid.core.underlay import Path, Underlay

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from vtid.config.keys import Policy
    from vtid.core.route_book import RouteBook
    from vtid.core.sharing import Conflict
    from vtid.esp.algorithms import EspAlgorithms
    from vtid.model.sa import ChildSa

    Known = Mapping[Path, Underlay]

ANY_PATH = Underlay(mtu=0, error='remote = "any"')
"""The path of a declared SA without a peer of its own."""


class Way(NamedTuple):
    """What an SA adds to a packet, and the path that it takes then."""

    protocol: str
    esp: EspAlgorithms
    encap: bool
    family: int
    """4 or 6: the IP version outside."""
    underlay: Underlay


def path_of(sa: ChildSa) -> Path:
    """Return the outer addresses of an SA."""
    return sa.local_host, sa.remote_host


def way_of(sa: ChildSa, underlay: Underlay) -> Way:
    """Return the way of an SA over a path."""
    return Way(sa.protocol, sa.esp, sa.encap, 6 if ":" in sa.remote_host else 4, underlay)


class Members:
    """The installed CHILD_SAs of a tunnel with one peer, by unique ID."""

    __slots__ = ("sas",)

    are_few = True
    """Whether it costs little to look at all of them."""

    def __init__(self, sas: Iterable[ChildSa] = ()) -> None:
        self.sas = {sa.unique_id: sa for sa in sas}

    def join(self, sa: ChildSa, known: Known) -> None:  # noqa: ARG002 - a crowd needs the paths
        """Take an SA, a new or a changed one."""
        self.sas[sa.unique_id] = sa

    def leave(self, unique_id: int, known: Known) -> None:  # noqa: ARG002 - as above
        """Drop an SA."""
        self.sas.pop(unique_id, None)

    @property
    def newest(self) -> ChildSa:
        """The SA that charon made last; there is at least one."""
        return self.sas[max(self.sas)]

    def conflict(self, policy: Policy, interface: str, sa: ChildSa) -> Conflict | None:
        """Return what keeps an SA from sharing the interface, None if nothing does."""
        return conflict(policy, interface, reversed(self.sas.values()), sa)

    # --- paths ----------------------------------------------------------------------------------

    @property
    def paths(self) -> AbstractSet[Path]:
        """Outer addresses whose path MTU counts."""
        if not self.sas:
            return frozenset()
        path = path_of(self.newest)
        return frozenset() if path[1] in ANY_HOST.values() else frozenset((path,))

    def moved(self, have: AbstractSet[Path]) -> AbstractSet[Path]:
        """Return the paths that may have come or gone since the last call, when it was `have`."""
        return have ^ self.paths

    def path_changed(self, path: Path, before: Underlay | None, now: Underlay) -> None:
        """Take what was found about a path."""

    def unknown(self, known: Known) -> tuple[Path, ...]:
        """Return the paths that were not looked up yet."""
        return tuple(path for path in self.paths if path not in known)

    def underlay(self, known: Known) -> Underlay:
        """Return the path of the newest SA; one that has no path of its own has ANY_PATH."""
        return known.get(path_of(self.newest), ANY_PATH)

    def ways(self, known: Known) -> Collection[Way]:
        """Return the ways of all SAs over the path of the newest one; all paths are known."""
        underlay = self.underlay(known)
        return [way_of(sa, underlay) for sa in self.sas.values()]

    # --- routes ---------------------------------------------------------------------------------

    def sync(self, book: RouteBook, policy: Policy) -> None:
        """Write the routes that are wanted now into the book."""
        sync_with_one_peer(book, policy, self.sas.values())
