"""BGP news: which sessions over tunnels came up or went down, as lines of the log. Pure.

Rules of this file:

* BIRD is polled: a session that goes down and is back before the next look is no news.
* What is up when vtid sees a BIRD for the first time is no news. While a BIRD is away, nothing is
  known of its sessions; what has changed meanwhile is told when it is back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.operation import DeleteBird, PutBird

if TYPE_CHECKING:
    from vtid.core.tunnels import Tunnels
    from vtid.model.bgp import BgpState
    from vtid.model.input import BirdState
    from vtid.model.operation import Op


class BgpNews:
    """The sessions that are up in each BIRD, and to which tunnel they belong."""

    def __init__(self, tunnels: Tunnels) -> None:
        self._tunnels = tunnels
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}
        """Sessions of a BIRD's block, by BIRD and tunnel."""
        self._owners: dict[tuple[str, str], str] = {}
        """Tunnels by BIRD and session."""
        self._up: dict[str, dict[str, str]] = {}
        """Sessions that are up with their tunnels, by BIRD; no name for a stranger's session."""

    def done(self, op: Op) -> None:
        """Note that a tunnel's block was handed to a BIRD, or taken from it."""
        if isinstance(op, PutBird):
            names = tuple(session.name for session in op.block.sessions)
            self._own(op.block.instance, op.tunnel, names)
        elif isinstance(op, DeleteBird):
            self._own(op.instance, op.tunnel, ())

    def _own(self, bird: str, tunnel: str, names: tuple[str, ...]) -> None:
        for name in self._names.pop((bird, tunnel), ()):
            self._owners.pop((bird, name), None)
        if names:
            self._names[bird, tunnel] = names
            self._owners.update({(bird, name): tunnel for name in names})

    def seen(self, event: BirdState) -> None:
        """Compare what a BIRD reports with what it reported before."""
        if not event.connected or not event.answered_at:
            return
        before = self._up.get(event.instance)
        known = before or {}
        now = {one.protocol: one for one in event.protocols}
        owners = {
            name: self._owners.get((event.instance, name)) or known.get(name, "")
            for name, one in now.items()
            if one.established
        }
        self._up[event.instance] = owners
        if before is None:
            return
        for name in sorted(owners.keys() - before.keys()):
            if tunnel := owners[name]:
                words = _words(event.instance, name, now[name])
                self._tunnels.note("info", "BGP up", tunnel, words)
        for name in sorted(before.keys() - owners.keys()):
            if tunnel := before[name]:
                words = _words(event.instance, name, now.get(name))
                self._tunnels.note("info", "BGP down", tunnel, words)

    def gone(self, bird: str) -> None:
        """Forget a BIRD that left the configuration."""
        self._up.pop(bird, None)
        for instance, tunnel in [key for key in self._names if key[0] == bird]:
            self._own(instance, tunnel, ())


def _words(bird: str, name: str, state: BgpState | None) -> str:
    if state is None:
        return f"{name} of {bird}: not in BIRD any more"
    error = "" if state.established else state.last_error
    facts = filter(None, (state.info or state.state, error, state.neighbor))
    return f"{name} of {bird}: {', '.join(facts)}"
