"""Metrics: a `Status` as Prometheus text exposition format 0.0.4. Pure.

Rules of this file:

* A configured tunnel never disappears: one that is down shows 0, also before it came up first. Its
  `tunnel` label does not change with the name of its interface.
* Labels are bounded: no SPI, unique ID, mark or traffic selector, so a rekey makes no new series.
  What changes with the negotiation stands in `_info` series only.
* Times are Unix timestamps, never ages. States are one-hot sets of words, never numbers.
* What is not known has no sample; it is not 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.exposition import Family, family, labels, one_hot, write
from vtid.http.metrics_bird import write_birds, write_sessions
from vtid.http.metrics_probe import write_probes
from vtid.model.mode import Mode
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vtid.model.sa import ChildSa
    from vtid.model.status import (
        Initiation,
        LinkCounters,
        PatternStatus,
        Status,
        TunnelStatus,
    )


def render(status: Status, counters: Mapping[str, LinkCounters]) -> str:
    """Write all series of `status`; `counters` has the link counters by tunnel, where known."""
    lines: list[str] = []
    write(lines, _DAEMON, {"": status})
    write(lines, _BUILD, {labels(version=status.version): status})
    write(lines, _NETNS, {labels(netns=name): error for name, error in status.namespaces})
    write(lines, _ALERTS, {labels(type=name): count for name, count in status.alerts})
    write(lines, _INITIATE, {_initiate_labels(one): one for one in status.initiations})
    write_birds(lines, status)
    tunnels = [_Row(one, counters.get(one.tunnel)) for one in status.tunnels if one.series]
    write(lines, _TUNNEL, {labels(tunnel=row.tunnel.tunnel): row for row in tunnels})
    write_probes(lines, status)
    write(lines, _TUNNEL_INFO, {_tunnel_info(row): row for row in tunnels})
    write(lines, _PATTERN, {_pattern_labels(one): one for one in status.patterns})
    write_sessions(lines, status)
    lines.append("")
    return "\n".join(lines)


# --- the daemon ----------------------------------------------------------------------------------

_DAEMON: tuple[Family[Status], ...] = (
    family("gauge", "vtid_ready", "Whether readiness waits for nothing.", lambda s: int(s.ready)),
    family(
        "gauge",
        "vtid_vici_up",
        "Whether the VICI connection to charon is there.",
        lambda s: int(s.vici_connected),
    ),
    family(
        "gauge",
        "vtid_config_loaded_timestamp_seconds",
        "Unix time at which the configuration in use was loaded.",
        lambda s: s.config_loaded_at or None,
    ),
    family(
        "gauge",
        "vtid_config_reload_failed",
        "Whether the last reload was refused, so that an older configuration is in use.",
        lambda s: int(bool(s.config_error)),
    ),
    family(
        "gauge",
        "vtid_problems",
        "CHILD_SAs that no tunnel could be made for.",
        lambda s: len(s.problems),
    ),
)

_BUILD: tuple[Family[Status], ...] = (
    family("gauge", "vtid_build_info", "Version of vtid; always 1.", lambda _: 1),
)

_NETNS: tuple[Family[str], ...] = (
    family(
        "gauge",
        "vtid_netns_up",
        "Whether a network namespace is watched; the empty name is vtid's own.",
        lambda error: int(not error),
    ),
)

_ALERTS: tuple[Family[int], ...] = (
    family(
        "counter",
        "vtid_charon_alerts_total",
        "Errors that charon met, by type (strongSwan 6.0.3 and later).",
        lambda count: count,
    ),
)

# --- what charon is to initiate -------------------------------------------------------------------

_INITIATE: tuple[Family[Initiation], ...] = (
    family(
        "counter",
        "vtid_initiate_requests_total",
        "Times that charon was asked to initiate a CHILD_SA that a policy wants initiated.",
        lambda one: one.asked,
    ),
    family(
        "gauge",
        "vtid_initiate_up",
        "Whether a CHILD_SA that a policy wants initiated is there.",
        lambda one: int(one.up),
    ),
    family(
        "gauge",
        "vtid_initiate_error",
        "Whether charon refused to initiate a CHILD_SA when it was asked last.",
        lambda one: int(bool(one.error)),
    ),
)


def _initiate_labels(one: Initiation) -> str:
    return labels(connection=one.connection, child=one.child)


# --- tunnels -------------------------------------------------------------------------------------


class _Row:
    """A tunnel with its link counters, and the newest of its CHILD_SAs."""

    __slots__ = ("counters", "newest", "tunnel")

    def __init__(self, tunnel: TunnelStatus, counters: LinkCounters | None) -> None:
        self.tunnel = tunnel
        self.counters = counters
        self.newest = newest_sa(tunnel.sas)


def newest_sa(sas: tuple[ChildSa, ...]) -> ChildSa | None:
    """Find the CHILD_SA that was installed last: the one whose keys protect what is sent."""
    if len(sas) <= 1:
        return sas[0] if sas else None
    return max(sas, key=lambda sa: (sa.installed_at, sa.unique_id))


def is_up(tunnel: TunnelStatus) -> bool:
    """Whether the tunnel has an SA and its interface is up.

    A tunnel that is being changed in place (a rekey with another MTU, an endpoint that moved)
    stays up meanwhile.
    """
    if tunnel.state is TunnelState.UP:
        return True
    in_place = tunnel.link is not None and tunnel.link.up and bool(tunnel.sas)
    return tunnel.state is TunnelState.PENDING and in_place


def _counter(name: str, text: str, value: Callable[[LinkCounters], int]) -> Family[_Row]:
    return family(
        "counter",
        f"vtid_tunnel_{name}_total",
        f"{text} the tunnel's interface since it was created.",
        lambda row: value(row.counters) if row.counters is not None else None,
    )


_TUNNEL: tuple[Family[_Row], ...] = (
    family(
        "gauge",
        "vtid_tunnel_up",
        "Whether the tunnel has an SA and its interface is up.",
        lambda row: int(is_up(row.tunnel)),
    ),
    one_hot(
        "vtid_tunnel_state",
        "State of the tunnel: 1 for the one that holds.",
        TunnelState,
        lambda row: row.tunnel.state,
    ),
    family(
        "gauge",
        "vtid_tunnel_paused",
        "Whether the operator paused the tunnel.",
        lambda row: int(row.tunnel.mode is Mode.PAUSED),
    ),
    family(
        "gauge",
        "vtid_tunnel_drained",
        "Whether the operator drained the tunnel.",
        lambda row: int(row.tunnel.mode is Mode.DRAINED),
    ),
    family(
        "gauge",
        "vtid_tunnel_state_changed_timestamp_seconds",
        "Unix time of the last change of state.",
        lambda row: row.tunnel.since or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_failures",
        "Failed operations since the last success.",
        lambda row: row.tunnel.failures,
    ),
    family(
        "gauge",
        "vtid_tunnel_child_sas",
        "Live CHILD_SAs of the tunnel; more than one during a rekey.",
        lambda row: len(row.tunnel.sas),
    ),
    family(
        "gauge",
        "vtid_tunnel_sa_installed_timestamp_seconds",
        "Unix time at which the newest CHILD_SA was installed.",
        lambda row: row.newest.installed_at or None if row.newest else None,
    ),
    family(
        "gauge",
        "vtid_tunnel_mtu_bytes",
        "MTU of the tunnel's interface.",
        lambda row: row.tunnel.link.mtu if row.tunnel.link else None,
    ),
    family(
        "gauge",
        "vtid_tunnel_path_mtu_bytes",
        "Largest packet that fits into the CHILD_SA; with IPv6, the interface may have more.",
        lambda row: row.tunnel.path_mtu or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_underlay_mtu_bytes",
        "MTU of the route to the peer, outside of the tunnel.",
        lambda row: row.tunnel.underlay_mtu or None,
    ),
    Family(
        "vtid_tunnel_mss_bytes",
        "gauge",
        "TCP maximum segment size that connections through the tunnel are clamped to.",
        (
            ('family="ipv4"', lambda row: row.tunnel.clamp.mss4 if row.tunnel.clamp else None),
            ('family="ipv6"', lambda row: row.tunnel.clamp.mss6 if row.tunnel.clamp else None),
        ),
    ),
    _counter("receive_bytes", "Bytes received through", lambda c: c.rx_bytes),
    _counter("transmit_bytes", "Bytes sent through", lambda c: c.tx_bytes),
    _counter("receive_packets", "Packets received through", lambda c: c.rx_packets),
    _counter("transmit_packets", "Packets sent through", lambda c: c.tx_packets),
    _counter("receive_errors", "Receive errors of", lambda c: c.rx_errors),
    _counter("transmit_errors", "Transmit errors of", lambda c: c.tx_errors),
)

_PATTERN: tuple[Family[PatternStatus], ...] = (
    family(
        "gauge",
        "vtid_pattern_tunnels",
        "Tunnels of a policy that matches any number of connections or peers.",
        lambda one: one.tunnels,
    ),
    family(
        "gauge",
        "vtid_pattern_tunnels_up",
        "Tunnels of such a policy that are up.",
        lambda one: one.up,
    ),
)


def _pattern_labels(one: PatternStatus) -> str:
    return labels(policy=one.policy, netns=one.netns, interface=one.interface)


_TUNNEL_INFO: tuple[Family[_Row], ...] = (
    family(
        "gauge",
        "vtid_tunnel_info",
        "What the tunnel is: policy, interface, endpoints and negotiated algorithms; always 1.",
        lambda _: 1,
    ),
)


def _tunnel_info(row: _Row) -> str:
    tunnel, link, newest = row.tunnel, row.tunnel.link, row.newest
    return labels(
        tunnel=tunnel.tunnel,
        policy=tunnel.policy,
        netns=tunnel.netns,
        interface=tunnel.interface,
        kind=link.kind if link else "",
        local=newest.local_host if newest else link.local if link else "",
        remote=newest.remote_host if newest else link.remote if link else "",
        esp=str(newest.esp) if newest else "",
        encap="" if newest is None else "udp" if newest.encap else "none",
    )
