"""Recent inputs: the last ones of this run, for a bug report. Part of the edge.

Rules of this file:

* A fixed number is kept, and of each no more than what it is about: what lists everything (a
  snapshot, a configuration) is kept as counts, so that nothing large stays alive. A peer chooses
  how many traffic selectors and how long an identity its SA has: of those, a few are kept.
* It has no secrets: of a configuration and of what BIRD says, numbers; of an operation, its class
  and subject.
"""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from vtid.config.keys import ConfigLoaded
from vtid.daemon.codec import to_json
from vtid.http.api import RecentInput
from vtid.model.input import (
    BirdSnapshot,
    BirdState,
    ChildRekeyed,
    ChildUp,
    ClampSnapshot,
    Input,
    LearntSeen,
    LinkSnapshot,
    OpDone,
    OpFailed,
    RoutesSeen,
    SaSnapshot,
)
from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEPT = 500
"""Inputs."""

TEXT_MAX = 1000
"""Characters of what one is about."""

SELECTORS = 4
"""Traffic selectors and virtual IPs that are kept of each list of an SA."""


class RecentInputs:
    """The last inputs."""

    def __init__(self, kept: int = KEPT) -> None:
        self._inputs: deque[tuple[float, str, Input | dict[str, Any]]] = deque(maxlen=kept)

    def took(self, events: Sequence[Input]) -> None:
        """Keep inputs that are applied now."""
        now = time.time()
        self._inputs.extend([(now, type(one).__name__, _brief(one)) for one in events])

    def kept(self) -> tuple[tuple[float, str, Input | dict[str, Any]], ...]:
        """Return them, the oldest first, for `written`."""
        return tuple(self._inputs)


def written(inputs: Sequence[tuple[float, str, Input | dict[str, Any]]]) -> tuple[RecentInput, ...]:
    """Write inputs for others; for a thread, since there may be many."""
    return tuple(RecentInput(round(at, 3), name, _text(about)) for at, name, about in inputs)


def _text(about: Input | dict[str, Any]) -> str:
    facts = about if isinstance(about, dict) else to_json(about)
    return json.dumps(facts)[:TEXT_MAX]


def _brief(event: Input) -> Input | dict[str, Any]:
    """Return what is kept of an input: less of one that is large or may have a secret."""
    brief = _BRIEF.get(type(event))
    return brief(event) if brief else event


def _of_op(event: OpDone | OpFailed) -> dict[str, Any]:
    op = event.op
    about = {"op": type(op).__name__, "tunnel": op.tunnel, "subject": op.subject}
    if isinstance(event, OpDone):
        return {**about, "changed": event.changed}
    error = event.error
    return {**about, "error": "…" if QUOTES_VARS in error else error[:TEXT_MAX]}


_lists_of = attrgetter("local_ts", "remote_ts", "local_vips", "remote_vips")


def _of_sa(event: ChildUp | ChildRekeyed) -> Input:
    """Return an input with the first of what a peer may have many of."""
    lists = _lists_of(event.sa)
    if max(map(len, lists)) <= SELECTORS:
        return event
    local_ts, remote_ts, local_vips, remote_vips = (one[:SELECTORS] for one in lists)
    some = replace(
        event.sa,
        local_ts=local_ts,
        remote_ts=remote_ts,
        local_vips=local_vips,
        remote_vips=remote_vips,
    )
    return replace(event, sa=some)


def _of_configuration(event: ConfigLoaded) -> dict[str, Any]:
    return {"policies": len(event.config.policies), "birds": len(event.config.birds)}


def _of_bird(event: BirdState) -> dict[str, Any]:
    facts = {name: getattr(event, name) for name in _NO_SECRETS}
    return {**facts, "protocols": len(event.protocols)}


_NO_SECRETS = ("instance", "connected", "version", "pushes", "refusals", "undos", "unconfirmed")


def _counts(event: Input) -> dict[str, Any]:
    facts = {one.name: getattr(event, one.name) for one in fields(event)}
    return {name: len(fact) if isinstance(fact, tuple) else fact for name, fact in facts.items()}


_LISTS = (SaSnapshot, LinkSnapshot, ClampSnapshot, RoutesSeen, LearntSeen, BirdSnapshot)

_BRIEF: dict[type[Input], Callable[[Any], Input | dict[str, Any]]] = {
    OpDone: _of_op,
    OpFailed: _of_op,
    ChildUp: _of_sa,
    ChildRekeyed: _of_sa,
    ConfigLoaded: _of_configuration,
    BirdState: _of_bird,
    **dict.fromkeys(_LISTS, _counts),
}
