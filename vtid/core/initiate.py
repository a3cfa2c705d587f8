"""Initiation: which CHILD_SAs vtid asks charon to initiate, and when. Pure.

Rules of this file:

* Only for policies with `initiate = true`, whose connection and child are plain names.
* charon's own settings (`start_action`, `close_action`, `dpd_action`) come first: vtid asks some
  seconds after it found an SA missing, later each time. `jitter` spreads tunnels that went down
  together.
* The edge does not ask for an SA that is in progress; it then answers that nothing changed.
* An SA that ends soon after it was established does not reset the waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.core.backoff import back_off
from vtid.core.deadlines import Deadlines
from vtid.model.input import OpDone, OpFailed
from vtid.model.link import tunnel_name
from vtid.model.operation import Initiate
from vtid.model.status import Initiation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vtid.config.keys import Config, Policy
    from vtid.core.sas import SaTable

FIRST = 2.0
LAST = 60.0
"""Seconds until charon is asked, doubled each time up to the last; jitter varies them by half."""

BATCH = 1.0
"""Seconds: charon is asked at multiples of this only. Each time it lists its SAs once, for all
children that are due."""

STABLE = 60.0
"""Seconds an SA must last to reset the waits."""

Child = tuple[str, str]
"""Names of a connection and of its child in swanctl.conf."""


@dataclass(slots=True)
class _Item:
    """One child to initiate."""

    tunnel: str
    label: str = ""
    up_since: float | None = None
    due: float | None = None
    under_way: bool = False
    waits: int = 0
    """Waits since the last SA that lasted long enough."""
    asked: int = 0
    error: str = ""
    error_at: float = 0.0


class Initiations:
    """The children to initiate, and when charon is asked next."""

    def __init__(self, sas: SaTable, jitter: Callable[[], float]) -> None:
        self._sas = sas
        self._jitter = jitter
        self._items: dict[Child, _Item] = {}
        self._deadlines = Deadlines[Child]()

    def use(self, config: Config, label_of: Callable[[Policy], str]) -> None:
        """Take a new configuration; children that stay in it keep their waits."""
        before, self._items = self._items, {}
        for policy in config.policies:
            if policy.initiate:
                child = (policy.connection, policy.child)
                item = before.pop(child, None) or _Item("")
                item.tunnel = tunnel_name(policy.netns, policy.interface)
                item.label = label_of(policy)
                self._items[child] = item
        for child in before:
            self._deadlines.clear(child)

    def check_all(self, now: float) -> None:
        """Check all children for an SA."""
        self.check(self._items, now)

    def check(self, children: Iterable[Child], now: float) -> None:
        """Check some children for an SA."""
        for child in children:
            if item := self._items.get(child):
                self._check(child, item, now)

    def begin_anew(self, now: float, label: str | None = None) -> None:
        """Ask soon for what has no SA: somebody wants it now, or charon is back.

        With a label, only for the children of that tunnel.
        """
        for child, item in self._items.items():
            if label in {None, item.label} and not item.under_way:
                item.waits, item.due = 0, None
                self._check(child, item, now)

    def _check(self, child: Child, item: _Item, now: float) -> None:
        if self._sas.has(*child):
            item.up_since = now if item.up_since is None else item.up_since
            item.due, item.error = None, ""
            self._deadlines.clear(child)
            return
        if item.up_since is not None:
            item.waits = 0 if now - item.up_since >= STABLE else item.waits
            item.up_since = None
        if item.due is None and not item.under_way:
            wait = back_off(FIRST, LAST, item.waits) * (0.5 + self._jitter())
            item.due = math.ceil((now + wait) / BATCH) * BATCH
            item.waits += 1
            self._deadlines.set(child, item.due)

    def next_deadline(self) -> float | None:
        """Return when charon is to be asked next, None for never."""
        return self._deadlines.next()

    def work(self, now: float, may_ask: Callable[[str], bool]) -> Iterator[Initiate]:
        """Yield what to ask charon now.

        `may_ask` tells it by the label of the tunnel; a child that may not be asked for waits once
        more.
        """
        for child in self._deadlines.pop_due(now):
            if (item := self._items.get(child)) is None:
                continue
            item.due, item.under_way = None, may_ask(item.label)
            if not item.under_way:
                self._check(child, item, now)
                item.waits -= 1  # nobody was asked
                continue
            connection, name = child
            yield Initiate(
                tunnel=item.tunnel,
                reason=f"{connection}/{name} has no CHILD_SA, and the policy wants it initiated",
                connection=connection,
                child=name,
            )

    def answered(self, op: Initiate, result: OpDone | OpFailed, now: float) -> str:
        """File an answer; return its error if it is a new one, worth a line in the log."""
        child = (op.connection, op.child)
        if (item := self._items.get(child)) is None:
            return ""
        item.under_way = False
        error = result.error if isinstance(result, OpFailed) else ""
        news = error if error != item.error else ""
        item.error_at = now if error and not item.error else item.error_at
        item.error = error
        item.asked += isinstance(result, OpDone) and result.changed
        self._check(child, item, now)
        return news

    def status(self, clock_offset: float) -> tuple[Initiation, ...]:
        """Return all children for operators; `clock_offset` is Unix time minus `now` in seconds."""
        return tuple(
            Initiation(
                connection=connection,
                child=child,
                tunnel=item.tunnel,
                up=item.up_since is not None,
                asked=item.asked,
                next_at=item.due + clock_offset if item.due is not None else 0.0,
                error=item.error,
                error_at=item.error_at + clock_offset if item.error else 0.0,
            )
            for (connection, child), item in sorted(self._items.items())
        )
