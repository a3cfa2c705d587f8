"""Listing: some of the tunnels, found without a status of each. Pure.

Rules of this file:

* Only `briefs` goes over all tunnels. It yields one by one, so that the daemon's loop can do
  something else in between; tunnels that come or go meanwhile may be missed.
* `choose` takes nothing but briefs, which do not change, so that a worker thread can run it.
* `chosen` makes a status of those that are listed, and of no other one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import nlargest
from typing import TYPE_CHECKING, NamedTuple

from vtid.core.status import some, waiting
from vtid.model.listing import Event, Listing
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.core.state import State
    from vtid.core.tunnels import Tunnel
    from vtid.model.listing import Wanted

EVENTS = 20
"""Events that are listed."""

_SEARCHED_SAS = 64
"""CHILD_SAs of one tunnel whose peers are searched: an interface may be shared by thousands."""


class Brief(NamedTuple):
    """What a tunnel is chosen by."""

    label: str
    name: str
    """Its name among the tunnels; empty for one that its policy still waits for."""
    state: TunnelState
    text: str
    """What can be searched; empty where nothing is."""
    acted_at: float
    """When its last operation ended, in seconds of the state's clock; 0 for never."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which tunnels to list."""

    matching: int
    first: int
    briefs: tuple[Brief, ...]
    acted: tuple[str, ...]
    """Names of the tunnels with the last operations."""


def briefs(state: State, *, searched: bool) -> Iterator[Brief]:
    """Yield all tunnels, those that their policies wait for included."""
    for tunnel in tuple(state.tunnels.values()):
        acted_at = tunnel.history[-1].at if tunnel.history else 0.0
        text = _text(tunnel) if searched else ""
        yield Brief(tunnel.label or tunnel.name, tunnel.name, tunnel.state, text, acted_at)
    for policy, label, error in tuple(waiting(state)):
        words = (label, policy.netns, policy.interface, policy.connection, policy.child)
        text = "\n".join(words).casefold() if searched else ""
        yield Brief(label, "", TunnelState.ERROR if error else TunnelState.DOWN, text, 0.0)


def _text(tunnel: Tunnel) -> str:
    words = [tunnel.label, tunnel.name]
    if tunnel.policy:
        words += [tunnel.policy.connection, tunnel.policy.child]
    if tunnel.observed.link:
        words.append(tunnel.observed.link.remote)
    for _, sa in zip(range(_SEARCHED_SAS), tunnel.sas.values(), strict=False):
        words += [sa.connection, sa.child, sa.remote_host, sa.remote_id]
    return "\n".join(words).casefold()


def choose(found: Iterable[Brief], wanted: Wanted) -> Choice:
    """Choose among all tunnels."""
    every = list(found)
    text = wanted.text.casefold()
    fits = [
        one
        for one in every
        if (not wanted.states or one.state in wanted.states) and text in one.text
    ]
    fits.sort(key=lambda one: (one.label, one.name))
    last = max(0, (len(fits) - 1) // wanted.count * wanted.count)
    first = min(wanted.first, last)
    acted = nlargest(EVENTS, (one for one in every if one.acted_at), key=lambda one: one.acted_at)
    return Choice(
        matching=len(fits),
        first=first,
        briefs=tuple(fits[first : first + wanted.count]),
        acted=tuple(one.name for one in acted),
    )


def chosen(state: State, choice: Choice, clock_offset: float) -> Listing:
    """List what was chosen; what has gone since then is left out.

    `clock_offset` is Unix time minus the state's clock, in seconds.
    """
    names = [one.name for one in choice.briefs if one.name]
    labels = frozenset(one.label for one in choice.briefs if not one.name)
    return Listing(
        matching=choice.matching,
        first=choice.first,
        tunnels=some(state, names, labels, clock_offset),
        events=last_events(state, choice.acted, clock_offset),
    )


def last_events(
    state: State, acted: Iterable[str], clock_offset: float, count: int = EVENTS
) -> tuple[Event, ...]:
    """Return the last operations, the newest first; `acted` names the tunnels that acted last."""
    there = (tunnel for name in acted if (tunnel := state.tunnels.get(name)))
    found = ((tunnel, past) for tunnel in there for past in tunnel.history)
    newest = nlargest(count, found, key=lambda one: one[1].at)
    return tuple(
        Event(tunnel.label or tunnel.name, replace(past, at=past.at + clock_offset))
        for tunnel, past in newest
    )
