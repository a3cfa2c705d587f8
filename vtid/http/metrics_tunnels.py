"""Metrics of tunnels: families, and how they follow from a status. Pure.

The rules are those of `vtid.http.metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.exposition import AnyFamily, Family, SplitFamily, family, labels, one_hot
from vtid.model.bounds import Bound
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
    rows = _rows(status)
    out.write(_TUNNEL, rows)
    out.write(_HAPPENED, rows)
    out.write(_TUNNEL_INFO, {_tunnel_info(one): one for one in rows.values()})
    out.write(_PATTERN, {_pattern_labels(one): one for one in status.patterns})


def write_traffic(out: Exposition, status: Status) -> None:
    """Write what the tunnels' interfaces have counted."""
    rows = _rows(status)
    out.write(
        _TRAFFIC, {name: one.counts.traffic for name, one in rows.items() if one.counts.traffic}
    )


def write_mtu(out: Exposition, status: Status) -> None:
    """Write how large packets and TCP segments may be."""
    out.write(_MTU, _rows(status))


def _rows(status: Status) -> dict[str, TunnelStatus]:
    return {labels(tunnel=one.tunnel): one for one in status.tunnels if one.series}


_TUNNEL: tuple[AnyFamily[TunnelStatus], ...] = (
    family(
        "gauge",
        "vtid_tunnel_up",
        "Whether the tunnel has an SA and its interface is up.",
        lambda one: int(carries(one.state, one.link, has_sa=bool(one.sas))),
    ),
    one_hot(
        "vtid_tunnel_state",
        "State of the tunnel: 1 for the one that holds.",
        TunnelState,
        lambda one: one.state,
    ),
    family(
        "gauge",
        "vtid_tunnel_paused",
        "Whether the operator paused the tunnel.",
        lambda one: int(one.mode is Mode.PAUSED),
    ),
    family(
        "gauge",
        "vtid_tunnel_drained",
        "Whether the operator drained the tunnel.",
        lambda one: int(one.mode is Mode.DRAINED),
    ),
    family(
        "gauge",
        "vtid_tunnel_ipsec_drops",
        "Whether IPsec drops packets in the kernel while nothing comes through the tunnel, "
        "although its CHILD_SA is up.",
        lambda one: int(bool(one.dropped)),
    ),
    family(
        "gauge",
        "vtid_tunnel_state_changed_timestamp_seconds",
        "Unix time of the last change of state.",
        lambda one: one.since or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_failures",
        "Failed operations since the last success.",
        lambda one: one.failures,
    ),
    family(
        "gauge",
        "vtid_tunnel_child_sas",
        "Live CHILD_SAs of the tunnel; more than one during a rekey.",
        lambda one: len(one.sas),
    ),
)

_MTU: tuple[AnyFamily[TunnelStatus], ...] = (
    family(
        "gauge",
        "vtid_tunnel_mtu_bytes",
        "MTU of the tunnel's interface.",
        lambda one: one.link.mtu if one.link else None,
    ),
    family(
        "gauge",
        "vtid_tunnel_path_mtu_bytes",
        "Largest packet that fits into the CHILD_SA; with IPv6, the interface may have more.",
        lambda one: one.path_mtu or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_underlay_mtu_bytes",
        "MTU of the route to the peer, outside of the tunnel.",
        lambda one: one.underlay_mtu or None,
    ),
    SplitFamily(
        "vtid_tunnel_mss_bytes",
        "gauge",
        "TCP maximum segment size in force: connections through the tunnel are clamped to it.",
        ('family="ipv4"', 'family="ipv6"'),
        lambda one: (one.clamp.mss4, one.clamp.mss6) if one.clamp else (None, None),
    ),
    one_hot(
        "vtid_tunnel_mtu_limited",
        "What bounds the tunnel's MTU: 1 for the bound that counts, and `ciphers` where nothing "
        "but the overhead of ESP is in the way.",
        Bound,
        lambda one: one.mtu_limit,
        label="bound",
    ),
)


def _happened(name: str, text: str, value: Callable[[Counts], int]) -> Family[TunnelStatus]:
    return family(
        "counter",
        f"vtid_tunnel_{name}_total",
        f"{text}, since vtid started.",
        lambda one: value(one.counts),
    )


def _traffic(name: str, text: str, value: Callable[[LinkCounters], int]) -> Family[LinkCounters]:
    return family(
        "counter",
        f"vtid_tunnel_{name}_total",
        f"{text} all interfaces that the tunnel had since vtid started.",
        value,
    )


_HAPPENED: tuple[Family[TunnelStatus], ...] = (
    _happened("ups", "Times that the tunnel came up", lambda c: c.ups),
    _happened("downs", "Times that the tunnel went down", lambda c: c.downs),
    _happened("rekeys", "Rekeyings of the tunnel's CHILD_SAs", lambda c: c.rekeys),
    _happened("retries", "Further tries of operations that had failed", lambda c: c.retries),
)

_TRAFFIC: tuple[Family[LinkCounters], ...] = (
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
        "Tunnels that are up, of a policy that matches any number of connections or peers.",
        lambda one: one.up,
    ),
)


def _pattern_labels(one: PatternStatus) -> str:
    return labels(policy=one.policy, netns=one.netns, interface=one.interface)


_TUNNEL_INFO: tuple[Family[TunnelStatus], ...] = (
    family(
        "gauge",
        "vtid_tunnel_info",
        "What the tunnel is: policy, interface, endpoints and negotiated algorithms; always 1.",
        lambda _: 1,
    ),
)


def _tunnel_info(tunnel: TunnelStatus) -> str:
    link, newest = tunnel.link, newest_sa(tunnel.sas)
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
