"""Paths: the route and MTU to each peer, outside the tunnels. Pure.

Rules of this file:

* A path is known while a tunnel uses it, and forgotten with its last user.
* While a route is missing, its last MTU still counts, and the path is looked up again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.core.desired import Underlay, paths_of

if TYPE_CHECKING:
    from vtid.core.desired import Path
    from vtid.core.tunnels import Tunnel, Tunnels
    from vtid.model.input import UnderlaySeen

LOOKUP_AGAIN = 5.0
"""Seconds between lookups of a path without route."""


class Paths:
    """The paths that tunnels use."""

    def __init__(self, tunnels: Tunnels) -> None:
        self.known: dict[Path, Underlay] = {}
        self._tunnels = tunnels
        self._users: dict[Path, set[str]] = defaultdict(set)

    def follow(self, tunnel: Tunnel) -> None:
        """Note which paths a tunnel uses now, from its policy and SAs."""
        policy, sas = tunnel.policy, tunnel.wanted_by
        paths = frozenset(paths_of(policy, sas)) if policy and sas else frozenset()
        for path in tunnel.paths - paths:
            self._users[path].discard(tunnel.name)
            if not self._users[path]:
                del self._users[path]
                self.known.pop(path, None)
        for path in paths - tunnel.paths:
            self._users[path].add(tunnel.name)
        tunnel.paths = paths

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
        for name in self._users[path]:
            tunnel = self._tunnels.by_name[name]
            if not event.mtu:
                tunnel.lookup_at = now + LOOKUP_AGAIN
            if found != before:
                self._tunnels.changed(tunnel)

    def look_up_all(self, now: float) -> None:
        """Look up every path in use again."""
        for tunnel in self._tunnels:
            if tunnel.paths:
                tunnel.lookup_at = now
                self._tunnels.changed(tunnel)
