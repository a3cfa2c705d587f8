"""Metrics: a `Status` as series for Prometheus. Pure.

Rules of this file:

* A configured tunnel never disappears: one that is down shows 0, also before it came up first. Its
  `tunnel` label does not change with the name of its interface.
* Labels are bounded: no SPI, unique ID, mark or traffic selector, so a rekey makes no new series.
  What changes with the negotiation stands in `_info` series only.
* Times are Unix timestamps, never ages. States are one-hot sets of words, never numbers.
* What is not known has no sample; it is not 0.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vtid.http.exposition import Broken, Exposition, Family, family, ignore, labels
from vtid.http.metrics_bgp import write_changes, write_sessions
from vtid.http.metrics_bird import write_birds
from vtid.http.metrics_policies import write_policies
from vtid.http.metrics_probe import write_probes
from vtid.http.metrics_sas import write_ike, write_sas
from vtid.http.metrics_tunnels import write_mtu, write_traffic, write_tunnels
from vtid.model.groups import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from vtid.model.status import Initiation, Status


def write(
    status: Status,
    put: Callable[[str], None],
    *,
    openmetrics: bool = False,
    broken: Broken = ignore,
    disabled: Collection[str] = (),
) -> None:
    """Write all series of `status` but those of disabled groups; for OpenMetrics, without the end.

    One collector writes what belongs to one group, or to none. `put` takes the text piece by
    piece, `broken` is told what fails.
    """
    out = Exposition(put, openmetrics=openmetrics, broken=broken)
    for name, collector in COLLECTORS.items():
        if name not in disabled:
            out.collect(name, partial(collector, out, status))


def _write_daemon(out: Exposition, status: Status) -> None:
    out.write(_DAEMON, {"": status})
    out.write(_BUILD, {labels(version=status.version): status})
    out.write(_NETNS, {labels(netns=name): error for name, error in status.namespaces})


def _write_alerts(out: Exposition, status: Status) -> None:
    out.write(_ALERTS, {labels(type=name): count for name, count in status.alerts})


def _write_initiations(out: Exposition, status: Status) -> None:
    out.write(_INITIATE, {_initiate_labels(one): one for one in status.initiations})


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
        "vtid_netlink_up",
        "Whether the links of a network namespace are watched; the empty name is vtid's own.",
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


COLLECTORS: dict[str, Callable[[Exposition, Status], None]] = {
    "daemon": _write_daemon,
    Group.CHARON: _write_alerts,
    Group.INITIATE: _write_initiations,
    Group.POLICIES: write_policies,
    Group.BIRD: write_birds,
    "tunnels": write_tunnels,
    Group.TRAFFIC: write_traffic,
    Group.MTU: write_mtu,
    Group.SA: write_sas,
    Group.IKE: write_ike,
    Group.PROBE: write_probes,
    Group.BGP: write_sessions,
    Group.BGP_CHANGES: write_changes,
}
"""In the order in which they write. One that is not called as a group is always there."""
