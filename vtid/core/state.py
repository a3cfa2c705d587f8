"""State: the one small picture of what should be and what is, and what has to be done about it.

Theory of operation: `apply(input, now)` files an input and marks the tunnels it touches as dirty.
`work(now)` takes the dirty ones (with those whose deadline has come) and answers with the
operations they need; such a tunnel is busy until each of its operations has been answered with
`OpDone` or `OpFailed`, and is looked at again then. `preview(now)` is the same for all tunnels,
and changes nothing.

    apply ─▶ claims    which SA belongs to which tunnel     ─┐
             seen      what kernel, nftables and BIRD have   ├─▶ tunnels ─▶ work ─▶ operations
             paths     the way to each peer                 ─┘

Rules of this file:

* Pure: no clock, no I/O; inputs in, operations out. Only the daemon's loop calls it.
* Nothing is deleted before configuration, SA snapshot and the namespace's snapshots are in, nor
  while VICI is lost; a tunnel without SA waits for its hold time first.
* `now` is a monotonic clock in seconds.
* The cost of an input depends on the tunnels that it touches, not on how many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.config.keys import ConfigLoaded
from vtid.core.assignment import Assignment
from vtid.core.decision import decide
from vtid.core.initiate import Initiations
from vtid.core.lifecycle import Facts, Life, life_of, shown
from vtid.core.observed import Observations
from vtid.core.paths import Paths
from vtid.core.plan import plan
from vtid.core.repairs import put_back
from vtid.core.sas import SaInput
from vtid.core.tunnels import Tunnels
from vtid.model.input import (
    AddressGone,
    AddressSeen,
    BirdGone,
    BirdSnapshot,
    BirdState,
    ClampSnapshot,
    FlushAsked,
    FullPassDue,
    Input,
    LinkGone,
    LinkSeen,
    LinkSnapshot,
    NetnsLost,
    OpDone,
    OpFailed,
    RoutesSeen,
    SaSnapshot,
    UnderlayChanged,
    UnderlaySeen,
    ViciLost,
)
from vtid.model.operation import DeleteBird, Initiate, Op, ProbeUnderlay
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.core.desired import Path, Underlay
    from vtid.core.tunnels import Note, Tunnel
    from vtid.model.link import Desired
    from vtid.model.status import Initiation


PASS_LIMIT = 500
"""Tunnels looked at in one pass, so that inputs get their turn."""


class State:
    """All tunnels of one daemon. See the module for the rules.

    `jitter` gives numbers from 0 to 1 that spread what many tunnels would do at once.
    """

    def __init__(self, jitter: Callable[[], float] = lambda: 0.5) -> None:
        self.birds: dict[str, BirdState] = {}
        self._tunnels = Tunnels()
        self._paths = Paths(self._tunnels)
        self._assignment = Assignment(self._tunnels, self._paths)
        self._observations = Observations(self._tunnels)
        self._initiations = Initiations(self._assignment.sas, jitter)
        self._flushing = False

    # --- what is known ------------------------------------------------------------------------

    @property
    def tunnels(self) -> dict[str, Tunnel]:
        """All tunnels by name."""
        return self._tunnels.by_name

    @property
    def vici_error(self) -> str | None:
        """Why the SAs are not known to be current, None where they are."""
        return self._assignment.vici_error

    @property
    def problems(self) -> dict[int, str]:
        """SAs that no tunnel could be made for, by unique ID: one clear line each."""
        return self._assignment.problems

    @property
    def netns_errors(self) -> dict[str, str]:
        """Why a namespace is not known."""
        return self._observations.netns_errors

    @property
    def underlay(self) -> dict[Path, Underlay]:
        """What is known of the way to each peer."""
        return self._paths.known

    @property
    def settled(self) -> bool:
        """Whether configuration and SAs are known, and each namespace is or cannot be."""
        return self.vici_error is None and all(
            self._observations.knows(netns) or netns in self.netns_errors
            for netns in self.namespaces()
        )

    def namespaces(self) -> set[str]:
        """Namespaces that the configuration names, and vtid's own."""
        return self._assignment.namespaces()

    def initiations(self, clock_offset: float) -> tuple[Initiation, ...]:
        """CHILD_SAs that charon is to initiate; `clock_offset` makes Unix times of the state's."""
        return self._initiations.status(clock_offset)

    def take_notes(self) -> list[Note]:
        """Give what is worth a line in the log and has not been given yet."""
        return self._tunnels.take_notes()

    # --- inputs -------------------------------------------------------------------------------

    def apply(self, event: Input, now: float) -> None:  # noqa: C901, PLR0912 - a table
        """File one input. Inputs that speak of what is not known change nothing."""
        match event:
            case ViciLost():
                self._assignment.vici_error = event.reason
            case LinkSeen():
                self._observations.link(event)
            case LinkGone():
                self._observations.link_gone(event)
            case AddressSeen() | AddressGone():
                self._observations.address(event)
            case RoutesSeen():
                self._observations.routes(event)
            case LinkSnapshot():
                self._observations.links(event, now)
            case NetnsLost():
                self._observations.netns_lost(event)
            case ClampSnapshot():
                self._observations.clamps(event, now)
            case BirdSnapshot():
                self._observations.bird_file(event, now)
            case BirdState():
                self.birds[event.instance] = event
            case BirdGone():
                self.birds.pop(event.instance, None)
                self._observations.bird_file(BirdSnapshot(event.instance, ()), now)
            case UnderlaySeen():
                self._paths.seen(event, now)
            case UnderlayChanged():
                self._paths.look_up_all(now)
            case OpDone(op=Initiate() as op) | OpFailed(op=Initiate() as op):
                self._initiate_answered(op, event, now)
            case OpDone():
                self._op_done(event)
            case OpFailed():
                self._op_failed(event, now)
            case FullPassDue():
                self._look_at_all()
            case FlushAsked():
                self._flushing = True
                self._look_at_all()
            case ConfigLoaded():
                self._flushing = False
                self._assignment.use(event.config, now)
                self._initiations.use(event.config)
                self._look_for_missing(now)
            case _ if isinstance(event, SaInput):
                self._sas_changed(event, now)

    def _sas_changed(self, event: SaInput, now: float) -> None:
        changes = self._assignment.file(event, now)
        children = ((sa.connection, sa.child) for sa in (*changes.joined, *changes.left))
        self._initiations.look_at(children, now)
        if isinstance(event, SaSnapshot):
            self._look_for_missing(now)

    def _look_for_missing(self, now: float) -> None:
        if self._tunnels.sas_known:
            self._initiations.look_at_all(now)

    def _initiate_answered(self, op: Initiate, event: OpDone | OpFailed, now: float) -> None:
        if news := self._initiations.answered(op, event, now):
            self._tunnels.note("error", "operation failed", op.tunnel, news)

    def _look_at_all(self) -> None:
        for tunnel in self._tunnels:
            self._tunnels.revisit(tunnel)

    def _op_done(self, event: OpDone) -> None:
        if tunnel := self._tunnels.get(event.op.tunnel):
            self._observations.done(tunnel, event.op)
            self._answered(tunnel)

    def _op_failed(self, event: OpFailed, now: float) -> None:
        tunnel = self._tunnels.get(event.op.tunnel)
        if tunnel is None:
            return
        if tunnel.progress.failed(event.error, now):
            self._tunnels.note("error", "operation failed", tunnel.name, event.error)
        self._answered(tunnel)

    def _answered(self, tunnel: Tunnel) -> None:
        if tunnel.progress.answered():
            self._tunnels.revisit(tunnel)

    # --- what is asked for --------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `work` has something to do without any input, None for never."""
        deadlines = (self._tunnels.next_deadline(), self._initiations.next_deadline())
        return min((when for when in deadlines if when is not None), default=None)

    def has_work(self) -> bool:
        """Whether tunnels are dirty."""
        return self._tunnels.dirty

    def is_busy(self) -> bool:
        """Whether tunnels are dirty or have operations under way."""
        return self.has_work() or any(tunnel.progress.pending for tunnel in self.tunnels.values())

    def work(self, now: float, limit: int = PASS_LIMIT) -> tuple[Op, ...]:
        """Operations for up to `limit` dirty tunnels, which are busy from now on."""
        ops: list[Op] = []
        for tunnel in self._tunnels.take_dirty(now, limit):
            ops.extend(self._work_on(tunnel, now))
        may_ask = self.vici_error is None and not self._flushing
        ops.extend(self._initiations.work(now, may_ask=may_ask))
        return tuple(ops)

    def preview(self, now: float) -> tuple[Op, ...]:
        """Operations that a full pass would start now, without starting it."""
        ops: list[Op] = []
        for tunnel in self._tunnels:
            ops.extend(self._ops(tunnel, self._desired(tunnel, self._facts(tunnel, now)), now))
        return tuple(ops)

    # --- work ---------------------------------------------------------------------------------

    def _work_on(self, tunnel: Tunnel, now: float) -> tuple[Op, ...]:
        """Plan a tunnel and return the operations that begin now."""
        if tunnel.progress.pending:
            return ()
        if tunnel.empty and not self._assignment.is_configured(tunnel):
            self._forget(tunnel)
            return ()
        ops = () if tunnel.progress.waits(now) else self._begin(tunnel, now)
        self._tunnels.wake(tunnel, now)
        self._show(tunnel, now)
        return ops

    def _forget(self, tunnel: Tunnel) -> None:
        self._assignment.forget(tunnel)
        self._tunnels.forget(tunnel)

    def _begin(self, tunnel: Tunnel, now: float) -> tuple[Op, ...]:
        facts = self._facts(tunnel, now)
        tunnel.life = life_of(facts)
        before, tunnel.desired = tunnel.desired, self._desired(tunnel, facts)
        self._remember(tunnel)
        ops = self._ops(tunnel, tunnel.desired, now)
        if tunnel.progress.settled and tunnel.desired == before and (words := put_back(ops)):
            self._tunnels.note("warning", "put back what someone changed", tunnel.name, words)
        if tunnel.progress.repeats(ops):
            error = f"done, but the kernel does not show it: {ops[0]}"
            if tunnel.progress.no_effect(error, now):
                self._tunnels.note("error", "operation failed", tunnel.name, error)
            return ()
        self._start(tunnel, ops, now)
        return ops

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
        if ops and lookup_due:
            tunnel.lookup_at = None
        if tunnel.life in {Life.WANTED, Life.DECLARED}:
            # of an interface that is merely kept, not everything is ours
            tunnel.our_addresses |= frozenset(tunnel.desired.addresses)

    def _ops(self, tunnel: Tunnel, desired: Desired, now: float) -> tuple[Op, ...]:
        if desired.link is None and not desired.probes and self.vici_error is not None:
            return ()
        ops = plan(tunnel.name, desired, tunnel.observed, tunnel.our_addresses)
        if not self._observations.knows(tunnel.netns):
            return self._without_kernel(tunnel, ops)
        if tunnel.lookup_due(now) and not desired.probes:
            return (*_lookups(tunnel), *ops)
        return ops

    def _without_kernel(self, tunnel: Tunnel, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """Wait for the namespace; one that left the configuration only leaves BIRD's file."""
        if tunnel.netns in self.namespaces():
            return ()
        return tuple(op for op in ops if isinstance(op, DeleteBird))

    # --- life -----------------------------------------------------------------------------------

    def _facts(self, tunnel: Tunnel, now: float) -> Facts:
        policy = tunnel.policy
        return Facts(
            flushed=self._flushing,
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
            and self.vici_error is None
            and self._assignment.is_configured(tunnel)
        )

    def _is_holding(self, tunnel: Tunnel, now: float) -> bool:
        """Whether a tunnel without SA has time left; it stands still while VICI is lost."""
        if tunnel.policy is not None and not self._tunnels.sas_known:
            return True
        if tunnel.hold_until is None:
            return False
        return tunnel.hold_until > now or self.vici_error is not None

    def _desired(self, tunnel: Tunnel, facts: Facts) -> Desired:
        return decide(tunnel, facts, self.underlay, self.vici_error)

    def error_of(self, tunnel: Tunnel) -> str:
        """Return what stands in a tunnel's way, and the way out; empty where nothing does."""
        wanted = tunnel.sas or tunnel.observed.link
        return tunnel.progress.error or (self.netns_errors.get(tunnel.netns, "") if wanted else "")

    def _show(self, tunnel: Tunnel, now: float) -> None:
        """Note a new state for operators, and log it with its reason."""
        life = life_of(self._facts(tunnel, now))
        state = shown(life, tunnel.observed.link, self.error_of(tunnel))
        reason_follows = state is TunnelState.UP and tunnel.desired.probes
        if state is tunnel.state or reason_follows:
            return
        tunnel.state, tunnel.since = state, now
        self._tunnels.note("info", f"tunnel {state}", tunnel.name, tunnel.desired.reason)


def _lookups(tunnel: Tunnel) -> tuple[Op, ...]:
    """Look up again all paths that a tunnel uses."""
    reason = "the path to the peer may have changed"
    return tuple(
        ProbeUnderlay(tunnel=tunnel.name, reason=reason, local=local, remote=remote)
        for local, remote in sorted(tunnel.paths)
    )
