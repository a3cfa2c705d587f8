"""Planner: from what is known of a tunnel to the operations that it needs next. Pure.

    facts ─▶ life ─▶ decide() ─▶ desired ─┐
                                          ├─▶ plan() ─▶ operations
                     observed ────────────┘

Rules of this file:

* Nothing is deleted before configuration, SA snapshot and the namespace's snapshots are in, nor
  while VICI is lost; a tunnel without SA waits for its hold time first. A flush waits for none.
* A tunnel with operations under way is not planned again until each has been answered.
* A tunnel that the operator paused is not planned at all; a flush takes it along.
* What the operator wants adopted is adopted before anything else is done to it, at once.
* After a failure the back-off holds back the same attempt only: once something else is desired, it
  begins at once.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING

from vtid.core.adoption import adoption
from vtid.core.decision import decide, drained
from vtid.core.lifecycle import Facts, Life, Work, life_of, shown
from vtid.core.plan import plan
from vtid.core.repairs import put_back
from vtid.model.link import Desired
from vtid.model.mode import Mode
from vtid.model.operation import AdoptLink, DeleteBird, Op, ProbeUnderlay
from vtid.model.status import TunnelState, carries

if TYPE_CHECKING:
    from vtid.core.adoption import Adoptions
    from vtid.core.assignment import Assignment
    from vtid.core.modes import Modes
    from vtid.core.observed import Observations
    from vtid.core.paths import Paths
    from vtid.core.tunnels import Tunnel, Tunnels


_WHAT = attrgetter(*(one.name for one in fields(Desired) if one.name != "reason"))
"""What is desired, whatever the reason."""

_EVENTS = {
    TunnelState.UP: "tunnel up",
    TunnelState.PENDING: "tunnel pending",
    TunnelState.HOLDING: "tunnel holding",
    TunnelState.DOWN: "tunnel down",
    TunnelState.ERROR: "tunnel error",
}
"""Log event of each new state."""


class Planner:
    """Plans one tunnel at a time."""

    def __init__(
        self,
        tunnels: Tunnels,
        paths: Paths,
        assignment: Assignment,
        observations: Observations,
        *,
        modes: Modes,
        adoptions: Adoptions,
    ) -> None:
        self.flushed = False
        """The operator flushed: nothing is desired until a configuration is loaded."""
        self._tunnels = tunnels
        self._paths = paths
        self._assignment = assignment
        self._observations = observations
        self._modes = modes
        self._adoptions = adoptions

    def preview(self, tunnel: Tunnel, now: float) -> tuple[Op, ...]:
        """Return the operations that a tunnel needs, and begin none."""
        if self._is_paused(tunnel):
            return ()
        return self._ops(tunnel, self._desired(tunnel, self._facts(tunnel, now)), now)

    def begin(self, tunnel: Tunnel, now: float, since: float) -> tuple[Op, ...]:
        """Plan a tunnel; return the operations that begin now, none while others are under way.

        `since` is when the event came that leads to them.
        """
        if tunnel.progress.pending:
            return ()
        if self._tunnels.sas_known:
            self._assignment.restore(tunnel)
        if tunnel.empty and not self._assignment.is_configured(tunnel):
            self._tunnels.done(tunnel, now)
            self._forget(tunnel)
            return ()
        facts = self._facts(tunnel, now)
        if self._is_paused(tunnel):
            tunnel.life = life_of(facts)
            self._adoptions.drop(tunnel)
            self._show(tunnel, facts, now)
            return ()
        ops = self._next(tunnel, facts, now)
        if self._adoptions.wants(tunnel) and not _adopts(ops):
            self._adoptions.drop(tunnel)  # there is nothing to adopt
        if ops and tunnel.since_event is None:
            tunnel.since_event = since
        elif tunnel.since_event is not None and tunnel.progress.settled:
            self._tunnels.done(tunnel, now)
        self._tunnels.wake(tunnel, now)
        self._show(tunnel, facts, now)
        return ops

    def _is_paused(self, tunnel: Tunnel) -> bool:
        return not self.flushed and self._modes.of_tunnel(tunnel) is Mode.PAUSED

    def _forget(self, tunnel: Tunnel) -> None:
        self._adoptions.drop(tunnel)
        self._assignment.forget(tunnel)
        self._tunnels.forget(tunnel)

    def _next(self, tunnel: Tunnel, facts: Facts, now: float) -> tuple[Op, ...]:
        before, desired = tunnel.desired, self._desired(tunnel, facts)
        is_new = desired is not before and _WHAT(before) != _WHAT(desired)
        if is_new or self._adoptions.wants(tunnel):
            tunnel.progress.retry_now()  # the back-off is for the same thing only
        held_back = tunnel.progress.work is Work.BACK_OFF
        if tunnel.progress.waits(now):
            return ()
        if held_back and tunnel.tally:
            tunnel.tally.retries += 1
        tunnel.life, tunnel.desired = life_of(facts), desired
        self._remember(tunnel)
        self._tell_mtu(tunnel, before)
        ops = self._ops(tunnel, tunnel.desired, now)
        if tunnel.progress.settled and tunnel.desired == before and (words := put_back(ops)):
            self._tunnels.note("warning", "foreign change reverted", tunnel.name, words)
        if tunnel.progress.repeats(ops):
            error = f"done, but the kernel does not show it: {ops[0]}"
            if tunnel.progress.no_effect(error, now):
                self._tunnels.failed(tunnel.name, error)
            return ()
        self._start(tunnel, ops, now)
        return ops

    def _tell_mtu(self, tunnel: Tunnel, before: Desired) -> None:
        """Have a changed MTU logged, with what it follows from."""
        old, new = before.link, tunnel.desired.link
        if old and new and old.mtu != new.mtu:
            words = f"{old.mtu} to {new.mtu} bytes: {tunnel.desired.reason}"
            self._tunnels.note("info", "MTU changed", tunnel.name, words)

    def _remember(self, tunnel: Tunnel) -> None:
        """Note what a tunnel should look like, for the time when it has no SA."""
        if tunnel.desired.link and self._observations.knows(tunnel.netns):
            tunnel.last_desired = tunnel.desired
        elif not tunnel.desired.probes:
            tunnel.last_desired = None

    def _start(self, tunnel: Tunnel, ops: tuple[Op, ...], now: float) -> None:
        # a path may change again at once: the same lookup twice is no failure
        lookup_due = tunnel.lookup_due(now)
        tunnel.progress.start(ops, may_repeat=lookup_due)
        if ops:
            self._tunnels.busy.add(tunnel.name)
        known = not tunnel.desired.probes
        if lookup_due and known and (ops or not self._paths.due(tunnel, now)):
            tunnel.lookup_at, tunnel.lookup_all = self._paths.next_due(tunnel, now), False
        if tunnel.life in {Life.WANTED, Life.DECLARED}:
            # of an interface that is merely kept, not everything is ours
            tunnel.our_addresses = tunnel.our_addresses.union(tunnel.desired.addresses)

    def _ops(self, tunnel: Tunnel, desired: Desired, now: float) -> tuple[Op, ...]:
        vici_lost = self._assignment.vici_error is not None and not self.flushed
        if desired.link is None and not desired.probes and vici_lost:
            return ()
        ops: tuple[Op, ...] = ()
        if self._adoptions.wants(tunnel):
            ops = adoption(tunnel, desired)
        ops = ops or plan(
            tunnel.name, desired, tunnel.observed, tunnel.our_addresses, tunnel.routes
        )
        if not self._observations.knows(tunnel.netns):
            return self._without_kernel(tunnel, ops)
        if tunnel.lookup_due(now) and not desired.probes:
            return (*self._lookups(tunnel, now), *ops)
        return ops

    def _lookups(self, tunnel: Tunnel, now: float) -> tuple[Op, ...]:
        """Look up the paths of a tunnel again."""
        reason = "the path to the peer may have changed"
        return tuple(
            ProbeUnderlay(tunnel=tunnel.name, reason=reason, local=path[0], remote=path[1])
            for path in self._paths.due(tunnel, now)
        )

    def _without_kernel(self, tunnel: Tunnel, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """Wait for the namespace; one that left the configuration only leaves BIRD's file."""
        if tunnel.netns in self._assignment.namespaces():
            return ()
        return tuple(op for op in ops if isinstance(op, DeleteBird))

    # --- life -----------------------------------------------------------------------------------

    def _facts(self, tunnel: Tunnel, now: float) -> Facts:
        policy = tunnel.policy
        return Facts(
            flushed=self.flushed,
            has_sa=policy is not None and bool(tunnel.sas),
            declared=self._tunnels.sas_known and tunnel.declared is not None,
            keeps=self._keeps(tunnel),
            holding=self._is_holding(tunnel, now),
        )

    def _keeps(self, tunnel: Tunnel) -> bool:
        """Whether the policy keeps the interface of a tunnel that has no SA."""
        return (
            tunnel.policy is not None
            and tunnel.policy.on_down == "down"
            and (tunnel.observed.link or tunnel.last_desired) is not None
            and self._assignment.vici_error is None
            and self._assignment.is_configured(tunnel)
        )

    def _is_holding(self, tunnel: Tunnel, now: float) -> bool:
        """Whether the hold time has not passed; it stands still while VICI is lost."""
        if tunnel.policy is not None and not self._tunnels.sas_known:
            return True
        if tunnel.hold_until is None:
            return False
        return tunnel.hold_until > now or self._assignment.vici_error is not None

    def _desired(self, tunnel: Tunnel, facts: Facts) -> Desired:
        desired = decide(tunnel, facts, self._paths.known, self._assignment.vici_error)
        if self._modes.of_tunnel(tunnel) is Mode.DRAINED:
            return drained(desired)
        return desired

    def error_of(self, tunnel: Tunnel) -> str:
        """Return why a tunnel cannot be as desired, with the way out; empty if it can."""
        wanted = tunnel.sas or tunnel.observed.link
        return tunnel.progress.error or (
            self._observations.netns_errors.get(tunnel.netns, "") if wanted else ""
        )

    def _show(self, tunnel: Tunnel, facts: Facts, now: float) -> None:
        """Note a new state for operators, and log it with its reason."""
        state = shown(life_of(facts), tunnel.observed.link, self.error_of(tunnel))
        if tunnel.silent and state is TunnelState.PENDING:
            state = TunnelState.DOWN
        self._count(tunnel, state)
        reason_follows = state is TunnelState.UP and tunnel.desired.probes
        if state is tunnel.state or reason_follows:
            return
        self._tunnels.show(tunnel, state, now)
        self._tunnels.note("info", _EVENTS[state], tunnel.name, tunnel.desired.reason)

    def _count(self, tunnel: Tunnel, state: TunnelState) -> None:
        """Count that a tunnel came up or went down, once everything is known."""
        tally, up = tunnel.tally, state is TunnelState.UP
        if state is TunnelState.PENDING:
            up = carries(state, tunnel.observed.link, has_sa=bool(tunnel.sas))
        if tally is None or tally.up is up or not tunnel.label:
            return
        if self._tunnels.sas_known and self._observations.knows(tunnel.netns):
            tally.show(up=up)


def _adopts(ops: tuple[Op, ...]) -> bool:
    """Whether a plan adopts an interface, or asks for the path before it can."""
    return any(isinstance(op, AdoptLink | ProbeUnderlay) for op in ops)
