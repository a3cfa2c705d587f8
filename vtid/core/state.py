"""State: the one small picture of what should be and what is, and the only code that changes it.

Theory of operation: `apply(input, now)` files an input and marks the tunnels it touches as dirty.
`work(now)` takes the dirty ones (with those whose deadline has come) and answers with the
operations they need; such a tunnel is busy until each of its operations has been answered with
`OpDone` or `OpFailed`, and is looked at again then. `preview(now)` is the same for all tunnels,
and changes nothing.

Rules of this file:

* Pure: no clock, no I/O; inputs in, operations out. Only the daemon's loop calls it.
* What the kernel has is known from the kernel (`LinkSeen`, …), never assumed from an operation.
* Nothing is deleted before configuration, SA snapshot and the namespace's snapshots are in, nor
  while VICI is lost; a tunnel without SA waits for its hold time first.
* `now` is a monotonic clock in seconds.
* The cost of an input depends on the tunnels that it touches, not on how many there are.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vtid.config import ConfigLoaded, is_static
from vtid.core.deadlines import Deadlines
from vtid.core.desired import NOTHING, Underlay, desire, path_of, tunnel_of
from vtid.core.plan import plan
from vtid.core.policies import Policies, PolicyError, tunnel_name
from vtid.core.satable import SaInput, SaTable
from vtid.model import (
    AddressGone,
    AddressSeen,
    BirdBlock,
    BirdSnapshot,
    BirdState,
    ChildSa,
    Clamp,
    ClampSnapshot,
    DeleteBird,
    DeleteClamp,
    Desired,
    Input,
    LinkGone,
    LinkSeen,
    LinkSnapshot,
    NetnsLost,
    Observed,
    Op,
    OpDone,
    OpFailed,
    ProbeUnderlay,
    PutBird,
    SaSnapshot,
    SetClamp,
    TunnelState,
    UnderlayChanged,
    UnderlaySeen,
    ViciLost,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.config import Config, Tunnel

RETRY_FIRST = 0.5
RETRY_LAST = 60.0
"""Seconds between tries of a tunnel whose operation failed: doubled each time up to the last."""

PROBE_AGAIN = 5.0
"""Seconds until the path to a peer without route is looked up again."""

Path = tuple[str, str]


@dataclass(slots=True)
class Record:
    """One tunnel: what wants it, what there is, and what is under way."""

    name: str
    interface: str
    netns: str
    policy: Tunnel | None = None
    sas: dict[int, ChildSa] = field(default_factory=dict)
    serves: tuple[str, str] | None = None
    """Connection and child of the SA that came last."""
    hold_until: float | None = None
    observed: Observed = field(default_factory=Observed)
    desired: Desired = NOTHING
    placed: frozenset[str] = frozenset()
    """Addresses that vtid asked for on this tunnel."""
    path: Path | None = None
    """Outer local and remote address that count."""
    probe_at: float | None = None
    """When the path to the peer is to be looked up again."""
    pending: int = 0
    """Operations not yet answered."""
    last_ops: tuple[Op, ...] = ()
    batch_failed: bool = False
    failures: int = 0
    retry_at: float = 0.0
    error: str = ""
    state: TunnelState = TunnelState.DOWN
    since: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether no SA wants this tunnel, nothing is there and nothing is under way."""
        return not self.sas and not self.pending and self.observed == Observed()

    @property
    def has_owner(self) -> bool:
        """Whether its name is that of its policy, which no other policy's SA can then have."""
        return self.policy is not None and (bool(self.sas) or is_static(self.policy.interface))

    def probe_due(self, now: float) -> bool:
        """Whether it is time to look up the path to the peer again."""
        return self.probe_at is not None and self.probe_at <= now


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a line in the log."""

    level: str
    event: str
    tunnel: str = ""
    detail: str = ""


class State:
    """All tunnels of one daemon. See the module for the rules."""

    def __init__(self) -> None:
        self.config: Config | None = None
        self.policies: Policies | None = None
        self.tunnels: dict[str, Record] = {}
        self.vici_error: str | None = "not connected yet"
        """None while the SAs are known to be current."""
        self.netns_errors: dict[str, str] = {}
        self.links_known: set[str] = set()
        self.clamps_known: set[str] = set()
        self.birds: dict[str, BirdState] = {}
        self.underlay: dict[Path, Underlay] = {}
        self.problems: dict[int, str] = {}
        """SAs that no tunnel could be made for, by unique ID."""
        self.notes: list[Note] = []
        self._sas = SaTable()
        self._tunnel_of: dict[int, str] = {}
        self._serving: dict[tuple[str, str], str] = {}
        """Tunnel that a connection's child was given last."""
        self._by_path: dict[Path, set[str]] = defaultdict(set)
        self._by_ifindex: dict[tuple[str, int], str] = {}
        self._deadlines = Deadlines()
        self._dirty: dict[str, None] = {}
        self._snapshot_seen = False
        self._longest_hold = 0.0
        self._flushing = False

    # --- the outside --------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether configuration and SAs are known, and each namespace is or cannot be."""
        return self.vici_error is None and all(
            self._netns_known(netns) or netns in self.netns_errors for netns in self.namespaces()
        )

    def namespaces(self) -> set[str]:
        """Namespaces that the configuration names, and vtid's own."""
        return {"", *(policy.netns for policy in self.policies.all)} if self.policies else set()

    def apply(self, event: Input, now: float) -> None:  # noqa: C901, PLR0912 - a table
        """File one input. Inputs that speak of what is not known change nothing."""
        match event:
            case ViciLost():
                self._vici_lost(event)
            case LinkSeen():
                self._link_seen(event)
            case LinkGone():
                self._forget_link((event.netns, event.ifindex))
            case AddressSeen() | AddressGone():
                self._address_changed(event)
            case LinkSnapshot():
                self._link_snapshot(event, now)
            case NetnsLost():
                self._netns_lost(event)
            case UnderlaySeen():
                self._underlay_seen(event, now)
            case UnderlayChanged():
                self._underlay_changed(now)
            case ClampSnapshot():
                self._clamp_snapshot(event, now)
            case BirdSnapshot():
                self._bird_snapshot(event, now)
            case BirdState():
                self.birds[event.instance] = event
            case OpDone():
                self._op_done(event)
            case OpFailed():
                self._op_failed(event, now)
            case ConfigLoaded():
                self._config_loaded(event, now)
            case _ if isinstance(event, SaInput):
                self._sas_changed(event, now)

    def next_deadline(self) -> float | None:
        """When `work` has something to do without any input, None for never."""
        return self._deadlines.next()

    def has_work(self) -> bool:
        """Whether tunnels are dirty."""
        return bool(self._dirty)

    def touch_all(self) -> None:
        """Make every tunnel dirty: a full pass."""
        self._dirty.update(dict.fromkeys(self.tunnels))

    def flush(self) -> int:
        """Want nothing at all until the next configuration is loaded; count what there is."""
        self._flushing = True
        self.touch_all()
        return sum(record.observed.link is not None for record in self.tunnels.values())

    def work(self, now: float, limit: int) -> tuple[Op, ...]:
        """Operations for up to `limit` dirty tunnels, which are busy from now on."""
        self._dirty.update(dict.fromkeys(self._deadlines.pop_due(now)))
        ops: list[Op] = []
        for name in list(self._dirty)[:limit]:
            del self._dirty[name]
            ops.extend(self._work_on(self.tunnels[name], now) if name in self.tunnels else ())
        return tuple(ops)

    def preview(self, now: float) -> tuple[Op, ...]:
        """Operations that a full pass would start now, without starting it."""
        ops: list[Op] = []
        for record in self.tunnels.values():
            ops.extend(self._ops(record, self._desired(record, now), now))
        return tuple(ops)

    # --- work ---------------------------------------------------------------------------------

    def _work_on(self, record: Record, now: float) -> tuple[Op, ...]:
        if record.pending:
            return ()
        if record.retry_at > now:
            self._wake(record, now)
            self._settle(record, now)
            return ()
        if record.empty and not self._is_configured(record):
            self._forget(record)
            return ()
        record.desired = self._desired(record, now)
        ops = self._ops(record, record.desired, now)
        if not ops:
            record.failures, record.error = 0, ""
        elif ops == record.last_ops and not record.batch_failed:
            self._fail(record, f"done, but the kernel does not show it: {ops[0]}", now)
            ops = ()
        self._start(record, ops, now)
        self._wake(record, now)
        self._settle(record, now)
        return ops

    def _wake(self, record: Record, now: float) -> None:
        """Have the record looked at when the next of its times has come."""
        times = (record.hold_until, record.probe_at, record.retry_at)
        if future := [when for when in times if when is not None and when > now]:
            self._deadlines.set(record.name, min(future))

    @staticmethod
    def _start(record: Record, ops: tuple[Op, ...], now: float) -> None:
        record.pending = len(ops)
        record.batch_failed = False
        # a lookup that was due may be due again at once: the same operation is then no failure
        record.last_ops = () if record.probe_due(now) else ops
        if ops and record.probe_due(now):
            record.probe_at = None
        if record.desired.link:
            record.placed |= frozenset(record.desired.addresses)

    def _ops(self, record: Record, desired: Desired, now: float) -> tuple[Op, ...]:
        if desired.link is None and not desired.probe and self.vici_error is not None:
            return ()
        ops = plan(record.name, desired, record.observed, record.placed)
        if not self._netns_known(record.netns):
            return self._without_kernel(record, ops)
        if record.probe_due(now) and record.path and not desired.probe:
            local, remote = record.path
            reason = "the path to the peer may have changed"
            return (
                ProbeUnderlay(tunnel=record.name, reason=reason, local=local, remote=remote),
                *ops,
            )
        return ops

    def _without_kernel(self, record: Record, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """Wait for the namespace; one that left the configuration only leaves BIRD's file."""
        if record.netns in self.namespaces():
            return ()
        return tuple(op for op in ops if isinstance(op, DeleteBird))

    def _desired(self, record: Record, now: float) -> Desired:
        if self._flushing:
            return Desired(reason="flushed by the operator")
        if record.sas and record.policy and record.path:
            sas = tuple(record.sas.values())
            underlay = self.underlay.get(record.path)
            return desire(record.name, record.interface, record.policy, sas, underlay)
        if record.hold_until is not None and (record.hold_until > now or self.vici_error):
            reason = f"VICI is lost ({self.vici_error})" if self.vici_error else "hold time"
            return self._held(record, reason)
        return NOTHING

    @staticmethod
    def _held(record: Record, reason: str) -> Desired:
        """Leave all as it is, whatever that is."""
        there = record.observed
        return Desired(
            reason=f"no CHILD_SA; kept: {reason}",
            link=there.link,
            addresses=tuple(sorted(there.addresses)),
            clamp=there.clamp,
            birds=there.birds,
        )

    def _settle(self, record: Record, now: float) -> None:
        """Put the record's state into one word, and say it where it changed."""
        state = self._state_of(record, now)
        if state is record.state:
            return
        record.state, record.since = state, now
        self.notes.append(Note("info", f"tunnel {state}", record.name, record.desired.reason))

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
        if link is None:
            return TunnelState.DOWN
        held = record.hold_until is not None and (record.hold_until > now or self.vici_error)
        return TunnelState.HOLDING if held else TunnelState.PENDING

    def _fail(self, record: Record, error: str, now: float) -> None:
        record.failures += 1
        wait = min(RETRY_LAST, RETRY_FIRST * 2.0 ** (record.failures - 1))
        record.retry_at = now + wait
        if error != record.error:
            self.notes.append(Note("error", "operation failed", record.name, error))
        record.error = error

    def _is_configured(self, record: Record) -> bool:
        """Whether to show a tunnel though it is down.

        One that is named after its SA (`vti{mark}`) stays until the same child gets another name,
        as it does from each reauthentication with `%unique` marks.
        """
        if record.policy is None or is_static(record.policy.interface):
            return record.policy is not None
        return record.serves is not None and self._serving.get(record.serves) == record.name

    def _forget(self, record: Record) -> None:
        del self.tunnels[record.name]
        self._deadlines.clear(record.name)
        if record.serves and self._serving.get(record.serves) == record.name:
            del self._serving[record.serves]

    # --- configuration ------------------------------------------------------------------------

    def _config_loaded(self, event: ConfigLoaded, now: float) -> None:
        self.config = event.config
        self.policies = Policies(event.config)
        self._longest_hold = max((policy.hold_time for policy in self.policies.all), default=0.0)
        self._flushing = False
        had_policy = [record for record in self.tunnels.values() if record.policy]
        for record in had_policy:
            record.policy = self.policies.successor(record.policy)
        for policy in self.policies.all:
            if is_static(policy.interface):
                self._record(policy.netns, policy.interface).policy = policy
        for sa in self._sas:
            self._assign(sa, now)
        for record in had_policy:
            if record.policy is None:
                record.hold_until = None
        for record in self.tunnels.values():
            self._changed(record)

    # --- SAs ----------------------------------------------------------------------------------

    def _sas_changed(self, event: SaInput, now: float) -> None:
        changes = self._sas.apply(event)
        for sa in changes.joined:
            self._assign(sa, now)
        for sa in changes.left:
            self.problems.pop(sa.unique_id, None)
            self._leave(sa, now)
        if isinstance(event, SaSnapshot):
            self._synced_with_charon(now)

    def _synced_with_charon(self, now: float) -> None:
        """Go on with what waited for a snapshot.

        At the first, and when charon is back, what has no SA gets its time: charon needs some to
        set its SAs up again.
        """
        first, self._snapshot_seen = not self._snapshot_seen, True
        was_lost, self.vici_error = self.vici_error is not None, None
        for record in self.tunnels.values():
            frozen = was_lost and record.hold_until is not None
            if not record.sas and (first or frozen):
                self._hold(record, now)
            self._changed(record)

    def _vici_lost(self, event: ViciLost) -> None:
        self.vici_error = event.reason

    def _assign(self, sa: ChildSa, now: float) -> None:
        """Make an SA part of the tunnel that its policy gives it, or a problem."""
        self.problems.pop(sa.unique_id, None)
        try:
            record = self._tunnel_for(sa)
        except PolicyError as error:
            self._refuse(sa, str(error))
            record = None
        if record is None or self._tunnel_of.get(sa.unique_id) != record.name:
            self._leave(sa, now)
        if record is None:
            return
        self._tunnel_of[sa.unique_id] = record.name
        record.sas[sa.unique_id] = sa
        record.hold_until = None
        self._serve(record, (sa.connection, sa.child))
        self._set_path(record)
        self._changed(record)

    def _serve(self, record: Record, child: tuple[str, str]) -> None:
        """Note who is served; the tunnel that did it before may have nothing to stay for."""
        before = self.tunnels.get(self._serving.get(child, ""))
        record.serves, self._serving[child] = child, record.name
        if before and before is not record:
            self._dirty[before.name] = None

    def _tunnel_for(self, sa: ChildSa) -> Record | None:
        policy = self._policy_for(sa)
        if policy is None:
            return None
        name, interface = tunnel_of(policy, sa)
        record = self.tunnels.get(name)
        if record and record.policy and record.policy is not policy and record.has_owner:
            raise PolicyError(
                f"{sa}: interface {interface} already serves connection "
                f"{record.policy.connection!r}; give one of the two `[[tunnel]]` another "
                "`interface = `"
            )
        record = record or self._record(policy.netns, interface)
        record.policy = policy
        return record

    def _policy_for(self, sa: ChildSa) -> Tunnel | None:
        claims = self.policies.claims(sa) if self.policies else []
        if len(claims) > 1:
            names = " and ".join(f"{claim.connection}/{claim.child}" for claim in claims)
            raise PolicyError(
                f"{sa} is claimed by {len(claims)} policies, {names}; make their `connection = ` "
                "and `child = ` patterns exclude each other"
            )
        return claims[0] if claims else None

    def _refuse(self, sa: ChildSa, why: str) -> None:
        self.problems[sa.unique_id] = why
        self.notes.append(Note("error", "CHILD_SA refused", detail=why))

    def _leave(self, sa: ChildSa, now: float) -> None:
        """Take an SA out of its tunnel, if it is in one."""
        record = self.tunnels.get(self._tunnel_of.pop(sa.unique_id, ""))
        if record is None:
            return
        record.sas.pop(sa.unique_id, None)
        self._set_path(record)
        if not record.sas:
            self._hold(record, now)
        self._changed(record)

    def _set_path(self, record: Record) -> None:
        """Keep the index of paths; one that nobody uses is forgotten, it would only grow old."""
        path = path_of(record.sas.values()) if record.sas else None
        if path == record.path:
            return
        if record.path:
            self._by_path[record.path].discard(record.name)
            if not self._by_path[record.path]:
                del self._by_path[record.path]
                self.underlay.pop(record.path, None)
        record.path = path
        if path:
            self._by_path[path].add(record.name)

    def _hold(self, record: Record, now: float) -> None:
        """Keep what is there for the hold time: that of its policy, else the longest there is."""
        time = record.policy.hold_time if record.policy else self._longest_hold
        record.hold_until = now + time

    # --- kernel -------------------------------------------------------------------------------

    def _link_seen(self, event: LinkSeen) -> None:
        key = (event.link.netns, event.ifindex)
        if not event.link.outer_netns_ok:
            self._forget_link(key)  # another vtid's, which works in a namespace of its own
            return
        record = self._record(event.link.netns, event.link.name)
        if self._by_ifindex.get(key) not in {None, record.name}:
            self._forget_link(key)  # renamed: what it was called before has no link now
        self._by_ifindex[key] = record.name
        same = record.observed.ifindex == event.ifindex
        addresses = record.observed.addresses if same else frozenset()
        self._observe(
            record,
            replace(record.observed, link=event.link, ifindex=event.ifindex, addresses=addresses),
        )

    def _forget_link(self, key: tuple[str, int]) -> None:
        record = self.tunnels.get(self._by_ifindex.pop(key, ""))
        if record and record.observed.ifindex == key[1]:
            gone = replace(record.observed, link=None, ifindex=0, addresses=frozenset())
            self._observe(record, gone)

    def _address_changed(self, event: AddressSeen | AddressGone) -> None:
        record = self.tunnels.get(self._by_ifindex.get((event.netns, event.ifindex), ""))
        if record is None:
            return
        have, one = record.observed.addresses, {event.address}
        addresses = have | one if isinstance(event, AddressSeen) else have - one
        self._observe(record, replace(record.observed, addresses=addresses))

    def _link_snapshot(self, event: LinkSnapshot, now: float) -> None:
        self.links_known.add(event.netns)
        self.netns_errors.pop(event.netns, None)
        there = {ifindex for ifindex, _ in event.links}
        for netns, ifindex in list(self._by_ifindex):
            if netns == event.netns and ifindex not in there:
                self._forget_link((netns, ifindex))
        addresses: dict[int, set[str]] = defaultdict(set)
        for ifindex, address in event.addresses:
            addresses[ifindex].add(address)
        for ifindex, link in event.links:
            self._link_seen(LinkSeen(link, ifindex))
            if name := self._by_ifindex.get((event.netns, ifindex)):
                record, have = self.tunnels[name], frozenset(addresses[ifindex])
                self._observe(record, replace(record.observed, addresses=have))
        self._namespace_changed(event.netns, now)

    def _netns_lost(self, event: NetnsLost) -> None:
        if self.netns_errors.get(event.netns) != event.reason:
            self.notes.append(Note("error", "namespace is lost", detail=event.reason))
        self.netns_errors[event.netns] = event.reason
        self.links_known.discard(event.netns)
        self.clamps_known.discard(event.netns)
        for record in self._records_in(event.netns):
            self._changed(record)

    def _namespace_changed(self, netns: str, now: float) -> None:
        for record in self._records_in(netns):
            if not record.sas and record.hold_until is None and self._snapshot_seen:
                self._hold(record, now)
            self._changed(record)

    def _records_in(self, netns: str) -> list[Record]:
        return [record for record in self.tunnels.values() if record.netns == netns]

    def _netns_known(self, netns: str) -> bool:
        return netns in self.links_known and netns in self.clamps_known

    def _underlay_seen(self, event: UnderlaySeen, now: float) -> None:
        path = (event.local, event.remote)
        if path not in self._by_path:
            return
        before = self.underlay.get(path)
        known = Underlay(event.mtu, event.interface, event.error)
        if not event.mtu and before and before.mtu:
            # a route that is away for a moment says nothing about the MTU it will have
            known = replace(before, error=event.error)
        self.underlay[path] = known
        for name in self._by_path[path]:
            record = self.tunnels[name]
            if not event.mtu:
                record.probe_at = now + PROBE_AGAIN
            if known != before:
                self._changed(record)

    def _underlay_changed(self, now: float) -> None:
        for record in self.tunnels.values():
            if record.sas:
                record.probe_at = now
                self._changed(record)

    # --- nftables and BIRD --------------------------------------------------------------------

    def _clamp_snapshot(self, event: ClampSnapshot, now: float) -> None:
        self.clamps_known.add(event.netns)
        clamps: dict[str, Clamp] = dict(event.clamps)
        for interface in clamps:
            self._record(event.netns, interface)
        for record in self._records_in(event.netns):
            clamp = clamps.get(record.interface)
            self._observe(record, replace(record.observed, clamp=clamp))
        self._namespace_changed(event.netns, now)

    def _bird_snapshot(self, event: BirdSnapshot, now: float) -> None:
        """Replace what was known of a BIRD's file: names are there, what they say is not known."""
        for record in self.tunnels.values():
            if any(block.instance == event.instance for block in record.observed.birds):
                self._observe(record, _with_block(record.observed, event.instance, ()))
        for name in event.tunnels:
            netns, _, interface = name.rpartition("/")
            record = self._record(netns, interface)
            block = BirdBlock(instance=event.instance, tunnel=name, sessions=())
            self._observe(record, _with_block(record.observed, event.instance, (block,)))
            if self._snapshot_seen and not record.sas and record.hold_until is None:
                self._hold(record, now)

    # --- results ------------------------------------------------------------------------------

    def _op_done(self, event: OpDone) -> None:
        record = self.tunnels.get(event.op.tunnel)
        if record is None:
            return
        # nft and BIRD send no echo: what was done there is what is there
        match event.op:
            case SetClamp(clamp=clamp):
                record.observed = replace(record.observed, clamp=clamp)
            case DeleteClamp():
                record.observed = replace(record.observed, clamp=None)
            case PutBird(block=block):
                record.observed = _with_block(record.observed, block.instance, (block,))
            case DeleteBird(instance=instance):
                record.observed = _with_block(record.observed, instance, ())
        self._answered(record)

    def _op_failed(self, event: OpFailed, now: float) -> None:
        record = self.tunnels.get(event.op.tunnel)
        if record is None:
            return
        if not record.batch_failed:
            record.batch_failed = True
            self._fail(record, event.error, now)
        self._answered(record)

    def _answered(self, record: Record) -> None:
        record.pending -= 1
        if not record.pending:
            self._dirty[record.name] = None

    # --- small things -------------------------------------------------------------------------

    def _record(self, netns: str, interface: str) -> Record:
        name = tunnel_name(netns, interface)
        if name not in self.tunnels:
            self.tunnels[name] = Record(name=name, interface=interface, netns=netns)
        return self.tunnels[name]

    def _observe(self, record: Record, observed: Observed) -> None:
        if observed != record.observed:
            record.observed = observed
            self._changed(record)

    def _changed(self, record: Record) -> None:
        """Look at a tunnel again, at once: a new input clears the back-off."""
        record.retry_at = 0.0
        self._dirty[record.name] = None


def _with_block(observed: Observed, instance: str, block: Iterable[BirdBlock]) -> Observed:
    others = (other for other in observed.birds if other.instance != instance)
    return replace(observed, birds=(*others, *block))
