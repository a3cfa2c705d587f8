"""Memory: what a state knows at one moment, apart from its configuration. Pure.

Rules of this file:

* Taking one is quick with any number of tunnels: it holds the event loop. So it copies references
  to values that never change, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from vtid.config.keys import Policy
    from vtid.core.tunnels import Tunnel
    from vtid.core.underlay import Path, Underlay
    from vtid.model.link import Desired, Observed, Route
    from vtid.model.mode import Mode
    from vtid.model.sa import ChildSa


class Facts(NamedTuple):
    """What is known of one tunnel; the fields are those of `Tunnel`."""

    netns: str
    interface: str
    policy: Policy | None
    last_sa: ChildSa | None
    serves: tuple[str, str, bool] | None
    hold_until: float | None
    observed: Observed
    our_addresses: frozenset[str]
    last_desired: Desired | None
    proven: int
    silent: str


_facts_of = attrgetter(*Facts._fields)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a state knows. Times are seconds of its clock."""

    sas: tuple[ChildSa, ...] | None
    """None before charon listed them for the first time."""
    vici_error: str | None
    namespaces: tuple[str, ...]
    """Those whose links and MSS elements are known."""
    netns_errors: Mapping[str, str]
    underlay: Mapping[Path, Underlay]
    serving: Mapping[tuple[str, str, bool], str]
    """Name of the last tunnel of each child (`core/assignment.py`)."""
    modes: tuple[tuple[str, Mode], ...]
    """By label, empty for all tunnels, which comes first."""
    flushed: bool
    facts: tuple[tuple[object, ...], ...]
    """Fields of `Facts`, for each tunnel."""
    routes: tuple[tuple[tuple[Route, ...], tuple[Route, ...]], ...]
    """Routes of each tunnel: those that are wanted, and those that are there."""

    def tunnels(self) -> Iterator[tuple[Facts, tuple[Route, ...], tuple[Route, ...]]]:
        """Yield what is known of each tunnel, its wanted routes, and those that are there."""
        for facts, (wanted, there) in zip(self.facts, self.routes, strict=True):
            yield Facts(*facts), wanted, there  # type: ignore[arg-type] # as `_facts_of` has them


def facts_of(tunnels: Iterable[Tunnel]) -> tuple[tuple[object, ...], ...]:
    """Return the fields of `Facts` for each tunnel."""
    return tuple(map(_facts_of, tunnels))


def routes_of(tunnels: Iterable[Tunnel]) -> tuple[tuple[tuple[Route, ...], tuple[Route, ...]], ...]:
    """Return the routes of each tunnel."""
    books = (tunnel.routes for tunnel in tunnels)
    return tuple((tuple(book.wanted), tuple(book.there)) for book in books)
