"""Probing: which tunnels are probed, when, and what follows for their MTU. Pure.

    planner ─▶ follow ─▶ Dplpmtud ─▶ work ─▶ SendProbe
                            ▲                   │
                            └── ProbeAnswered ◀─┘

Rules of this file:

* A tunnel is probed while it has an SA, its interface is up and nothing is being changed on it, if
  its policy asks for it and the peer's address is known.
* What was proven belongs to one path: the outer addresses, the encapsulation and the peer. It
  outlives the SA and a reload, and ends with the path.
* Probes of many tunnels are spread by `jitter`, asked for at multiples of BATCH, and no more than
  AT_ONCE at a time.
* A probe that could not be sent is one that is not answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from vtid.core.deadlines import Deadlines
from vtid.core.desired import with_addresses
from vtid.core.lifecycle import Life
from vtid.core.members import path_of
from vtid.core.peer import probe_peer
from vtid.core.pmtud import CONFIRMATION_TIMER, SMALLEST, Dplpmtud, Probe
from vtid.esp.mtu import IPV4_TCP_HEADERS
from vtid.model.input import OpFailed, ProbeAnswered
from vtid.model.operation import SendProbe
from vtid.model.status import ProbeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vtid.config.keys import Policy
    from vtid.config.probe import Probe as Settings
    from vtid.core.tunnels import Tunnel, Tunnels
    from vtid.core.underlay import Path
    from vtid.model.input import OpDone

_Facts: TypeAlias = "tuple[Policy, str, str, bool, tuple[str, ...]]"
"""Policy, outer addresses, encapsulation and virtual IPs of an SA."""

BATCH = 0.1
"""Seconds: probes are sent at multiples of it only, those of many tunnels together."""

AT_ONCE = 250
"""Tunnels that are probed in one batch; the others wait for the next."""

SPREAD = 0.1
"""Part of each wait that jitter adds."""

FIRST_SPREAD = 2.0
"""Seconds over which the first probes of tunnels are spread that came up together."""


@dataclass(frozen=True, slots=True)
class _Target:
    """What is probed, and how: another target is another path, of which nothing is known."""

    peer: str
    path: Path
    encap: bool
    settings: Settings


@dataclass(slots=True)
class _Prober:
    """The probes of one tunnel; times are on the state's clock, in seconds."""

    target: _Target
    search: Dplpmtud
    paused: bool = False
    dead: bool = False
    presumed: bool = False
    """The bound is that of a vtid before this one, until the search has an answer to it."""
    sent: int = 0
    answered: int = 0
    rtt: float = 0.0
    answered_at: float = 0.0
    error: str = ""


