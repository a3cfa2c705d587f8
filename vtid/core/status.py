"""Status: the state as operators see it, for `vtictl`, the control API and the metrics. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.core.desired import Underlay
from vtid.model.bgp import BgpState
from vtid.model.status import Status, TunnelStatus

if TYPE_CHECKING:
    from vtid.core.state import State
    from vtid.core.tunnels import Tunnel
    from vtid.model.bgp import BgpSession

_UNKNOWN = Underlay(mtu=0)


def status(
    state: State,
    *,
    tunnels: bool = True,
    version: str,
    started_at: float,
    config_loaded_at: float,
    config_error: str,
    waiting_for: tuple[str, ...],
    clock_offset: float,
    leftovers: tuple[str, ...] = (),
) -> Status:
    """Return the status of everything; without `tunnels` it costs the same however many there are.

    `clock_offset` is Unix time minus the state's clock, in seconds. `leftovers` are lines about
    interfaces of ours in namespaces that the configuration does not name.
    """
    protocols = {
        (bird.instance, bgp.protocol): bgp
        for bird in state.birds.values()
        for bgp in bird.protocols
    }
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
        tunnels=tuple(
            _tunnel(state, tunnel, protocols, clock_offset)
            for _, tunnel in sorted(state.tunnels.items() if tunnels else ())
        ),
        birds=tuple(state.birds[name] for name in sorted(state.birds)),
        initiations=state.initiations(clock_offset),
        problems=(
            *leftovers,
            *(state.problems[unique_id] for unique_id in sorted(state.problems)),
        ),
    )


def _tunnel(
    state: State,
    tunnel: Tunnel,
    protocols: dict[tuple[str, str], BgpState],
    clock_offset: float,
) -> TunnelStatus:
    known = [state.underlay[path] for path in tunnel.paths if path in state.underlay]
    underlay = min(known, key=lambda one: one.mtu, default=_UNKNOWN)
    policy = tunnel.policy
    return TunnelStatus(
        tunnel=tunnel.name,
        interface=tunnel.interface,
        netns=tunnel.netns,
        policy=f"{policy.connection}/{policy.child}" if policy else "",
        state=tunnel.state,
        reason=tunnel.desired.reason,
        error=state.error_of(tunnel),
        since=tunnel.since + clock_offset if tunnel.since else 0.0,
        sas=tuple(tunnel.sas[unique_id] for unique_id in sorted(tunnel.sas)),
        link=tunnel.observed.link,
        ifindex=tunnel.observed.ifindex,
        addresses=tuple(sorted(tunnel.observed.addresses)),
        clamp=tunnel.observed.clamp,
        underlay_mtu=underlay.mtu,
        underlay_interface=underlay.interface,
        bgp=_sessions(tunnel, protocols),
        failures=tunnel.progress.failures,
        routes=tuple(sorted(tunnel.observed.routes)),
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
