"""Rehearsal: what another configuration would lead to, tried in a state of its own. Pure.

    State.memory ─▶ Rehearsal ─▶ use(configuration) ─▶ operations

Rules of this file:

* It may run in another thread than the state: a memory has only values that never change.
* A rehearsal begins with the same SAs, links, routes and hold times as the state that it recalls,
  and plans as that one would. Probes and requests to charon are no part of it.
* A namespace that was not watched before is taken for empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.config.keys import ConfigLoaded
from vtid.core.prober import target_of
from vtid.core.state import State
from vtid.model.input import (
    ClampSnapshot,
    FlushAsked,
    Input,
    LinkSnapshot,
    ModeAsked,
    NetnsLost,
    OpDone,
    SaSnapshot,
    UnderlaySeen,
    ViciLost,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.config.keys import Config
    from vtid.core.memory import Facts, Memory
    from vtid.core.tunnels import Tunnel
    from vtid.model.bgp import BirdBlock
    from vtid.model.link import Route
    from vtid.model.operation import Op, ProbeUnderlay


class Rehearsal(State):
    """A state that knows what another one knew at `now`, under the configuration that it had."""

    def __init__(self, memory: Memory, config: Config, now: float) -> None:
        super().__init__()
        del self._probing  # refers to the state: without it, nothing waits for a full collection
        self._now = now
        self._memory = memory
        self.apply(ConfigLoaded(config), now)
        self._know(memory.namespaces)
        self._assignment.serving.update(memory.serving)
        recalled = [(self._recall(*one), one[0]) for one in memory.tunnels()]
        for event in _inputs(memory):
            self.apply(event, now)
        for tunnel, facts in recalled:
            _recall_times(tunnel, facts)

    def _recall(self, facts: Facts, wanted: tuple[Route, ...], there: tuple[Route, ...]) -> Tunnel:
        tunnel = self._tunnels.get_or_add(facts.netns, facts.interface)
        self._assignment.recall(tunnel, facts.policy)
        tunnel.serves, tunnel.our_addresses = facts.serves, facts.our_addresses
        tunnel.observed, tunnel.last_sa = facts.observed, facts.last_sa
        if facts.observed.link:
            tunnel.routes.use_table(facts.observed.link.table)
        tunnel.routes.want_only(wanted)
        tunnel.routes.see_only(there)
        return tunnel

    def _know(self, namespaces: Iterable[str]) -> None:
        """Take it that namespaces have been listed; what was there is recalled after that."""
        for netns in namespaces:
            self.apply(LinkSnapshot(netns, (), ()), self._now)
            self.apply(ClampSnapshot(netns, ()), self._now)

    # --- what another configuration leads to --------------------------------------------------

    def use(self, config: Config) -> tuple[Op, ...]:
        """Take a configuration, and return the operations that begin then.

        Lookups of paths are among them; `saw` returns what follows from those.
        """
        self.apply(ConfigLoaded(config), self._now)
        self._know(self.namespaces() - {*self._memory.namespaces, *self._memory.netns_errors})
        for tunnel in self._tunnels:
            _forget_probes(tunnel)
        return self._begin()

    def saw(self, seen: Iterable[UnderlaySeen], lookups: Iterable[ProbeUnderlay]) -> tuple[Op, ...]:
        """Take the results of lookups, and return the operations that begin then."""
        for event in (*seen, *map(OpDone, lookups)):
            self.apply(event, self._now)
        return self._begin()

    def _begin(self) -> tuple[Op, ...]:
        due = self._tunnels.take_dirty(self._now, len(self.tunnels))
        return tuple(op for one in due for op in self._planner.begin(one, self._now, self._now))

    def blocks(self, instance: str) -> tuple[BirdBlock, ...]:
        """Return the blocks that a BIRD is to have."""
        wanted = (block for tunnel in self._tunnels for block in tunnel.desired.birds)
        return tuple(block for block in wanted if block.instance == instance)


def _inputs(memory: Memory) -> Iterator[Input]:
    """Yield what tells the rest; links and the like were recalled with their tunnels."""
    if memory.sas is not None:
        yield SaSnapshot(memory.sas)
    for (local, remote), found in memory.underlay.items():
        yield UnderlaySeen(local, remote, found.mtu, found.interface, found.error)
    if memory.vici_error is not None:
        yield ViciLost(memory.vici_error)
    if memory.flushed:
        yield FlushAsked()
    for netns, why in memory.netns_errors.items():
        yield NetnsLost(netns, why)
    for label, mode in memory.modes:
        yield ModeAsked(mode, (label,) if label else ())


def _recall_times(tunnel: Tunnel, facts: Facts) -> None:
    """Take back what the list of SAs has just begun anew."""
    tunnel.last_desired, tunnel.proven, tunnel.silent = (
        facts.last_desired,
        facts.proven,
        facts.silent,
    )
    if not tunnel.sas:
        tunnel.last_sa, tunnel.hold_until = facts.last_sa, facts.hold_until


def _forget_probes(tunnel: Tunnel) -> None:
    """Drop what probes found where the policy has none now."""
    policy = tunnel.policy
    target = target_of(tunnel, policy) if policy and tunnel.sas else None
    if target is None or not target.settings.mtu:
        tunnel.proven = 0
    if target is None or target.settings.on_fail != "down":
        tunnel.silent = ""
