"""Transitions: when a tunnel comes up, changes or goes down, for who is told of it. Pure.

Rules of this file:

* A tunnel is up while it is `up` for operators: it has an SA, and everything is as desired. While
  operations are under way nothing is told; the state that they lead to is.
* A rekey is no transition. What counts is what programs beside vtid configure from: interface,
  addresses, MTU, MSS, and the two ends.
* What was told of a tunnel is told again when it goes: then nothing else is known of it.
* The strings of an SA are a peer's words.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

from vtid.config.types import ANY_REMOTE
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.core.tunnels import Tunnel


class Turn(StrEnum):
    """What happened to a tunnel."""

    UP = "up"
    DOWN = "down"
    CHANGE = "change"
    """It is up, as before, with other facts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of a tunnel that is up."""

    tunnel: str
    """Its label, as in `vtictl`."""
    interface: str
    netns: str
    """Empty for vtid's own."""
    ifindex: int
    connection: str
    child: str
    local: str
    """Our outer address; empty for an interface that many peers share, like the next two."""
    peer: str
    peer_id: str
    addresses: tuple[str, ...]
    """Those of the interface, in order."""
    mtu: int
    """Bytes."""
    mss4: int
    """Bytes, for TCP over IPv4 and, below, over IPv6; 0 where nothing is clamped."""
    mss6: int


@dataclass(frozen=True, slots=True)
class Transition:
    """One transition of one tunnel."""

    turn: Turn
    name: str
    """The tunnel's name in vtid, which no other has: its interface with its namespace."""
    facts: Facts
    state: TunnelState
    reason: str
    changed: tuple[str, ...] = ()
    """Facts that differ from those that were told before."""
    initial: bool = False
    """It was found like that when vtid began to tell."""


class Transitions:
    """What was told of each tunnel that is up, and what is to be told."""

    def __init__(self) -> None:
        self.on = False
        """Whether anybody is told; while nobody is, nothing is kept."""
        self._told: dict[str, Facts] = {}
        self._next: list[Transition] = []
        self._found: set[str] = set()
        """Tunnels that were up when telling began."""

    def use(self, tunnels: Iterable[Tunnel], *, on: bool) -> bool:
        """Begin or end telling; return whether every tunnel is to be looked at now."""
        begins = on and not self.on
        self.on = on
        if begins:
            self._found = {one.name for one in tunnels if one.state is TunnelState.UP}
        if not on:
            self._told.clear()
            self._next.clear()
        return begins

    def take(self) -> list[Transition]:
        """Return what has not been told yet."""
        found, self._next = self._next, []
        return found

    def look(self, tunnel: Tunnel, *, there: bool) -> None:
        """Look at a tunnel that was just planned; `there` says whether vtid still has it."""
        if there and tunnel.state is TunnelState.PENDING:
            return
        if there and tunnel.state is TunnelState.UP and not tunnel.progress.settled:
            return  # it carries traffic while it is changed in place
        if there and tunnel.state is TunnelState.UP and tunnel.label:
            self._is_up(tunnel)
        elif facts := self._told.pop(tunnel.name, None):
            state = tunnel.state if there else TunnelState.DOWN
            reason = tunnel.desired.reason
            self._found.discard(tunnel.name)
            self._next.append(Transition(Turn.DOWN, tunnel.name, facts, state, reason))

    def _is_up(self, tunnel: Tunnel) -> None:
        facts, before = _facts(tunnel), self._told.get(tunnel.name)
        if facts == before:
            return
        self._told[tunnel.name] = facts
        reason = tunnel.desired.reason
        if before:
            turn, changed, initial = Turn.CHANGE, _changed(before, facts), False
        else:
            turn, changed, initial = Turn.UP, (), self._was_found(tunnel)
        told = Transition(turn, tunnel.name, facts, tunnel.state, reason, changed, initial)
        self._next.append(told)

    def _was_found(self, tunnel: Tunnel) -> bool:
        """Whether a tunnel was up before anything of it could be told."""
        was_up_before_vtid = tunnel.tally is not None and not tunnel.tally.ups
        return was_up_before_vtid or tunnel.name in self._found


def _facts(tunnel: Tunnel) -> Facts:
    sa, link, clamp = tunnel.last_sa, tunnel.observed.link, tunnel.observed.clamp
    shared = tunnel.policy is not None and tunnel.policy.remote == ANY_REMOTE
    of_one = None if shared else sa
    return Facts(
        tunnel=tunnel.label,
        interface=tunnel.interface,
        netns=tunnel.netns,
        ifindex=tunnel.observed.ifindex,
        connection=sa.connection if sa else "",
        child=sa.child if sa else "",
        local=of_one.local_host if of_one else "",
        peer=of_one.remote_host if of_one else "",
        peer_id=of_one.remote_id if of_one else "",
        addresses=tuple(sorted(tunnel.observed.addresses)),
        mtu=link.mtu if link else 0,
        mss4=clamp.mss4 if clamp else 0,
        mss6=clamp.mss6 if clamp else 0,
    )


def _changed(before: Facts, after: Facts) -> tuple[str, ...]:
    names = (one.name for one in fields(Facts))
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))
