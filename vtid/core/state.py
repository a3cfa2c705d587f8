"""State: the picture of what should be and what is. Inputs go in, operations come out. Pure.

Theory of operation: `apply(input, now)` files an input and marks the tunnels it touches as dirty.
`work(now)` plans the dirty tunnels, and those whose deadline has come, and returns the operations
they need. `filing` and `working` do the same in steps, for a loop that has other things to do.
A tunnel is busy until each of its operations is answered with `OpDone` or `OpFailed`;
only then is it marked and planned again. `preview(now)` plans all tunnels and changes nothing.

    apply ─▶ assignment   which SA belongs to which tunnel   ─┐
             observed     what kernel, nftables and BIRD have ├─▶ tunnels ─▶ planner ─▶ operations
             paths        route and MTU to each peer         ─┤
             probing      what passes through each tunnel    ─┘

Rules of this file:

* No clock and no I/O: `now` is a monotonic clock in seconds. Only the daemon's loop calls it.
* The cost of an input depends on the tunnels that it touches, not on how many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.config.keys import ConfigLoaded
from vtid.core.adoption import Adoptions
from vtid.core.alerts import Alerts, words
from vtid.core.assignment import Assignment
from vtid.core.bgp_news import BgpNews
from vtid.core.drops import Drops
from vtid.core.history import remember
from vtid.core.initiate import Initiations
from vtid.core.memory import Memory, facts_of, routes_of
from vtid.core.modes import Modes
from vtid.core.observed import Observations
from vtid.core.paths import Paths
from vtid.core.planner import Planner
from vtid.core.probing import Probing
from vtid.core.sas import SaInput
from vtid.core.since import Kind, Since
from vtid.core.transitions import Transitions
from vtid.core.tunnels import Tunnels
from vtid.model.input import (
    AddressGone,
    AddressSeen,
    AdoptAsked,
    Alert,
    BirdGone,
    BirdSnapshot,
    BirdState,
    ChildRekeyed,
    ClampSnapshot,
    FlushAsked,
    FullPassDue,
    Input,
    LearntSeen,
    LinkGone,
    LinkSeen,
    LinkSnapshot,
    ModeAsked,
    NetnsLost,
    OpDone,
    OpFailed,
    ProbeAnswered,
    RouteGone,
    RouteSeen,
    RoutesSeen,
    SaSnapshot,
    UnderlayChanged,
    UnderlaySeen,
    ViciLost,
)
from vtid.model.mode import Mode
from vtid.model.operation import AdoptLink, Initiate, Op, ProbeUnderlay, Rekey, SendProbe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from vtid.config.keys import Config, Policy
    from vtid.core.labels import Labels
    from vtid.core.sas import Changes, SaTable
    from vtid.core.tunnels import Note, Tunnel
    from vtid.core.underlay import Path, Underlay
    from vtid.model.counts import LinkCounters
    from vtid.model.status import Initiation, ProbeStatus, TunnelState


_ABOUT_MANY = ConfigLoaded | SaSnapshot | LinkSnapshot | ClampSnapshot | BirdSnapshot | BirdGone
"""Inputs that are filed in steps."""

PASS_LIMIT = 500
"""Tunnels planned in one pass; the next inputs get their turn in between."""


class State:
    """All tunnels of one daemon.

    `jitter` returns numbers from 0 to 1; they spread what many tunnels would do at the same moment.
    """

    def __init__(self, jitter: Callable[[], float] = lambda: 0.5) -> None:
        self.birds: dict[str, BirdState] = {}
        self.alerts = Alerts()
        self._tunnels = Tunnels()
        self._bgp_news = BgpNews(self._tunnels)
        self._paths = Paths(self._tunnels)
        self.since = Since()
        self._assignment = Assignment(self._tunnels, self._paths, self.since)
        tallies = self._assignment.labels.tallies
        self._observations = Observations(self._tunnels, self.since, tallies)
        self._drops = Drops()
        self._initiations = Initiations(self._assignment.sas, jitter)
        self.modes = Modes()
        self.transitions = Transitions()
        self.adoptions = Adoptions()
        self._probing = Probing(
            self._tunnels, self.modes, jitter, may_ask=self._may_ask, doubt=self._paths.doubt
        )
        self._planner = Planner(
            self._tunnels,
            self._paths,
            self._assignment,
            self._observations,
            modes=self.modes,
            adoptions=self.adoptions,
        )

    # --- what is known ------------------------------------------------------------------------

    @property
    def tunnels(self) -> dict[str, Tunnel]:
        """All tunnels by name."""
        return self._tunnels.by_name

    def tunnel(self, name: str) -> Tunnel | None:
        """Return a tunnel by its label or its interface, None where there is none yet."""
        return self.labels.tunnel(name) or self.tunnels.get(name)

    @property
    def count(self) -> Mapping[TunnelState, int]:
        """How many tunnels are in each state; policies that wait for theirs are not counted."""
        return self._tunnels.count

    @property
    def in_error(self) -> Collection[Tunnel]:
        """The tunnels in error, the one that is so for longest first."""
        return self._tunnels.in_error.values()

    @property
    def vici_error(self) -> str | None:
        """Why the SAs may be out of date; None while VICI is connected."""
        return self._assignment.vici_error

    @property
    def problems(self) -> dict[int, str]:
        """SAs that cannot have a tunnel, by unique ID: one line each, with the way out."""
        return self._assignment.problems

    @property
    def sas(self) -> SaTable:
        """All CHILD_SAs that charon has."""
        return self._assignment.sas

    def served_by(self, unique_id: int) -> tuple[str, ...]:
        """Return the tunnels of an SA by their labels: one, or one for each direction."""
        names = self._assignment.tunnels_of.get(unique_id, ())
        found = (self.tunnels[name] for name in names if name in self.tunnels)
        return tuple(tunnel.label or tunnel.name for tunnel in found)

    @property
    def labels(self) -> Labels:
        """The names of the tunnels for operators."""
        return self._assignment.labels

    @property
    def patterns(self) -> Sequence[Policy]:
        """The policies that may have any number of tunnels."""
        return self._assignment.policies.patterns if self._assignment.policies else ()

    @property
    def netns_errors(self) -> dict[str, str]:
        """Why a namespace cannot be watched, by its name."""
        return self._observations.netns_errors

    @property
    def underlay(self) -> dict[Path, Underlay]:
        """Route and MTU to each peer, as far as they were looked up."""
        return self._paths.known

    @property
    def settled(self) -> bool:
        """Whether configuration and SAs are in, and each namespace is known or out of reach."""
        return self.vici_error is None and self.namespaces_known

    @property
    def namespaces_known(self) -> bool:
        """Whether each namespace is known or out of reach."""
        return all(
            self._observations.knows(netns) or netns in self.netns_errors
            for netns in self.namespaces()
        )

    def namespaces(self) -> frozenset[str]:
        """Namespaces that the configuration names, and vtid's own."""
        return self._assignment.namespaces()

    def initiations(self, clock_offset: float) -> tuple[Initiation, ...]:
        """Return the CHILD_SAs to initiate; `clock_offset` is Unix time minus `now`, in seconds."""
        return self._initiations.status(clock_offset)

    def probe_of(self, tunnel: Tunnel, clock_offset: float) -> ProbeStatus | None:
        """Return the probes of a tunnel, None where it is not probed; see `initiations`."""
        return self._probing.status(tunnel, clock_offset)

    def memory(self) -> Memory:
        """Return what is known now, for a `Rehearsal`; quick with any number of tunnels."""
        tunnels = self.tunnels.values()
        return Memory(
            sas=tuple(self.sas) if self._tunnels.sas_known else None,
            vici_error=self.vici_error,
            namespaces=self._observations.known,
            netns_errors=dict(self.netns_errors),
            underlay=dict(self.underlay),
            serving=dict(self._assignment.serving),
            modes=self.modes.told,
            flushed=self._planner.flushed,
            facts=facts_of(tunnels),
            routes=routes_of(tunnels),
        )

    def count_traffic(self, netns: str, read: Iterable[tuple[int, LinkCounters]]) -> None:
        """File what links of a namespace have counted, by their index."""
        self._observations.traffic(netns, read)

    def count_drops(self, netns: str, counted: Mapping[str, int]) -> None:
        """File what IPsec dropped in a namespace so far, by the reason."""
        self._drops.read(netns, counted)

    def drops_of(self, tunnel: Tunnel) -> str:
        """Return what IPsec drops while nothing comes through a tunnel, empty if nothing is."""
        return self._drops.of(tunnel, unanswered=self._probing.unanswered(tunnel))

    def take_durations(self) -> list[float]:
        """Return the seconds from event to done, once for each tunnel that got done."""
        return self._tunnels.take_durations()

    def take_notes(self) -> list[Note]:
        """Return the lines that have not been logged yet."""
        return self._tunnels.take_notes()

    def error_of(self, tunnel: Tunnel) -> str:
        """Return why a tunnel cannot be as desired, with the way out; empty if it can."""
        return self._planner.error_of(tunnel)

    # --- inputs -------------------------------------------------------------------------------

    def apply(self, event: Input, now: float) -> None:
        """File one input. An input about something unknown changes nothing."""
        for _ in self.filing(event, now):
            pass

    def filing(self, event: Input, now: float) -> Iterable[None]:
        """File one input; return the steps that are left if it is about many tunnels.

        Between the steps nothing else may change the state, and who reads it sees half of it.
        """
        steps: Iterable[None] = ()
        if not isinstance(event, _ABOUT_MANY):
            self._file(event, now)
            return steps
        match event:
            case ConfigLoaded():
                steps = self._use(event.config, now)
            case SaSnapshot():
                steps = self._sas_listed(event, now)
            case LinkSnapshot():
                steps = self._observations.links(event, now)
            case ClampSnapshot():
                steps = self._observations.clamps(event, now)
            case BirdSnapshot():
                steps = self._observations.bird_file(event, now)
            case BirdGone():
                steps = self._bird_gone(event, now)
        return steps

    def _file(self, event: Input, now: float) -> None:  # noqa: C901, PLR0912 - a table
        """File an input about one thing; those that come in storms stand first."""
        match event:
            case OpDone() | OpFailed():
                self._op_answered(event, now)
            case _ if isinstance(event, SaInput):
                self._sas_changed(event, now)
            case LinkSeen():
                self._observations.link(event)
            case LinkGone():
                self._observations.link_gone(event)
            case AddressSeen() | AddressGone():
                self._observations.address(event)
            case UnderlaySeen():
                self._paths.seen(event, now)
            case RouteSeen() | RouteGone() | RoutesSeen():
                self._observations.route(event)
            case ProbeAnswered():
                self._probing.told(event, now)
            case ViciLost():
                self._assignment.lost(event.reason, now)
            case NetnsLost():
                self._observations.netns_lost(event, now)
                self._drops.lost(event.netns)
            case BirdState():
                self._bird_seen(event, now)
            case LearntSeen():
                self._paths.learnt(event, now)
            case UnderlayChanged():
                self._paths.look_up_all(now)
            case Alert():
                self._alerted(event, now)
            case FullPassDue():
                self._tunnels.change_all()
            case FlushAsked():
                self._planner.flushed = True
                self._tunnels.change_all()
            case ModeAsked():
                self._use_mode(event, now)
            case AdoptAsked():
                self._adopt(event)

    def _use(self, config: Config, now: float) -> Iterator[None]:
        self._planner.flushed = False
        yield from self._assignment.use(config, now)
        self._initiations.use(config, self.labels.of)
        if self._tunnels.sas_known:
            self._find_missing_sas(now, anew=False)
        if self.transitions.use(self._tunnels, on=config.daemon.hooks is not None):
            self._tunnels.change_all()

    def _use_mode(self, event: ModeAsked, now: float) -> None:
        self.modes.use(event.tunnels, event.mode)
        if not event.tunnels:
            self._tunnels.change_all()
            self._initiations.begin_anew(now)
        for label in event.tunnels:
            self._initiations.begin_anew(now, label)
            if tunnel := self.tunnel(label):
                self._tunnels.changed(tunnel)

    def _adopt(self, event: AdoptAsked) -> None:
        found = map(self.tunnel, event.tunnels) if event.tunnels else self._tunnels
        asked = [tunnel for tunnel in found if tunnel and not tunnel.observed.link]
        self.adoptions.ask(asked)
        for tunnel in asked:
            self._tunnels.changed(tunnel)

    def _bird_seen(self, event: BirdState, now: float) -> None:
        self.birds[event.instance] = event
        self._bgp_news.seen(event)
        if event.error or not event.connected:
            self.since.begin(Kind.BIRD, event.instance, now)
        else:
            self.since.end(Kind.BIRD, event.instance)

    def _bird_gone(self, event: BirdGone, now: float) -> Iterator[None]:
        self.birds.pop(event.instance, None)
        self._bgp_news.gone(event.instance)
        self.since.end(Kind.BIRD, event.instance)
        yield from self._observations.bird_file(BirdSnapshot(event.instance, ()), now)

    def _alerted(self, event: Alert, now: float) -> None:
        if self.alerts.file(event, now):
            self._tunnels.note("warning", "charon alert", event.connection, words(event))

    def _sas_changed(self, event: SaInput, now: float) -> None:
        changes = self._assignment.file(event, now)
        if changes.joined or changes.left:
            self._follow(changes, now)
        if isinstance(event, ChildRekeyed):
            self._assignment.count_rekey(event.sa)

    def _sas_listed(self, event: SaSnapshot, now: float) -> Iterator[None]:
        was_lost = self.vici_error is not None
        self._follow((yield from self._assignment.list_all(event, now)), now)
        self.since.end(Kind.VICI, "")
        self._find_missing_sas(now, anew=was_lost)

    def _follow(self, changes: Changes, now: float) -> None:
        for sa in changes.joined:
            self.alerts.clear(sa.connection)
        children = [(sa.connection, sa.child) for sa in (*changes.joined, *changes.left)]
        self._initiations.check(children, now)

    def _find_missing_sas(self, now: float, *, anew: bool) -> None:
        if anew:
            self._initiations.begin_anew(now)
        else:
            self._initiations.check_all(now)

    def _op_answered(self, event: OpDone | OpFailed, now: float) -> None:
        op = event.op
        if isinstance(op, SendProbe | Rekey):
            self._probing.told(event, now)
        elif isinstance(op, Initiate):
            self._initiate_answered(op, event, now)
        elif isinstance(event, OpDone):
            self._op_done(event, now)
        else:
            self._op_failed(event, now)

    def _initiate_answered(self, op: Initiate, event: OpDone | OpFailed, now: float) -> None:
        if news := self._initiations.answered(op, event, now):
            self._tunnels.failed(op.tunnel, news)

    def _op_done(self, event: OpDone, now: float) -> None:
        if tunnel := self._tunnels.get(event.op.tunnel):
            remember(tunnel, event, now)
            self._observations.done(tunnel, event.op)
            self._bgp_news.done(event.op)
            match event.op:
                case AdoptLink():
                    self.adoptions.answered(tunnel, event)
                case ProbeUnderlay():
                    self._paths.answered(tunnel, event.op, now)
            self._answered(tunnel)

    def _op_failed(self, event: OpFailed, now: float) -> None:
        tunnel = self._tunnels.get(event.op.tunnel)
        if tunnel is None:
            return
        remember(tunnel, event, now)
        if tunnel.progress.failed(event.error, now):
            self._tunnels.failed(tunnel.name, event.error)
        match event.op:
            case AdoptLink():
                self.adoptions.answered(tunnel, event)
            case ProbeUnderlay():
                self._paths.failed(tunnel, event.op, now)
                if self.adoptions.wants(tunnel):
                    self.adoptions.answered(tunnel, event)
        self._answered(tunnel)

    def _answered(self, tunnel: Tunnel) -> None:
        if tunnel.progress.answered():
            self._tunnels.busy.discard(tunnel.name)
            self._tunnels.revisit(tunnel)

    # --- what is asked for --------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when `work` is due without any input, None for never."""
        parts = (self._tunnels, self._initiations, self._probing)
        deadlines = (part.next_deadline() for part in parts)
        return min((when for when in deadlines if when is not None), default=None)

    def has_work(self) -> bool:
        """Whether any tunnel is dirty."""
        return self._tunnels.dirty

    def is_busy(self) -> bool:
        """Whether any tunnel is dirty or has operations under way."""
        return self.has_work() or bool(self._tunnels.busy)

    @property
    def under_way(self) -> int:
        """How many tunnels are dirty or have operations under way."""
        return self._tunnels.under_way

    def is_synced(self, tunnel: Tunnel) -> bool:
        """Whether everything of a tunnel was as desired when it changed last."""
        return tunnel.progress.settled and not self._tunnels.is_dirty(tunnel)

    def work(
        self, now: float, limit: int = PASS_LIMIT, since: float | None = None
    ) -> tuple[Op, ...]:
        """Return the operations for up to `limit` dirty tunnels, which are busy from now on.

        `since` is when the inputs came that were applied last; without it, now.
        """
        ops = [op for step in self.working(now, limit, since) for op in step]
        return tuple(ops)

    def working(
        self, now: float, limit: int = PASS_LIMIT, since: float | None = None
    ) -> Iterator[Iterable[Op]]:
        """Yield the operations for each of the tunnels, and then all others: `work` in steps.

        Between the steps nothing else may change the state.
        """
        for tunnel in self._tunnels.take_dirty(now, limit):
            self._probing.adopt(tunnel)
            ops = self._planner.begin(tunnel, now, now if since is None else since)
            if self.transitions.on:
                there = self._tunnels.get(tunnel.name) is tunnel
                self.transitions.look(tunnel, there=there)
            yield ops
            self._probing.follow(tunnel, now)
        yield tuple(self._initiations.work(now, self._may_ask))
        yield tuple(self._probing.work(now, since))

    def _may_ask(self, label: str) -> bool:
        """Whether charon may be asked to initiate an SA for the tunnel that has a label."""
        able = self.vici_error is None and not self._planner.flushed
        return able and self.modes.of(label) is not Mode.PAUSED

    def preview(self, now: float, names: Iterable[str] | None = None) -> tuple[Op, ...]:
        """Return the operations that a full pass would begin now, for some tunnels or for all."""
        wanted = self._tunnels.by_name if names is None else names
        found = (tunnel for name in wanted if (tunnel := self._tunnels.get(name)))
        return tuple(op for tunnel in found for op in self._planner.preview(tunnel, now))
