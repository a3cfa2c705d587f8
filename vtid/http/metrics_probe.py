"""Metrics of the probes through tunnels, as part of `metrics`. Pure.

Rules of this file: those of `metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.exposition import Family, family, labels

if TYPE_CHECKING:
    from vtid.http.exposition import Exposition
    from vtid.model.status import ProbeStatus, Status


def write_probes(out: Exposition, status: Status) -> None:
    """Write the series of all tunnels that are probed."""
    probed = (one for one in status.tunnels if one.series)
    out.write(_PROBE, {labels(tunnel=one.tunnel): one.probe for one in probed if one.probe})


_PROBE: tuple[Family[ProbeStatus], ...] = (
    family(
        "counter",
        "vtid_tunnel_probe_sent_total",
        "Echo requests to the peer through the tunnel.",
        lambda probe: probe.sent,
    ),
    family(
        "counter",
        "vtid_tunnel_probe_answered_total",
        "Echo requests to the peer that were answered; those too large for the path are not.",
        lambda probe: probe.answered,
    ),
    family(
        "gauge",
        "vtid_tunnel_probe_rtt_seconds",
        "Round-trip time of the last probe that was answered.",
        lambda probe: probe.rtt if probe.answered else None,
    ),
    family(
        "gauge",
        "vtid_tunnel_probe_last_answer_timestamp_seconds",
        "Unix time of the last answer to a probe.",
        lambda probe: probe.answered_at or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_probe_alive",
        "Whether the peer answers; only with `interval`, and while there is a CHILD_SA.",
        lambda probe: None if probe.alive is None else int(probe.alive),
    ),
    family(
        "gauge",
        "vtid_tunnel_mtu_computed_bytes",
        "MTU that ciphers, route and configuration allow.",
        lambda probe: probe.computed_mtu or None,
    ),
    family(
        "gauge",
        "vtid_tunnel_mtu_proven_bytes",
        "Largest packet that was seen to pass, up to the computed MTU.",
        lambda probe: probe.proven_mtu or None,
    ),
)
