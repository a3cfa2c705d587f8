"""Present interfaces: a VTI or XFRM interface that is there, whoever made it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vtid.model.link import Link, Route


@dataclass(frozen=True, slots=True)
class FoundRoute:
    """A route that somebody made."""

    route: Route
    """Its table is a number."""
    ours: bool = False
    """Whether it carries vtid's mark."""
    daemon: bool = False
    """Whether a routing daemon made it, or a router's announcement; not a person, nor a script."""
    unlike: str = ""
    """What it has that a route of vtid's has not, marks apart; empty if there is nothing."""


@dataclass(frozen=True, slots=True)
class Present:
    """An interface with what was given to it."""

    link: Link
    addresses: frozenset[str] = frozenset()
    routes: tuple[FoundRoute, ...] = ()
    """Those through it that the kernel did not make by itself."""
