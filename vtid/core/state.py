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

from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.config.keys import ConfigLoaded
from vtid.core.assignment import Claims
from vtid.core.bgp import blocks_down
from vtid.core.desired import NOTHING, desire
from vtid.core.initiate import Initiations
from vtid.core.observed import Seen
from vtid.core.paths import Paths
from vtid.core.plan import plan
from vtid.core.presence import kept
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
from vtid.model.link import Desired
from vtid.model.operation import DeleteBird, Initiate, Op, ProbeUnderlay
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.core.desired import Path, Underlay
    from vtid.core.tunnels import Note, Record
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
        self._claims = Claims(self._tunnels, self._paths)
        self._seen = Seen(self._tunnels)
        self._initiations = Initiations(self._claims.sas, jitter)
        self._flushing = False

    # --- what is known ------------------------------------------------------------------------

    @property
    def tunnels(self) -> dict[str, Record]:
        """All tunnels by name."""
        return self._tunnels.records

    @property
    def vici_error(self) -> str | None:
        """Why the SAs are not known to be current, None where they are."""
        return self._claims.vici_error

    @property
    def problems(self) -> dict[int, str]:
        """SAs that no tunnel could be made for, by unique ID: one clear line each."""
        return self._claims.problems

    @property
    def netns_errors(self) -> dict[str, str]:
        """Why a namespace is not known."""
        return self._seen.netns_errors

    @property
    def underlay(self) -> dict[Path, Underlay]:
        """What is known of the way to each peer."""
        return self._paths.known

    @property
    def settled(self) -> bool:
        """Whether configuration and SAs are known, and each namespace is or cannot be."""
        return self.vici_error is None and all(
            self._seen.knows(netns) or netns in self.netns_errors for netns in self.namespaces()
        )

    def namespaces(self) -> set[str]:
        """Namespaces that the configuration names, and vtid's own."""
        return self._claims.namespaces()

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
                self._claims.vici_error = event.reason
            case LinkSeen():
                self._seen.link(event)
            case LinkGone():
                self._seen.link_gone(event)
            case AddressSeen() | AddressGone():
                self._seen.address(event)
            case RoutesSeen():
                self._seen.routes(event)
            case LinkSnapshot():
                self._seen.links(event, now)
            case NetnsLost():
                self._seen.netns_lost(event)
            case ClampSnapshot():
                self._seen.clamps(event, now)
            case BirdSnapshot():
                self._seen.bird_file(event, now)
            case BirdState():
                self.birds[event.instance] = event
            case BirdGone():
                self.birds.pop(event.instance, None)
                self._seen.bird_file(BirdSnapshot(event.instance, ()), now)
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
                self._claims.use(event.config, now)
                self._initiations.use(event.config)
                self._look_for_missing(now)
            case _ if isinstance(event, SaInput):
                self._sas_changed(event, now)

    def _sas_changed(self, event: SaInput, now: float) -> None:
        changes = self._claims.file(event, now)
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
        for record in self._tunnels:
            self._tunnels.look_at(record)

    def _op_done(self, event: OpDone) -> None:
        if record := self._tunnels.get(event.op.tunnel):
            self._seen.done(record, event.op)
            self._answered(record)

    def _op_failed(self, event: OpFailed, now: float) -> None:
        record = self._tunnels.get(event.op.tunnel)
        if record is None:
            return
        if not record.batch_failed:
            record.batch_failed = True
            self._tunnels.fail(record, event.error, now)
        self._answered(record)

    def _answered(self, record: Record) -> None:
        record.pending -= 1
        if not record.pending:
            self._tunnels.look_at(record)

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
        return self.has_work() or any(record.pending for record in self.tunnels.values())

    def work(self, now: float, limit: int = PASS_LIMIT) -> tuple[Op, ...]:
        """Operations for up to `limit` dirty tunnels, which are busy from now on."""
        ops: list[Op] = []
        for record in self._tunnels.take_dirty(now, limit):
            ops.extend(self._work_on(record, now))
        may_ask = self.vici_error is None and not self._flushing
        ops.extend(self._initiations.work(now, may_ask=may_ask))
        return tuple(ops)

    def preview(self, now: float) -> tuple[Op, ...]:
        """Operations that a full pass would start now, without starting it."""
        ops: list[Op] = []
        for record in self._tunnels:
            ops.extend(self._ops(record, self._desired(record, now), now))
        return tuple(ops)

    # --- work ---------------------------------------------------------------------------------

    def _work_on(self, record: Record, now: float) -> tuple[Op, ...]:
        if record.pending:
            return ()
        if record.retry_at > now:
            self._tunnels.wake(record, now)
            self._settle(record, now)
            return ()
        if record.empty and not self._claims.is_configured(record):
            self._claims.forget(record)
            self._tunnels.forget(record)
            return ()
        before, record.desired = record.desired, self._desired(record, now)
        self._keep(record)
        ops = self._ops(record, record.desired, now)
        if record.at_rest and record.desired == before and (words := put_back(ops)):
            self._tunnels.note("warning", "put back what someone changed", record.name, words)
        record.at_rest = not ops
        if not ops:
            record.failures, record.error = 0, ""
        elif ops == record.last_ops and not record.batch_failed:
            missing = f"done, but the kernel does not show it: {ops[0]}"
            self._tunnels.fail(record, missing, now)
            ops = ()
        self._start(record, ops, now)
        self._tunnels.wake(record, now)
        self._settle(record, now)
        return ops

    def _keep(self, record: Record) -> None:
        """Note what a tunnel looks like, for the time when it has no SA."""
        if record.desired.link and self._seen.knows(record.netns):
            record.kept = record.desired
        elif not record.desired.probes:
            record.kept = None

    def _start(self, record: Record, ops: tuple[Op, ...], now: float) -> None:
        record.pending = len(ops)
        record.batch_failed = record.clamp_told = False
        # a lookup that was due may be due again at once: the same operation is then no failure
        record.last_ops = () if record.probe_due(now) else ops
        if ops and record.probe_due(now):
            record.probe_at = None
        if self._is_wanted(record):  # what is merely kept is not all ours
            record.placed |= frozenset(record.desired.addresses)

    def _is_wanted(self, record: Record) -> bool:
        """Whether an SA, or the declaration of one, says what the tunnel should look like."""
        declared = record.declared and self._tunnels.sas_known
        return bool(record.policy and (record.sas or declared))

    def _ops(self, record: Record, desired: Desired, now: float) -> tuple[Op, ...]:
        if desired.link is None and not desired.probes and self.vici_error is not None:
            return ()
        ops = plan(record.name, desired, record.observed, record.placed)
        if not self._seen.knows(record.netns):
            return self._without_kernel(record, ops)
        if record.probe_due(now) and not desired.probes:
            return (*_lookups(record), *ops)
        return ops

    def _without_kernel(self, record: Record, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """Wait for the namespace; one that left the configuration only leaves BIRD's file."""
        if record.netns in self.namespaces():
            return ()
        return tuple(op for op in ops if isinstance(op, DeleteBird))

    def _desired(self, record: Record, now: float) -> Desired:
        if self._flushing:
            return Desired(reason="flushed by the operator")
        unsure = record.policy is not None and not self._tunnels.sas_known
        held = unsure or self._is_held(record, now)
        desired = self._wanted(record, held=held)
        if record.sas or desired.probes or record.policy is None:
            return desired
        there = record.observed.birds
        down = blocks_down(record.name, record.interface, record.policy, there)
        return replace(desired, birds=there if held else down)

    def _wanted(self, record: Record, *, held: bool) -> Desired:
        """Say what is desired but for BIRD, which has its own rules for a tunnel without SA."""
        if record.policy and self._is_wanted(record):
            return desire(
                record.name, record.interface, record.policy, record.wanted_by, self.underlay
            )
        if self._stays_down(record):
            why = "the policy keeps the interface, down"
            return kept(why, record.kept, record.observed, record.placed, down=True)
        if held:
            why = f"VICI is lost ({self.vici_error})" if self.vici_error else "hold time"
            return kept(why, record.kept, record.observed, record.placed)
        return NOTHING

    def _stays_down(self, record: Record) -> bool:
        """Whether the policy has the interface down now that charon has no SA for it."""
        return (
            record.policy is not None
            and record.policy.on_down == "down"
            and (record.observed.link or record.kept) is not None
            and self.vici_error is None
            and self._claims.is_configured(record)
        )

    def _settle(self, record: Record, now: float) -> None:
        """Put the record's state into one word, and say it where it changed."""
        state = self._state_of(record, now)
        if state is record.state:
            return
        record.state, record.since = state, now
        self._tunnels.note("info", f"tunnel {state}", record.name, record.desired.reason)

    def error_of(self, record: Record) -> str:
        """Say what stands in a tunnel's way, and the way out; empty where nothing does."""
        wanted = record.sas or record.observed.link
        return record.error or (self.netns_errors.get(record.netns, "") if wanted else "")

    def _state_of(self, record: Record, now: float) -> TunnelState:
        link = record.observed.link
        if self.error_of(record):
            return TunnelState.ERROR
        if record.sas:
            return TunnelState.UP if link and link.up else TunnelState.PENDING
        if link is None or record.declared:
            return TunnelState.DOWN
        if self._stays_down(record):
            return TunnelState.PENDING if link.up else TunnelState.DOWN
        return TunnelState.HOLDING if self._is_held(record, now) else TunnelState.PENDING

    def _is_held(self, record: Record, now: float) -> bool:
        """Whether a tunnel without SA has time left; it does not run while VICI is lost."""
        if record.hold_until is None:
            return False
        return record.hold_until > now or bool(self.vici_error)


def _lookups(record: Record) -> tuple[Op, ...]:
    """Look up again all paths that a tunnel uses."""
    reason = "the path to the peer may have changed"
    return tuple(
        ProbeUnderlay(tunnel=record.name, reason=reason, local=local, remote=remote)
        for local, remote in sorted(record.paths)
    )
