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
    LearntSeen,
    LinkSnapshot,
    OpDone,
    OpFailed,
    RoutesSeen,
    SaSnapshot,
)
from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.model.input import Input
    from vtid.model.operation import Op

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
        self._inputs.extend((now, type(one).__name__, _brief(one) or _short(one)) for one in events)

    def kept(self) -> tuple[tuple[float, str, Input | dict[str, Any]], ...]:
        """Return them, the oldest first, for `written`."""
        return tuple(self._inputs)


def written(inputs: Sequence[tuple[float, str, Input | dict[str, Any]]]) -> tuple[RecentInput, ...]:
    """Write inputs for others; for a thread, since there may be many."""
    return tuple(RecentInput(round(at, 3), name, _text(about)) for at, name, about in inputs)


def _text(about: Input | dict[str, Any]) -> str:
    facts = about if isinstance(about, dict) else to_json(about)
    return json.dumps(facts)[:TEXT_MAX]


def _short(event: Input) -> Input:
    """Return an input with the first of what a peer may have many of."""
    if not isinstance(event, ChildUp | ChildRekeyed):
        return event
    some = {name: getattr(event.sa, name)[:SELECTORS] for name in _OF_PEERS}
    return replace(event, sa=replace(event.sa, **some))


def _brief(event: Input) -> dict[str, Any] | None:
    """Return what is kept of an input that is large or may have a secret; None for all of it."""
    match event:
        case ConfigLoaded(config=config):
            return {"policies": len(config.policies), "birds": len(config.birds)}
        case BirdState():
            facts = {name: getattr(event, name) for name in _OF_BIRD}
            return {**facts, "protocols": len(event.protocols)}
        case OpDone(op=op, changed=changed):
            return {**_of_op(op), "changed": changed}
        case OpFailed(op=op, error=error):
            return {**_of_op(op), "error": "…" if QUOTES_VARS in error else error[:TEXT_MAX]}
        case _ if isinstance(event, _LISTS):
            facts = {one.name: getattr(event, one.name) for one in fields(event)}
            return {
                name: len(fact) if isinstance(fact, tuple) else fact for name, fact in facts.items()
            }
    return None


_OF_PEERS = ("local_ts", "remote_ts", "local_vips", "remote_vips")

_LISTS = (SaSnapshot, LinkSnapshot, ClampSnapshot, RoutesSeen, LearntSeen, BirdSnapshot)

_OF_BIRD = ("instance", "connected", "version", "pushes", "refusals", "undos", "unconfirmed")


def _of_op(op: Op) -> dict[str, Any]:
    return {"op": type(op).__name__, "tunnel": op.tunnel, "subject": op.subject}