class Probing:
    """The probes of all tunnels. `jitter` returns numbers from 0 to 1."""

    def __init__(self, tunnels: Tunnels, jitter: Callable[[], float]) -> None:
        self._tunnels = tunnels
        self._jitter = jitter
        self._probers: dict[str, _Prober] = {}
        self._facts: dict[str, _Facts] = {}
        """What the target of each tunnel was made from, also where there is none."""
        self._deadlines = Deadlines[str]()

    # --- over a restart -----------------------------------------------------------------------

    def adopt(self, tunnel: Tunnel) -> None:
        """Presume that an interface found at start is as small as a vtid before this one proved.

        Else it would get the computed MTU until the search ends, and lose packets meanwhile.
        """
        link, clamp, policy = tunnel.observed.link, tunnel.observed.clamp, tunnel.policy
        unplanned = tunnel.last_desired is None and tunnel.name not in self._probers
        if unplanned and link and policy and policy.probe.mtu and tunnel.sas:
            found = min(link.mtu, clamp.mss4 + IPV4_TCP_HEADERS) if clamp else link.mtu
            tunnel.proven = found if _target(tunnel, policy) else 0

    # --- who is probed ------------------------------------------------------------------------

    def follow(self, tunnel: Tunnel, now: float) -> None:
        """Take what a tunnel is like after it was planned."""
        if tunnel.progress.pending:
            return
        if tunnel.name not in self._tunnels.by_name or tunnel.policy is None:
            self._forget(tunnel)
        elif tunnel.life is not Life.WANTED or not tunnel.observed.link or not tunnel.desired.link:
            self._pause(tunnel)
        elif prober := self._prober(tunnel, tunnel.policy, now):
            self._go_on(tunnel, prober, now)

    def _prober(self, tunnel: Tunnel, policy: Policy, now: float) -> _Prober | None:
        """Return the prober of a tunnel, a new one where its target is another one."""
        known, sa = self._probers.get(tunnel.name), tunnel.members.newest
        facts = (policy, sa.local_host, sa.remote_host, sa.encap, sa.remote_vips)
        if self._facts.get(tunnel.name) == facts:
            return known
        target = _target(tunnel, policy)
        if known is None or target != known.target:
            self._forget(tunnel)
            known = self._begin(tunnel, target, now) if target else None
        self._facts[tunnel.name] = facts
        return known

    def _begin(self, tunnel: Tunnel, target: _Target, now: float) -> _Prober:
        search = Dplpmtud(
            _ceiling(tunnel, target),
            now + FIRST_SPREAD * self._jitter(),
            timeout=target.settings.timeout,
            confirm=target.settings.interval or CONFIRMATION_TIMER,
        )
        prober = _Prober(target, search, presumed=bool(tunnel.proven))
        self._probers[tunnel.name] = prober
        self._settle(tunnel, prober, now)
        return prober

    def _go_on(self, tunnel: Tunnel, prober: _Prober, now: float) -> None:
        ceiling, search = _ceiling(tunnel, prober.target), prober.search
        if not prober.paused and ceiling == search.ceiling:
            return
        if prober.paused:
            prober.paused = False
            search.resume(now)
        search.set_ceiling(ceiling, now)
        self._settle(tunnel, prober, now)

    def _pause(self, tunnel: Tunnel) -> None:
        self._deadlines.clear(tunnel.name)
        if prober := self._probers.get(tunnel.name):
            prober.paused, prober.dead = True, False

    def _forget(self, tunnel: Tunnel) -> None:
        self._deadlines.clear(tunnel.name)
        self._facts.pop(tunnel.name, None)
        if self._probers.pop(tunnel.name, None) and tunnel.proven:
            tunnel.proven = 0
            if tunnel.name in self._tunnels.by_name:
                self._tunnels.changed(tunnel)

    # --- probes and answers -------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when the next probe is due, None for never."""
        return self._deadlines.next()

    def work(self, now: float) -> Iterator[SendProbe]:
        """Yield the probes to send now."""
        for number, name in enumerate(self._deadlines.pop_due(now)):
            tunnel, prober = self._tunnels.by_name[name], self._probers[name]
            if number >= AT_ONCE:
                self._deadlines.set(name, now + BATCH * (number // AT_ONCE))
                continue
            probes = prober.search.poll(now)
            self._settle(tunnel, prober, now)
            if probes:
                prober.sent += len(probes)
                yield SendProbe(
                    tunnel=name,
                    reason=f"find out what passes to {prober.target.peer}",
                    netns=tunnel.netns,
                    ifindex=tunnel.observed.ifindex,
                    peer=prober.target.peer,
                    round=probes[0].round,
                    sizes=tuple(probe.size for probe in probes),
                )

    def told(self, event: ProbeAnswered | OpDone | OpFailed, now: float) -> None:
        """File an answer, or that a probe could not be sent; that it was sent is no news."""
        if isinstance(event, ProbeAnswered):
            self._answered(event, now)
        elif isinstance(event, OpFailed):
            self._failed(event)

    def _answered(self, event: ProbeAnswered, now: float) -> None:
        tunnel, prober = self._tunnels.get(event.tunnel), self._probers.get(event.tunnel)
        if tunnel is None or prober is None or prober.paused:
            return
        prober.answered += 1
        prober.rtt, prober.answered_at, prober.error = event.rtt, now, ""
        prober.search.answered(Probe(event.round, event.size), now)
        self._settle(tunnel, prober, now)

    def _failed(self, event: OpFailed) -> None:
        if (prober := self._probers.get(event.op.tunnel)) and prober.error != event.error:
            prober.error = event.error
            self._tunnels.note("warning", "probe failed", event.op.tunnel, event.error)

    def _settle(self, tunnel: Tunnel, prober: _Prober, now: float) -> None:
        """Set the next deadline, and take over what the search found."""
        search, settings = prober.search, prober.target.settings
        wait = max(0.0, search.next_at - now) * (1.0 + SPREAD * self._jitter())
        self._deadlines.set(tunnel.name, math.ceil((now + wait) / BATCH) * BATCH)
        proven = _bound(tunnel, prober)
        if proven != tunnel.proven:
            self._tell_mtu(tunnel, prober, proven)
            tunnel.proven = proven
            self._tunnels.changed(tunnel)
        dead = settings.interval is not None and search.silences >= settings.count
        if dead != prober.dead:
            prober.dead = dead
            self._tell_liveness(tunnel, prober)

    def _tell_liveness(self, tunnel: Tunnel, prober: _Prober) -> None:
        peer, count = prober.target.peer, prober.target.settings.count
        if prober.dead:
            words = f"{count} probes in a row to {peer} had no answer, and the SA is up"
            self._tunnels.note("warning", "peer silent", tunnel.name, words)
        else:
            self._tunnels.note("info", "peer answers again", tunnel.name, peer)

    def _tell_mtu(self, tunnel: Tunnel, prober: _Prober, proven: int) -> None:
        ceiling = prober.search.ceiling
        words = f"packets of up to {proven or ceiling} bytes pass"
        words += f", and larger ones up to {ceiling} do not" if proven else ", as computed"
        level = "info" if proven > tunnel.proven > 0 or not proven else "warning"
        self._tunnels.note(level, "path MTU changed", tunnel.name, words)

    def status(self, tunnel: Tunnel, clock_offset: float) -> ProbeStatus | None:
        """Return the probes of a tunnel for operators, None where it is not probed.

        `clock_offset` is Unix time minus the state's clock, in seconds.
        """
        prober = self._probers.get(tunnel.name)
        if prober is None:
            return None
        search, settings = prober.search, prober.target.settings
        return ProbeStatus(
            peer=prober.target.peer,
            search=search.state if settings.mtu else "",
            computed_mtu=search.ceiling if settings.mtu else 0,
            proven_mtu=(search.proven or 0) if settings.mtu else 0,
            alive=None if settings.interval is None or prober.paused else not prober.dead,
            sent=prober.sent,
            answered=prober.answered,
            rtt=prober.rtt,
            answered_at=prober.answered_at + clock_offset if prober.answered else 0.0,
            error=prober.error,
        )


def _target(tunnel: Tunnel, policy: Policy) -> _Target | None:
    """Return what is to be probed of a tunnel, None for nothing."""
    settings, sa = policy.probe, tunnel.members.newest
    if not settings.mtu and settings.interval is None:
        return None
    peer = probe_peer(with_addresses(policy, sa), sa)
    return _Target(peer, path_of(sa), sa.encap, settings) if peer else None


def _bound(tunnel: Tunnel, prober: _Prober) -> int:
    """Return the largest packet that passes, 0 where no bound is known."""
    search = prober.search
    if prober.presumed and search.undecided:
        return tunnel.proven
    prober.presumed = False
    return search.proven if search.limited and search.proven else 0


def _ceiling(tunnel: Tunnel, target: _Target) -> int:
    """Return the largest size to probe; without a search for the MTU, that is a small one."""
    return tunnel.desired.computed_mtu if target.settings.mtu else SMALLEST
