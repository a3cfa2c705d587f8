"""Probing: which tunnels are probed, when, and what follows for their MTU. Pure.

    planner ─▶ follow ─▶ Dplpmtud ─▶ work ─▶ SendProbe
                            ▲                   │
                            └── ProbeAnswered ◀─┘

Rules of this file:

* A tunnel is probed while it has an SA, its interface is up and nothing is being changed on it, if
  its policy asks for it and the peer's address is known.
* Probes of a tunnel that the operator paused rest, and what was found stays. charon is asked for
  nothing while VICI is lost or after a flush.
* What was proven outlives the SA and a reload, and ends with the path.
* Probes of many tunnels are spread by `jitter`, asked for at multiples of BATCH, and no more than
  AT_ONCE at a time.
* A probe that could not be sent is not answered, and says nothing about the peer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from vtid.core.backoff import back_off
from vtid.core.deadlines import Deadlines
from vtid.core.lifecycle import Life
from vtid.core.pmtud import CONFIRMATION_TIMER, Dplpmtud, Probe
from vtid.core.prober import Prober, Target, bound_of, ceiling_of, target_of
from vtid.esp.mtu import IPV4_TCP_HEADERS
from vtid.model.input import OpFailed, ProbeAnswered
from vtid.model.mode import Mode
from vtid.model.operation import Rekey, SendProbe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vtid.config.keys import Policy
    from vtid.core.modes import Modes
    from vtid.core.tunnels import Tunnel, Tunnels
    from vtid.model.input import OpDone
    from vtid.model.status import ProbeStatus

_Facts: TypeAlias = "tuple[Policy, str, str, bool, tuple[str, ...]]"
"""Policy, outer addresses, encapsulation and virtual IPs of an SA."""

_FROM_POLICY = frozenset({Life.WANTED, Life.DECLARED})
"""Lives in which the interface follows policy and SA."""

BATCH = 0.1
"""Seconds: probes are sent at multiples of it only, those of many tunnels together."""

AT_ONCE = 250
"""Tunnels that are probed in one batch; the others wait for the next."""

SPREAD = 0.1
"""Part of each wait that jitter adds."""

FIRST_RETRY, LAST_RETRY = 60.0, 600.0
"""Seconds between two things done about a silent peer, doubled each time up to the last."""

FIRST_SPREAD = 2.0
"""Seconds over which the first probes of tunnels are spread that came up together."""


class Probing:
    """The probes of all tunnels.

    `jitter` returns numbers from 0 to 1, `may_ask` whether charon may be asked for an SA of the
    tunnel that has a label. `doubt` is told of a tunnel whose probe had no answer, and when.
    """

    def __init__(
        self,
        tunnels: Tunnels,
        modes: Modes,
        jitter: Callable[[], float],
        *,
        may_ask: Callable[[str], bool],
        doubt: Callable[[Tunnel, float], None],
    ) -> None:
        self._tunnels = tunnels
        self._modes = modes
        self._jitter = jitter
        self._may_ask = may_ask
        self._doubt = doubt
        self._probers: dict[str, Prober] = {}
        self._facts: dict[str, _Facts] = {}
        """What the target of each tunnel was made from, also where there is none."""
        self._rekeys: list[Rekey] = []
        self._planned: set[str] = set()
        """Tunnels whose interface was planned by this vtid, not merely kept as it was found."""
        self._deadlines = Deadlines[str]()

    # --- over a restart -----------------------------------------------------------------------

    def adopt(self, tunnel: Tunnel) -> None:
        """Presume that an interface found at start is as small as a vtid before this one proved.

        Else it would get the computed MTU until the search ends, and lose packets meanwhile.
        Of one that is being deleted nothing is presumed: no tunnel has its turn until that is done.
        """
        link, clamp, policy = tunnel.observed.link, tunnel.observed.clamp, tunnel.policy
        unplanned = tunnel.name not in self._planned
        if unplanned and link and policy and policy.probe.mtu and tunnel.sas:
            found = min(link.mtu, clamp.mss4 + IPV4_TCP_HEADERS) if clamp else link.mtu
            tunnel.proven = found if target_of(tunnel, policy) else 0

    # --- who is probed ------------------------------------------------------------------------

    def follow(self, tunnel: Tunnel, now: float) -> None:
        """Take what a tunnel is like after its turn to be planned.

        In a back-off, or while operations are under way, its life may be that of an SA that left.
        """
        if tunnel.life in _FROM_POLICY and tunnel.last_desired is tunnel.desired:
            self._planned.add(tunnel.name)
        if tunnel.name not in self._tunnels.by_name or tunnel.policy is None:
            self._planned.discard(tunnel.name)
            self._forget(tunnel)
        elif tunnel.life is not Life.WANTED or not (tunnel.sas and tunnel.desired.link):
            self._pause(tunnel)
        elif tunnel.progress.pending:
            return
        elif not tunnel.observed.link:
            self._pause(tunnel)
        elif self._modes.of_tunnel(tunnel) is Mode.PAUSED:
            self._rest(tunnel)
        elif prober := self._prober(tunnel, tunnel.policy, now):
            if tunnel.silent:
                self._wait_down(tunnel, prober)
            else:
                self._go_on(tunnel, prober, now)

    def _prober(self, tunnel: Tunnel, policy: Policy, now: float) -> Prober | None:
        """Return the prober of a tunnel, a new one where its target is another one."""
        known, sa = self._probers.get(tunnel.name), tunnel.members.newest
        facts = (policy, sa.local_host, sa.remote_host, sa.encap, sa.remote_vips)
        if self._facts.get(tunnel.name) == facts:
            return known
        target = target_of(tunnel, policy)
        if known is None or target != known.target:
            self._forget(tunnel)
            known = self._begin(tunnel, target, now) if target else None
        self._facts[tunnel.name] = facts
        return known

    def _begin(self, tunnel: Tunnel, target: Target, now: float) -> Prober:
        search = Dplpmtud(
            ceiling_of(tunnel, target),
            now + FIRST_SPREAD * self._jitter(),
            timeout=target.settings.timeout,
            confirm=target.settings.interval or CONFIRMATION_TIMER,
        )
        prober = Prober(target, search, presumed=bool(tunnel.proven))
        self._probers[tunnel.name] = prober
        self._settle(tunnel, prober, now)
        return prober

    def _go_on(self, tunnel: Tunnel, prober: Prober, now: float) -> None:
        ceiling, search = ceiling_of(tunnel, prober.target), prober.search
        if not prober.paused and ceiling == search.ceiling:
            return
        if prober.paused:
            prober.paused = False
            search.resume(now)
        search.set_ceiling(ceiling, now)
        self._settle(tunnel, prober, now)

    def _rest(self, tunnel: Tunnel) -> None:
        """Send nothing; what was found stays."""
        self._deadlines.clear(tunnel.name)
        if prober := self._probers.get(tunnel.name):
            prober.paused = True

    def _pause(self, tunnel: Tunnel) -> None:
        """Send nothing, and say nothing of the peer."""
        self._rest(tunnel)
        tunnel.silent = ""
        if prober := self._probers.get(tunnel.name):
            prober.dead = False

    def _forget(self, tunnel: Tunnel) -> None:
        self._deadlines.clear(tunnel.name)
        self._facts.pop(tunnel.name, None)
        if self._probers.pop(tunnel.name, None) and (tunnel.proven or tunnel.silent):
            tunnel.proven, tunnel.silent = 0, ""
            if tunnel.name in self._tunnels.by_name:
                self._tunnels.changed(tunnel)

    # --- probes and answers -------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when the next probe is due, None for never."""
        return self._deadlines.next()

    def work(self, now: float, since: float | None) -> Iterator[SendProbe | Rekey]:
        """Yield the probes to send now, and what charon is to rekey.

        Of the answers, those are filed that came before `since`; without it, all.
        """
        for number, name in enumerate(self._deadlines.pop_due(now)):
            tunnel, prober = self._tunnels.by_name[name], self._probers[name]
            if number >= AT_ONCE:
                self._deadlines.set(name, now + BATCH * (number // AT_ONCE))
                continue
            if tunnel.silent:
                self._try_again(tunnel)
                continue
            if not (tunnel.sas and tunnel.observed.link):  # operations under way delay `follow`
                self._pause(tunnel)
                continue
            doubted = prober.search.doubted
            probes = prober.search.poll(now, since)
            if prober.search.doubted and not doubted:
                self._doubt(tunnel, now)
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

        rekeys, self._rekeys = self._rekeys, []
        yield from rekeys

    def told(self, event: ProbeAnswered | OpDone | OpFailed, now: float) -> None:
        """File an answer, or whether a probe could be sent."""
        name = event.tunnel if isinstance(event, ProbeAnswered) else event.op.tunnel
        tunnel, prober = self._tunnels.get(name), self._probers.get(name)
        if tunnel is None or prober is None or prober.paused:
            return
        if isinstance(event, ProbeAnswered):
            self._answered(tunnel, prober, event, now)
            return
        error = event.error if isinstance(event, OpFailed) else ""
        if isinstance(event.op, Rekey):
            if error:
                self._tunnels.failed(name, error)
            return
        if error != prober.error:
            if error:
                self._tunnels.note("warning", "probe failed", name, error)
            prober.sending(error)

    def _answered(self, tunnel: Tunnel, prober: Prober, event: ProbeAnswered, now: float) -> None:
        prober.answered += 1
        prober.rtt, prober.answered_at, prober.tries = event.rtt, now, 0
        prober.search.answered(Probe(event.round, event.size), now)
        self._settle(tunnel, prober, now)

    def _settle(self, tunnel: Tunnel, prober: Prober, now: float) -> None:
        """Set the next deadline, and take over what the search found."""
        search = prober.search
        wait = max(0.0, search.next_at - now) * (1.0 + SPREAD * self._jitter())
        self._deadlines.set(tunnel.name, math.ceil((now + wait) / BATCH) * BATCH)
        proven = bound_of(tunnel, prober)
        if proven != tunnel.proven:
            self._tell_mtu(tunnel, prober, proven)
            tunnel.proven = proven
            self._tunnels.changed(tunnel)
        if tunnel.sas and prober.target.settings.interval is not None:
            self._judge(tunnel, prober, now)

    def _judge(self, tunnel: Tunnel, prober: Prober, now: float) -> None:
        """Note whether the peer is silent, and what follows from it."""
        silent = prober.silent_now
        dead = silent or (prober.dead and not prober.answered_since)
        if dead != prober.dead:
            prober.dead, prober.dead_at = dead, now
            self._tell_liveness(tunnel, prober)
        on_fail = prober.target.settings.on_fail if silent else "report"
        if on_fail == "down":
            self._take_down(tunnel, prober, now)
        elif on_fail == "reinitiate" and now >= prober.retry_at and self._may_rekey(tunnel):
            self._rekey(tunnel, prober, now)

    def _may_rekey(self, tunnel: Tunnel) -> bool:
        return self._may_ask(tunnel.label or tunnel.name)

    # --- on_fail --------------------------------------------------------------------------------

    def _rekey(self, tunnel: Tunnel, prober: Prober, now: float) -> None:
        """Have charon asked for a new SA; where the peer has no IKE_SA either, ours ends of it."""
        prober.retry_at = now + back_off(FIRST_RETRY, LAST_RETRY, prober.tries)
        prober.tries += 1
        reason = f"{prober.target.peer} has not answered {prober.target.settings.count} probes"
        unique_id = tunnel.members.newest.unique_id
        self._rekeys.append(Rekey(tunnel=tunnel.name, reason=reason, unique_id=unique_id))

    def _take_down(self, tunnel: Tunnel, prober: Prober, now: float) -> None:
        """Have the interface set down; nothing can be probed then, so it is set up now and then."""
        peer, count = prober.target.peer, prober.target.settings.count
        tunnel.silent = f"set down: {count} probes in a row to {peer} had no answer"
        prober.retry_at = now + back_off(FIRST_RETRY, LAST_RETRY, prober.tries)
        prober.tries += 1
        prober.down_sa = tunnel.members.newest.unique_id
        self._wait_down(tunnel, prober)
        self._tunnels.changed(tunnel)

    def _wait_down(self, tunnel: Tunnel, prober: Prober) -> None:
        prober.paused = True
        self._deadlines.set(tunnel.name, prober.retry_at)
        if tunnel.members.newest.unique_id != prober.down_sa:
            self._try_again(tunnel)

    def _try_again(self, tunnel: Tunnel) -> None:
        tunnel.silent = ""
        self._tunnels.changed(tunnel)

    # --- the log --------------------------------------------------------------------------------

    def _tell_liveness(self, tunnel: Tunnel, prober: Prober) -> None:
        peer, count = prober.target.peer, prober.target.settings.count
        if prober.dead:
            words = f"{count} probes in a row to {peer} had no answer, and the SA is up"
            self._tunnels.note("warning", "peer silent", tunnel.name, words)
        else:
            self._tunnels.note("info", "peer answers again", tunnel.name, peer)

    def _tell_mtu(self, tunnel: Tunnel, prober: Prober, proven: int) -> None:
        ceiling = prober.search.ceiling
        words = f"packets of up to {proven or ceiling} bytes pass"
        words += f", and larger ones up to {ceiling} do not" if proven else ", as computed"
        level = "info" if proven > tunnel.proven > 0 or not proven else "warning"
        self._tunnels.note(level, "path MTU changed", tunnel.name, words)

    def unanswered(self, tunnel: Tunnel) -> bool:
        """Whether the last rounds of probes had no answer, where an answer would be news."""
        prober = self._probers.get(tunnel.name)
        return prober is not None and prober.unanswered

    def status(self, tunnel: Tunnel, clock_offset: float) -> ProbeStatus | None:
        """Return the probes of a tunnel for operators, None where it is not probed."""
        prober = self._probers.get(tunnel.name)
        return prober.status(clock_offset) if prober else None
