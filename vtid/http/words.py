"""Words: what the page says of one tunnel. Pure.

Rule of this file: texts are as they came; whoever writes them into a page escapes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from vtid.model.bgp import BgpState
    from vtid.model.sa import ChildSa
    from vtid.model.status import TunnelStatus

SYMBOLS = {
    TunnelState.UP: "●",
    TunnelState.PENDING: "◆",
    TunnelState.HOLDING: "■",
    TunnelState.DOWN: "✕",
    TunnelState.ERROR: "▲",
}
"""A shape for each state, for those who do not tell colours apart."""


class Peer(NamedTuple):
    """Who is at the other end of a tunnel."""

    name: str
    """Its identity, or the connection while there is no SA."""
    address: str
    """Empty where it is not known, and for several peers."""


def newest(tunnel: TunnelStatus) -> ChildSa | None:
    """Return the CHILD_SA of a tunnel that was installed last."""
    return max(tunnel.sas, key=lambda sa: (sa.installed_at, sa.unique_id), default=None)


def peer(tunnel: TunnelStatus) -> Peer:
    """Return who is at the other end."""
    sa = newest(tunnel)
    connection = tunnel.policy.partition("/")[0]
    if sa is None:
        return Peer(connection or tunnel.tunnel, tunnel.link.remote if tunnel.link else "")
    if len(peers := {one.ike_unique_id for one in tunnel.sas}) > 1:
        hosts = {one.remote_host for one in tunnel.sas}
        if len(hosts) > 1:
            return Peer(f"{len(peers)} peers of {connection}", "")
    return Peer(sa.remote_id or connection, sa.remote_host)


def mtu_limit(tunnel: TunnelStatus) -> str:
    """Return what keeps the MTU from being larger; empty where that is not known."""
    link, probe = tunnel.link, tunnel.probe
    if link is None:
        return ""
    if tunnel.path_mtu and tunnel.path_mtu < link.mtu:
        return f"only {tunnel.path_mtu} fit into the SA"
    if probe and 0 < probe.proven_mtu < probe.computed_mtu:
        return f"limited by the path, {probe.computed_mtu} computed"
    if tunnel.underlay_mtu:
        where = f" on {tunnel.underlay_interface}" if tunnel.underlay_interface else ""
        return f"limited by {tunnel.underlay_mtu} outside{where}"
    return ""


def proven(tunnel: TunnelStatus) -> str:
    """Return what probes proved of the MTU; empty where nothing is probed."""
    probe = tunnel.probe
    if probe is None or not probe.search:
        return ""
    return f"{probe.proven_mtu} proven" if probe.proven_mtu else "unproven"


def session(one: BgpState) -> str:
    """Return the state of a session in the words of BIRD."""
    if not one.state:
        return "BIRD has no such session"
    return one.info or one.state


def bgp(tunnel: TunnelStatus) -> str:
    """Return the sessions in a few words; empty where there are none."""
    sessions = tunnel.bgp
    up = sum(one.established for one in sessions)
    if len(sessions) == 1:
        return session(sessions[0]).partition(" ")[0] if sessions[0].state else "missing"
    return f"{up} of {len(sessions)} established" if sessions else ""


def bgp_down(tunnel: TunnelStatus) -> bool:
    """Whether a session is not established."""
    return any(not one.established for one in tunnel.bgp)
