"""Status: the state as operators see it, for `vtictl`, the control API and the metrics. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from vtid.core.policies import ANY_CHILD, fits
from vtid.core.underlay import Underlay
from vtid.model.bgp import BgpState
from vtid.model.bounds import smallest
from vtid.model.counts import NO_COUNTS
from vtid.model.link import tunnel_name
from vtid.model.mode import Mode
from vtid.model.sa import newest_sa
from vtid.model.status import PatternStatus, Status, TunnelDetails, TunnelState, TunnelStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from vtid.config.keys import Policy
    from vtid.core.state import State
    from vtid.core.tunnels import Tunnel
    from vtid.model.bgp import BgpSession
    from vtid.model.loaded import Loaded

_PAUSED = "paused by the operator: it stays as it is until `vtictl resume`"

_UNKNOWN = Underlay(mtu=0)


def status(
    state: State,
    *,
    rows: Iterable[TunnelStatus] | None = None,
    version: str,
    started_at: float,
    config_loaded_at: float,
    config_error: str,
    waiting_for: tuple[str, ...],
    clock_offset: float,
    leftovers: tuple[str, ...] = (),
    loaded: Loaded | None = None,
) -> Status:
    """Return the status; without the `rows` of tunnels the cost does not depend on their number.

    `clock_offset` is Unix time minus the state's clock, in seconds. `leftovers` are lines about
    interfaces of ours in namespaces that the configuration does not name. `loaded` is what charon
    has loaded, where that is known.
    """
    return Status(
        version=version,
        started_at=started_at,
        config_loaded_at=config_loaded_at,
        config_error=config_error,
        vici_connected=state.vici_error is None,
        vici_error=state.vici_error or "",
        namespaces=tuple(
            (netns, state.netns_errors.get(netns, "")) for netns in sorted(state.namespaces())
        ),
        ready=not waiting_for,
        waiting_for=waiting_for,
        tunnels=() if rows is None else in_order(rows),
        patterns=() if rows is None else tuple(_patterns(state)),
        birds=tuple(state.birds[name] for name in sorted(state.birds)),
        initiations=state.initiations(clock_offset),
        alerts=tuple(sorted(state.alerts.count.items())),
        loaded=None if rows is None else loaded,
        problems=(
            *leftovers,
            *(state.problems[unique_id] for unique_id in sorted(state.problems)),
        ),
    )


def details(state: State, name: str, clock_offset: float) -> TunnelDetails | None:
    """Return the status of one tunnel and its history, None where there is no such tunnel.

    `name` is its label, or its interface after `NETNS/`. No other tunnel is looked at.
    """
    tunnel = state.tunnel(name)
    if tunnel is None:
        return next(
            (_detailed(one) for one in awaited(state) if name in {one.tunnel, _place(one)}), None
        )
    past = tuple(replace(op, at=op.at + clock_offset) for op in tunnel.history)
    one = _tunnel(state, tunnel, _protocols(state, [tunnel]), clock_offset)
    return replace(_detailed(one), synced=state.is_synced(tunnel), history=past)


def _detailed(one: TunnelStatus) -> TunnelDetails:
    return TunnelDetails(**{member.name: getattr(one, member.name) for member in fields(one)})


def _place(one: TunnelStatus) -> str:
    return tunnel_name(one.netns, one.interface)


def tunnel_rows(state: State, clock_offset: float) -> Iterator[TunnelStatus]:
    """Yield the tunnels that exist, and those that their policies still wait for.

    The state may change between two of them, but may not be half of it. A tunnel that is gone by
    then is left out, and so is one with the name of an earlier one.
    """
    protocols = {
        (bird.instance, bgp.protocol): bgp
        for bird in state.birds.values()
        for bgp in bird.protocols
    }
    named: set[tuple[str, bool]] = set()
    for tunnel in tuple(state.tunnels.values()):
        if state.tunnels.get(tunnel.name) is tunnel:
            row = _tunnel(state, tunnel, protocols, clock_offset)
            if (row.tunnel, row.series) not in named:
                named.add((row.tunnel, row.series))
                yield row
    for row in tuple(awaited(state)):
        if (row.tunnel, row.series) not in named:
            yield row


def some(
    state: State, names: Iterable[str], labels: Collection[str], clock_offset: float
) -> tuple[TunnelStatus, ...]:
    """Return those of these names, and of those that their policies wait for those of `labels`.

    No other tunnel gets a status.
    """
    tunnels = [tunnel for name in names if (tunnel := state.tunnels.get(name))]
    protocols = _protocols(state, tunnels)
    there = (_tunnel(state, tunnel, protocols, clock_offset) for tunnel in tunnels)
    still = awaited(state, labels) if labels else ()
    return tuple(sorted([*there, *still], key=_order))


def _protocols(state: State, tunnels: Iterable[Tunnel]) -> dict[tuple[str, str], BgpState]:
    """Return the sessions of these tunnels as BIRD reports them."""
    names = {
        session.name
        for tunnel in tunnels
        for block in tunnel.observed.birds
        for session in block.sessions
    }
    return {
        (bird.instance, bgp.protocol): bgp
        for bird in state.birds.values()
        for bgp in bird.protocols
        if bgp.protocol in names
    }


def in_order(rows: Iterable[TunnelStatus]) -> tuple[TunnelStatus, ...]:
    """Return the tunnels as they are listed; quick for those that are in order already."""
    return tuple(sorted(rows, key=_order))


def _order(one: TunnelStatus) -> tuple[str, str]:
    return one.tunnel, one.interface


def waiting(
    state: State, labels: Collection[str] | None = None
) -> Iterator[tuple[Policy, str, str]]:
    """Yield the policies that wait for their tunnel, each with its label and with what is wrong.

    With `labels`, only those of these.
    """
    refused: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for unique_id, why in state.problems.items():
        if sa := state.sas.get(unique_id):
            refused[sa.connection].append((sa.child, why))
    for policy, label in tuple(state.labels.waiting()):  # they may change meanwhile
        if labels is None or label in labels:
            of_child = (
                why for child, why in refused.get(policy.connection, ()) if fits(policy, child)
            )
            yield policy, label, next(of_child, "")


def awaited(state: State, labels: Collection[str] | None = None) -> Iterator[TunnelStatus]:
    """Yield the tunnels that their policies still wait for; with `labels`, those of them."""
    for policy, label, error in waiting(state, labels):
        yield TunnelStatus(
            tunnel=label,
            interface=policy.interface,
            netns=policy.netns,
            policy=_name(policy),
            state=TunnelState.ERROR if error else TunnelState.DOWN,
            reason=_with_alert(_never_up(policy), policy, state, down_since=0.0),
            error=error,
            mode=state.modes.of(label),
            counts=state.labels.tallies.counts(label),
        )


def _with_alert(reason: str, policy: Policy | None, state: State, *, down_since: float) -> str:
    """Return the reason of a tunnel without SA, with the last complaint of charon."""
    alert = state.alerts.words(policy.connection, down_since) if policy else ""
    return f"{reason}; {alert}" if alert else reason


def _never_up(policy: Policy) -> str:
    child = "" if policy.child == ANY_CHILD else f"/{policy.child}"
    return f"no CHILD_SA of {policy.connection}{child} since start"


def _patterns(state: State) -> Iterator[PatternStatus]:
    """Yield the policies that may have any number of tunnels, with how many they have."""
    if not state.patterns:
        return
    tunnels, up = Counter[int](), Counter[int]()
    for tunnel in state.tunnels.values():
        tunnels[id(tunnel.policy)] += 1
        up[id(tunnel.policy)] += tunnel.state is TunnelState.UP
    for policy in state.patterns:
        yield PatternStatus(
            policy=_name(policy),
            interface=policy.interface,
            netns=policy.netns,
            tunnels=tunnels[id(policy)],
            up=up[id(policy)],
        )


def _name(policy: Policy | None) -> str:
    return f"{policy.connection}/{policy.child}" if policy else ""


def _tunnel(
    state: State,
    tunnel: Tunnel,
    protocols: dict[tuple[str, str], BgpState],
    clock_offset: float,
) -> TunnelStatus:
    known = [state.underlay[path] for path in tunnel.paths if path in state.underlay]
    underlay = min(known, key=lambda one: one.mtu, default=_UNKNOWN)
    policy = tunnel.policy
    bounds = tunnel.desired.bounds if tunnel.sas else ()
    never_up = tunnel.last_sa is None and tunnel.observed.link is None and not tunnel.declared
    reason = _never_up(policy) if policy and never_up else tunnel.desired.reason
    if not tunnel.sas:
        reason = _with_alert(reason, policy, state, down_since=tunnel.since)
    if dropped := state.drops_of(tunnel):
        reason = f"{reason}; {dropped}"
    mode = state.modes.of_tunnel(tunnel)
    sas = tuple(tunnel.sas[unique_id] for unique_id in sorted(tunnel.sas))
    newest = newest_sa(sas)
    return TunnelStatus(
        tunnel=tunnel.label or tunnel.name,
        interface=tunnel.interface,
        netns=tunnel.netns,
        policy=_name(policy),
        state=tunnel.state,
        reason=_PAUSED if mode is Mode.PAUSED else reason,
        error=state.error_of(tunnel),
        since=tunnel.since + clock_offset if tunnel.since else 0.0,
        sas=sas,
        ike=state.sas.ike_of(newest) if newest else None,
        link=tunnel.observed.link,
        ifindex=tunnel.observed.ifindex,
        addresses=tuple(sorted(tunnel.observed.addresses)),
        clamp=tunnel.observed.clamp,
        path_mtu=tunnel.desired.path_mtu if tunnel.sas else 0,
        mtu_bounds=bounds,
        mtu_limit=smallest(bounds),
        underlay_mtu=underlay.mtu,
        underlay_interface=underlay.interface,
        dropped=dropped,
        bgp=_sessions(tunnel, protocols),
        failures=tunnel.progress.failures,
        routes=tuple(sorted(tunnel.routes.there)),
        probe=state.probe_of(tunnel, clock_offset),
        mode=mode,
        series=bool(tunnel.label),
        counts=tunnel.tally.counts if tunnel.label and tunnel.tally else NO_COUNTS,
    )


def _missing(session: BgpSession, instance: str) -> BgpState:
    neighbor = session.neighbor
    return BgpState(session.name, state="", info="", since="", neighbor=neighbor, bird=instance)


def _sessions(tunnel: Tunnel, protocols: dict[tuple[str, str], BgpState]) -> tuple[BgpState, ...]:
    """Return the sessions as BIRD reports them; one that it does not have has an empty state."""
    return tuple(
        protocols.get(
            (block.instance, session.name),
            _missing(session, block.instance),
        )
        for block in tunnel.observed.birds
        for session in block.sessions
    )
