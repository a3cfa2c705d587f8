"""Paths: the route and MTU to each peer, outside the tunnels. Pure.

Rules of this file:

* A path is known while a tunnel uses it, and forgotten with its last user.
* While a route is missing, its last MTU still counts, and the path is looked up again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.core.members import Members
from vtid.core.underlay import Underlay

if TYPE_CHECKING:
    from vtid.core.tunnels import Tunnel, Tunnels
    from vtid.core.underlay import Path
    from vtid.model.input import UnderlaySeen

LOOKUP_AGAIN = 5.0
"""Seconds between lookups of a path without route."""

_NOBODY = Members()


class Paths:
    """The paths that tunnels use."""

    def __init__(self, tunnels: Tunnels) -> None:
        self.known: dict[Path, Underlay] = {}
        self.unrouted: set[Path] = set()
        """Those that had no route when they were looked up last."""
        self._tunnels = tunnels
        self._users: dict[Path, set[str]] = defaultdict(set)

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
            self.unrouted.discard(path)

    def seen(self, event: UnderlaySeen, now: float) -> None:
        """File the result of a lookup."""
        path = (event.local, event.remote)
        if path not in self._users:
            return
        before = self.known.get(path)
        found = Underlay(event.mtu, event.interface, event.error)
        if not event.mtu and before and before.mtu:
            found = replace(before, error=event.error)
        self.known[path] = found
        (self.unrouted.discard if event.mtu else self.unrouted.add)(path)
        for name in self._users[path]:
            tunnel = self._tunnels.by_name[name]
            tunnel.members.path_changed(path, before, found)
            if not event.mtu:
                tunnel.lookup_at = now + LOOKUP_AGAIN
            if found != before:
                self._tunnels.changed(tunnel)

    def look_up_all(self, now: float) -> None:
        """Look up every path in use again."""
        for tunnel in self._tunnels:
            if tunnel.paths:
                tunnel.lookup_at, tunnel.lookup_all = now, True
                self._tunnels.changed(tunnel)
