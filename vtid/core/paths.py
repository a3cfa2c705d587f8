"""Paths: the route and MTU to each peer, outside the tunnels. Pure.

Rules of this file:

* A path is known while a tunnel uses it, and forgotten with its last user.
* Many tunnels may lead to one peer. What one of them asks for serves all; an answer that says what
  is known already, and one tunnel's doubt, cost the same however many there are.
* While a route is missing, or a lookup fails, the last MTU still counts, and the path is looked up
  again.
* What the kernel learnt of a path counts until it expires: then it is looked up again. No event
  tells that something was learnt: from time to time all of it is listed (`learnt`), and a path is
  looked up when a probe had no answer (`doubt`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.core.members import Members
from vtid.core.underlay import Underlay

if TYPE_CHECKING:
    from vtid.core.tunnels import Tunnel, Tunnels
    from vtid.core.underlay import Path
    from vtid.model.input import LearntSeen, UnderlaySeen
    from vtid.model.operation import ProbeUnderlay

LOOKUP_AGAIN = 5.0
"""Seconds between lookups of a path that has no route, or could not be looked up."""

EXPIRED = 1.0
"""Seconds to wait after the end of what was learnt, so that it is over by the kernel's clock."""

_NOBODY = Members()


class Paths:
    """The paths that tunnels use."""

    def __init__(self, tunnels: Tunnels) -> None:
        self.known: dict[Path, Underlay] = {}
        self._due: dict[Path, float] = {}
        """When to look up again what had no route, or an MTU that was learnt or is in doubt."""
        self._tunnels = tunnels
        self._users: dict[Path, set[str]] = defaultdict(set)
        self._learnt: dict[str, tuple[int, ...]] = {}
        """What was listed last, by peer."""

    def follow(self, tunnel: Tunnel) -> None:
        """Note which paths a tunnel uses now, from its policy and SAs."""
        members = tunnel.wanted_by if tunnel.policy else _NOBODY
        for path in members.moved(tunnel.paths):
            if path in members.paths:
                self._use(path, tunnel)
            else:
                self._leave(path, tunnel)

    def _use(self, path: Path, tunnel: Tunnel) -> None:
        self._users[path].add(tunnel.name)
        tunnel.paths.add(path)

    def _leave(self, path: Path, tunnel: Tunnel) -> None:
        tunnel.paths.discard(path)
        users = self._users.get(path, set())
        users.discard(tunnel.name)
        if not users:
            self._users.pop(path, None)
            self.known.pop(path, None)
            self._due.pop(path, None)

    def seen(self, event: UnderlaySeen, now: float) -> None:
        """File the result of a lookup."""
        path = (event.local, event.remote)
        if path not in self._users:
            return
        before = self.known.get(path)
        found = Underlay.of(event)
        if not event.mtu and before and before.mtu:
            found = replace(before, error=event.error)
        self._due.pop(path, None)
        if event.learnt or not event.mtu:
            wait = event.expires + EXPIRED if event.learnt else LOOKUP_AGAIN
            self._due[path] = now + wait
        if found == before:
            return
        self.known[path] = found
        for name in self._users[path]:
            tunnel = self._tunnels.by_name[name]
            self._wake(tunnel, path, now)
            tunnel.members.path_changed(path, before, found)
            self._tunnels.changed(tunnel)
            self._tell(tunnel, path, before or replace(found, learnt=0), found, event.expires)

    def answered(self, tunnel: Tunnel, op: ProbeUnderlay, now: float) -> None:
        """Have whoever asked look up the path again when that is due: others may never do it."""
        self._wake(tunnel, (op.local, op.remote), now)

    def failed(self, tunnel: Tunnel, op: ProbeUnderlay, now: float) -> None:
        """Look up a known path again if a lookup failed; what is not known is asked for anyway."""
        path = (op.local, op.remote)
        if path in self.known:
            self._due[path] = now + LOOKUP_AGAIN
            self._wake(tunnel, path, now)

    def _tell(
        self, tunnel: Tunnel, path: Path, before: Underlay, now: Underlay, expires: float
    ) -> None:
        if now.mtu != before.mtu:
            words = f"{now.mtu} bytes to {path[1]} by {now.interface}, {before.mtu} before"
            self._tunnels.note("info", "route MTU changed", tunnel.name, words)
        if now.learnt == before.learnt:
            return
        where = f"to {path[1]}, where the route has {now.mtu} on {now.interface}"
        if now.learnt:
            words = f"{now.learnt} bytes {where}; known for another {expires:.0f} s"
            self._tunnels.note("warning", "path MTU learnt", tunnel.name, words)
        else:
            words = f"nothing is learnt any more of the path {where}"
            self._tunnels.note("info", "path MTU forgotten", tunnel.name, words)

    # --- to look up again -------------------------------------------------------------------------

    def learnt(self, event: LearntSeen, now: float) -> None:
        """Look up the paths of which something else is listed than the last time, or counts."""
        before, self._learnt = self._learnt, dict(event.mtus)
        peers = {peer for peer, _ in before.items() ^ self._learnt.items()}
        for path in self._users:
            known = self.known.get(path)
            flushed = known is not None and known.learnt and path[1] not in self._learnt
            if flushed or path[1] in peers:
                for name in self._users[path]:
                    self._look_up(path, self._tunnels.by_name[name], now)

    def doubt(self, tunnel: Tunnel, now: float) -> None:
        """Look up the paths of a tunnel whose probe had no answer: the kernel may know why."""
        for path in tunnel.paths:
            self._look_up(path, tunnel, now)

    def _look_up(self, path: Path, tunnel: Tunnel, now: float) -> None:
        """Have a tunnel look up a path; all that use it hear of what is found."""
        self._due[path] = now
        self._wake(tunnel, path, now)
        self._tunnels.revisit(tunnel)

    def _wake(self, tunnel: Tunnel, path: Path, now: float) -> None:
        due = self._due.get(path)
        if due is not None and (tunnel.lookup_at is None or due < tunnel.lookup_at):
            tunnel.lookup_at = due
            self._tunnels.wake(tunnel, now)

    def due(self, tunnel: Tunnel, now: float) -> list[Path]:
        """Return the paths of a tunnel to look up now."""
        if tunnel.lookup_all:
            return sorted(tunnel.paths)
        return sorted(path for path in tunnel.paths if self._due.get(path, math.inf) <= now)

    def next_due(self, tunnel: Tunnel, now: float) -> float | None:
        """Return when more of its paths are to be looked up, None for never."""
        times = (self._due.get(path, -math.inf) for path in tunnel.paths)
        return min((when for when in times if when > now), default=None)

    def look_up_all(self, now: float) -> None:
        """Look up every path in use again."""
        for tunnel in self._tunnels:
            if tunnel.paths:
                tunnel.lookup_at, tunnel.lookup_all = now, True
                self._tunnels.changed(tunnel)
