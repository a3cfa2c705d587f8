"""Metrics of tunnels: families, and how they follow from a status. Pure.

The rules are those of `vtid.http.metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.exposition import Family, family, labels, one_hot
from vtid.model.mode import Mode
from vtid.model.sa import newest_sa
from vtid.model.status import TunnelState, carries

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.http.exposition import Exposition
    from vtid.model.counts import Counts, LinkCounters
    from vtid.model.status import PatternStatus, Status, TunnelStatus


def write_tunnels(out: Exposition, status: Status) -> None:
    """Write the series of the tunnels, and of the policies that may have any number of them."""
    tunnels = [_Row(one) for one in status.tunnels if one.series]
    rows = {labels(tunnel=row.tunnel.tunnel): row for row in tunnels}
    out.write(_TUNNEL, rows)
    out.write(_COUNTS, rows)
    out.write(_TUNNEL_INFO, {_tunnel_info(row): row for row in tunnels})
    out.write(_PATTERN, {_pattern_labels(one): one for one in status.patterns})


class _Row:
    """A tunnel with the newest of its CHILD_SAs."""

    __slots__ = ("newest", "tunnel")

    def __init__(self, tunnel: TunnelStatus) -> None:
        self.tunnel = tunnel
        self.newest = newest_sa(tunnel.sas)


_TUNNEL: tuple[Family[_Row], ...] = (
    family(
        "gauge",
        "vtid_tunnel_up",
        "Whether the tunnel has an SA and its interface is up.",
        lambda row: int(carries(row.tunnel.state, row.tunnel.link, has_sa=bool(row.tunnel.sas))),
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
        "TCP maximum segment size in force: connections through the tunnel are clamped to it.",
        (
            ('family="ipv4"', lambda row: row.tunnel.clamp.mss4 if row.tunnel.clamp else None),
            ('family="ipv6"', lambda row: row.tunnel.clamp.mss6 if row.tunnel.clamp else None),
        ),
    ),
)


def _happened(name: str, text: str, value: Callable[[Counts], int]) -> Family[_Row]:
    return family(
        "counter",
        f"vtid_tunnel_{name}_total",
        f"{text}, since vtid started.",
        lambda row: value(row.tunnel.counts),
    )


def _traffic(name: str, text: str, value: Callable[[LinkCounters], int]) -> Family[_Row]:
    return family(
        "counter",
        f"vtid_tunnel_{name}_total",
        f"{text} all interfaces that the tunnel had since vtid started.",
        lambda row: value(row.tunnel.counts.traffic) if row.tunnel.counts.traffic else None,
    )


_COUNTS: tuple[Family[_Row], ...] = (
    _happened("ups", "Times that the tunnel came up", lambda c: c.ups),
    _happened("downs", "Times that the tunnel went down", lambda c: c.downs),
    _happened("rekeys", "Rekeyings of the tunnel's CHILD_SAs", lambda c: c.rekeys),
    _happened("retries", "Further tries of operations that had failed", lambda c: c.retries),
    _traffic("receive_bytes", "Bytes received through", lambda c: c.rx_bytes),
    _traffic("transmit_bytes", "Bytes sent through", lambda c: c.tx_bytes),
    _traffic("receive_packets", "Packets received through", lambda c: c.rx_packets),
    _traffic("transmit_packets", "Packets sent through", lambda c: c.tx_packets),
    _traffic("receive_errors", "Receive errors of", lambda c: c.rx_errors),
    _traffic("transmit_errors", "Transmit errors of", lambda c: c.tx_errors),
    _traffic("receive_drops", "Received packets dropped by", lambda c: c.rx_dropped),
    _traffic("transmit_drops", "Packets to send dropped by", lambda c: c.tx_dropped),
    _traffic(
        "transmit_carrier_errors",
        "Packets to send for which there was no SA or no route, of",
        lambda c: c.tx_carrier_errors,
    ),
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
