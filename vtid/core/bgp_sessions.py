"""BGP sessions for operators: those that the configuration wants, and why one is not there. Pure.

Rules of this file:

* What BIRD has is told in its own words. What it does not have is told with the reason, from the
  tunnel to BIRD: no SA, drained, not written, refused, not loaded.
* The state may change between two tunnels: an operator's question is answered in turns.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from vtid.core.bgp import name_of
from vtid.core.desired import with_addresses
from vtid.core.status import awaited
from vtid.model.bgp import BgpState
from vtid.model.mode import Mode
from vtid.model.status import BgpRow, TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.bgp import Bgp
    from vtid.core.state import State
    from vtid.core.tunnels import Tunnel
    from vtid.model.bgp import BgpSession
    from vtid.model.status import TunnelStatus

_FACTS = tuple(one.name for one in fields(BgpState))


def sessions(state: State, label: str = "") -> Iterator[tuple[BgpRow, ...]]:
    """Yield the sessions of each tunnel, or of the one with a label."""
    known = {
        (bird.instance, one.protocol): one
        for bird in state.birds.values()
        for one in bird.protocols
    }
    wanted = (state.tunnel(label),) if label else tuple(state.tunnels.values())
    for tunnel in wanted:
        if tunnel:
            yield tuple(_of_tunnel(state, tunnel, known))
    waiting = {name: policy for policy, name in state.labels.waiting()}
    for status in awaited(state):
        if label in {"", status.tunnel} and status.tunnel in waiting:
            yield tuple(_of_awaited(waiting[status.tunnel].bgp, status))


def _of_awaited(wanted: tuple[Bgp, ...], status: TunnelStatus) -> Iterator[BgpRow]:
    for bgp in wanted:
        yield BgpRow(
            name_of(status.interface, bgp),
            state="",
            info="",
            since="",
            neighbor=bgp.neighbor,
            bird=bgp.bird,
            tunnel=status.tunnel,
            tunnel_state=status.state,
            local_as=bgp.local_as,
            remote_as=bgp.remote_as,
            missing=status.error or status.reason,
        )


def _of_tunnel(
    state: State, tunnel: Tunnel, known: dict[tuple[str, str], BgpState]
) -> Iterator[BgpRow]:
    written = {
        (block.instance, session.name): session
        for block in tunnel.observed.birds
        for session in block.sessions
    }
    for key, session in written.items():
        found = known.get(key)
        yield _row(tunnel, key, session, found, "" if found else _why_not_there(state, tunnel, key))
    for bgp in _wanted(tunnel, has_some=bool(written)):
        key = (bgp.bird, name_of(tunnel.interface, bgp))
        if key not in written:
            yield _row(tunnel, key, bgp, None, _why_not_written(state, tunnel))


def _wanted(tunnel: Tunnel, *, has_some: bool) -> Iterator[Bgp]:
    """Yield the sessions of the policy; a template without SA only if nothing came of it yet."""
    policy = tunnel.policy
    if policy is None:
        return
    filled = with_addresses(policy, tunnel.members.newest) if tunnel.sas else policy
    for bgp in filled.bgp:
        if "{" not in bgp.neighbor or not has_some:
            yield bgp


def _row(
    tunnel: Tunnel,
    key: tuple[str, str],
    session: BgpSession | Bgp,
    found: BgpState | None,
    missing: str,
) -> BgpRow:
    bird, protocol = key
    neighbor = session.neighbor
    there = found or BgpState(protocol, state="", info="", since="", neighbor=neighbor, bird=bird)
    return BgpRow(
        **{name: getattr(there, name) for name in _FACTS},
        tunnel=tunnel.label or tunnel.name,
        tunnel_state=tunnel.state,
        local_as=session.local_as,
        remote_as=session.remote_as,
        missing=missing,
    )


def _why_not_written(state: State, tunnel: Tunnel) -> str:
    if state.modes.of_tunnel(tunnel) is Mode.DRAINED:
        return "the tunnel is drained: `vtictl resume` brings it back"
    if tunnel.state is not TunnelState.UP:
        return f"the tunnel is {tunnel.state}: {state.error_of(tunnel) or tunnel.desired.reason}"
    return "vtid has yet to write it"


def _why_not_there(state: State, tunnel: Tunnel, key: tuple[str, str]) -> str:
    bird = state.birds.get(key[0])
    if bird is None or not bird.connected:
        return f"BIRD {key[0]} is not connected: {bird.error if bird else 'not yet'}"
    if bird.refusal and tunnel.name in bird.refusal.tunnels:
        return f"BIRD {key[0]} refused it: {bird.refusal.message}"
    if bird.unconfirmed:
        return f"BIRD {key[0]} has yet to take its file"
    return f"BIRD {key[0]} has no such session: {bird.error or 'it is to have it soon'}"
