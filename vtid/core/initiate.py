"""Initiation: which CHILD_SAs charon is asked to initiate, and when. Pure.

Rules of this file:

* Only for policies with `initiate = true`, whose connection and child are plain names.
* charon gets its time first (`start_action`, `close_action`, `dpd_action`): it is asked some
  seconds after an SA was found missing, later each time, and spread by `jitter`, so that many
  tunnels that went down together do not come back together.
* The edge does not ask for what is in progress already; it answers that nothing was changed.
* An SA that ends soon after it came does not begin the waits anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.core.deadlines import Deadlines
from vtid.core.naming import tunnel_name
from vtid.model.input import OpDone, OpFailed
from vtid.model.operation import Initiate
from vtid.model.status import Initiation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vtid.config.keys import Config
    from vtid.core.sas import SaTable

FIRST = 2.0
LAST = 60.0
"""Seconds until charon is asked: doubled each time up to the last; half more or less by jitter."""

BATCH = 1.0
"""Seconds between moments at which charon is asked: each time it has to list its SAs, once for all
that is wanted then."""

STABLE = 60.0
"""Seconds that an SA has to last for the waits to begin anew."""

Child = tuple[str, str]
"""Names of a connection and of its child in swanctl.conf."""


@dataclass(slots=True)
class _Item:
    """One child that charon is to initiate."""

    tunnel: str
    up_since: float | None = None
    due: float | None = None
    under_way: bool = False
    waits: int = 0
    """Waits since the last SA that lasted."""
    asked: int = 0
    error: str = ""


class Initiations:
    """The children that are to have an SA, and when charon is asked for it next."""

    def __init__(self, sas: SaTable, jitter: Callable[[], float]) -> None:
        self._sas = sas
        self._jitter = jitter
        self._items: dict[Child, _Item] = {}
        self._deadlines = Deadlines[Child]()

    def use(self, config: Config) -> None:
        """Follow a new configuration; what was asked for and still is goes on as it was."""
        before, self._items = self._items, {}
        for policy in config.policies:
            if policy.initiate:
                child = (policy.connection, policy.child)
                item = before.pop(child, None) or _Item("")
                item.tunnel = tunnel_name(policy.netns, policy.interface)
                self._items[child] = item
        for child in before:
            self._deadlines.clear(child)

    def look_at_all(self, now: float) -> None:
        """Find out which children have no SA."""
        self.look_at(self._items, now)

    def look_at(self, children: Iterable[Child], now: float) -> None:
        """Find out which of some children have no SA."""
        for child in children:
            if item := self._items.get(child):
                self._look_at(child, item, now)

    def _look_at(self, child: Child, item: _Item, now: float) -> None:
        if self._sas.has(*child):
            item.up_since = now if item.up_since is None else item.up_since
            item.due, item.error = None, ""
            self._deadlines.clear(child)
            return
        if item.up_since is not None:
            item.waits = 0 if now - item.up_since >= STABLE else item.waits
            item.up_since = None
        if item.due is None and not item.under_way:
            wait = min(LAST, FIRST * 2.0**item.waits) * (0.5 + self._jitter())
            item.due = math.ceil((now + wait) / BATCH) * BATCH
            item.waits += 1
            self._deadlines.set(child, item.due)

    def next_deadline(self) -> float | None:
        """Return when charon is to be asked next, None for never."""
        return self._deadlines.next()

    def work(self, now: float, *, may_ask: bool) -> Iterator[Initiate]:
        """Give what charon is to be asked now; what it cannot be asked for waits once more."""
        for child in self._deadlines.pop_due(now):
            if (item := self._items.get(child)) is None:
                continue
            item.due, item.under_way = None, may_ask
            if not may_ask:
                self._look_at(child, item, now)
                continue
            connection, name = child
            yield Initiate(
                tunnel=item.tunnel,
                reason=f"{connection}/{name} has no CHILD_SA, and the policy wants it initiated",
                connection=connection,
                child=name,
            )

    def answered(self, op: Initiate, result: OpDone | OpFailed, now: float) -> str:
        """File an answer; return what is worth a line because it is new."""
        child = (op.connection, op.child)
        if (item := self._items.get(child)) is None:
            return ""
        item.under_way = False
        error = result.error if isinstance(result, OpFailed) else ""
        news = error if error != item.error else ""
        item.error = error
        item.asked += isinstance(result, OpDone) and result.changed
        self._look_at(child, item, now)
        return news

    def status(self, clock_offset: float) -> tuple[Initiation, ...]:
        """Return all of it for operators; `clock_offset` makes Unix times of the state's."""
        return tuple(
            Initiation(
                connection=connection,
                child=child,
                tunnel=item.tunnel,
                up=item.up_since is not None,
                asked=item.asked,
                next_at=item.due + clock_offset if item.due is not None else 0.0,
                error=item.error,
            )
            for (connection, child), item in sorted(self._items.items())
        )
