"""Prober: what is known of the probes through one tunnel. Pure.

Rules of this file:

* What was proven belongs to one `Target`. Another target is another path.
* The bound of a vtid before this one counts until probes that were sent say more.
* A peer is silent after `count` rounds without answer, until it answers. Where probes cannot be
  sent, nothing is said about it, and such rounds count for nothing afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.core.desired import with_addresses
from vtid.core.members import path_of
from vtid.core.peer import probe_peer
from vtid.core.pmtud import SMALLEST, Dplpmtud
from vtid.model.status import ProbeStatus

if TYPE_CHECKING:
    from vtid.config.keys import Policy
    from vtid.config.probe import Probe as Settings
    from vtid.core.tunnels import Tunnel
    from vtid.core.underlay import Path


@dataclass(frozen=True, slots=True)
class Target:
    """What is probed, and how: another target is another path, of which nothing is known."""

    peer: str
    path: Path
    encap: bool
    settings: Settings


@dataclass(slots=True)
class Prober:
    """The probes of one tunnel; times are on the state's clock, in seconds."""

    target: Target
    search: Dplpmtud
    paused: bool = False
    dead: bool = False
    """The peer is silent."""
    dead_at: float = 0.0
    tries: int = 0
    """Times in a row that something was done about it."""
    retry_at: float = 0.0
    """When the interface is set up again to see whether the peer answers, or rekeyed again."""
    down_sa: int = 0
    """Unique ID of the SA that it was set down under."""
    presumed: bool = False
    """The bound is that of a vtid before this one, until the search has an answer to it."""
    sent: int = 0
    answered: int = 0
    rtt: float = 0.0
    answered_at: float = 0.0
    error: str = ""

    @property
    def silent_now(self) -> bool:
        """Whether so many rounds in a row had no answer that the peer counts as silent."""
        return not self.error and self.search.silences >= self.target.settings.count

    @property
    def unanswered(self) -> bool:
        """Whether a peer that has answered before left so many rounds in a row unanswered.

        Of one that never did, only the operator knows whether it should: then he set `interval`.
        """
        expected = self.answered > 0 or self.target.settings.interval is not None
        silent = self.search.silences >= self.target.settings.count
        return self.dead or (expected and silent and not self.error)

    @property
    def answered_since(self) -> bool:
        """Whether there was an answer after the peer was found silent."""
        return self.answered_at > self.dead_at

    def sending(self, error: str) -> None:
        """Note why probes cannot be sent; empty where they can: then the silences begin anew."""
        if self.error and not error:
            self.search.silences = 0
        self.error = error

    def status(self, clock_offset: float) -> ProbeStatus:
        """Return the probes for operators.

        `clock_offset` is Unix time minus the state's clock, in seconds.
        """
        search, settings = self.search, self.target.settings
        watched = settings.interval is not None and (self.dead or not self.paused)
        return ProbeStatus(
            peer=self.target.peer,
            search=search.state if settings.mtu else "",
            computed_mtu=search.ceiling if settings.mtu else 0,
            proven_mtu=(search.proven or 0) if settings.mtu else 0,
            alive=not self.dead if watched else None,
            sent=self.sent,
            answered=self.answered,
            rtt=self.rtt,
            answered_at=self.answered_at + clock_offset if self.answered else 0.0,
            error=self.error,
        )


def target_of(tunnel: Tunnel, policy: Policy) -> Target | None:
    """Return what is to be probed of a tunnel, None for nothing."""
    settings, sa = policy.probe, tunnel.members.newest
    if not settings.mtu and settings.interval is None:
        return None
    peer = probe_peer(with_addresses(policy, sa), sa)
    return Target(peer, path_of(sa), sa.encap, settings) if peer else None


def bound_of(tunnel: Tunnel, prober: Prober) -> int:
    """Return the largest packet that passes, 0 where no bound is known."""
    search = prober.search
    if prober.presumed and (search.undecided or prober.error):
        return tunnel.proven
    prober.presumed = False
    return search.proven if search.limited and search.proven else 0


def ceiling_of(tunnel: Tunnel, target: Target) -> int:
    """Return the largest size to probe; without a search for the MTU, that is a small one."""
    return tunnel.desired.computed_mtu if target.settings.mtu else SMALLEST
