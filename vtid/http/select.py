"""Select: which tunnels `vtictl tunnels` asked for, each with its link counters. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from vtid.model.counts import LinkCounters
from vtid.model.status import TunnelStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class TunnelRow(TunnelStatus):
    """The status of a tunnel with what went through it."""

    counters: LinkCounters | None = None
    """Since vtid started; None until its interface was read for the first time."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a tunnel must be to be listed; an empty field takes all."""

    states: frozenset[str] = frozenset()
    peer: str = ""
    """Address or identity of the peer; may have wildcards (`*`, `?`, `[…]`)."""
    policy: str = ""
    """Connection, or `CONNECTION/CHILD`, as the policy has it; may have wildcards."""

    def takes(self, tunnel: TunnelStatus) -> bool:
        """Whether a tunnel is listed."""
        return (
            (not self.states or tunnel.state in self.states)
            and _fits(self.peer, _peers(tunnel))
            and _fits(self.policy, (tunnel.policy, tunnel.policy.partition("/")[0]))
        )


def select(tunnels: Iterable[TunnelStatus], wanted: Filter) -> tuple[TunnelRow, ...]:
    """Return the tunnels that are wanted."""
    return tuple(_row(one) for one in tunnels if wanted.takes(one))


def _row(one: TunnelStatus) -> TunnelRow:
    facts = {member.name: getattr(one, member.name) for member in fields(one)}
    return TunnelRow(**facts, counters=one.counts.traffic)


def _fits(pattern: str, words: Iterable[str]) -> bool:
    return not pattern or any(word == pattern or fnmatchcase(word, pattern) for word in words)


def _peers(tunnel: TunnelStatus) -> Iterator[str]:
    for sa in tunnel.sas:
        yield sa.remote_host
        yield sa.remote_id
    if tunnel.link:
        yield tunnel.link.remote
