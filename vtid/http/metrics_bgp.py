"""Metrics of BGP sessions over tunnels: families, and how they follow from a status. Pure.

The rules are those of `vtid.http.metrics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.exposition import AnyFamily, Family, SplitFamily, family, labels, one_hot
from vtid.model.bgp import EXPORT_UPDATES, EXPORT_WITHDRAWS, IMPORT_UPDATES, IMPORT_WITHDRAWS

if TYPE_CHECKING:
    from vtid.http.exposition import Exposition
    from vtid.model.bgp import BgpChannel, BgpState
    from vtid.model.status import Status


def write_sessions(out: Exposition, status: Status) -> None:
    """Write the series of the tunnels' BGP sessions."""
    sessions = _sessions(status)
    out.write(_BGP, sessions)
    out.write(_CHANNEL, _channels(sessions))
    infos = {f"{known},{labels(neighbor=bgp.neighbor)}": bgp for known, bgp in sessions.items()}
    out.write(_BGP_INFO, infos)


def write_changes(out: Exposition, status: Status) -> None:
    """Write what BIRD counts of the routes of these sessions."""
    out.write(_CHANGES, _channels(_sessions(status)))


def _sessions(status: Status) -> dict[str, BgpState]:
    return {
        labels(tunnel=tunnel.tunnel, bird=bgp.bird, protocol=bgp.protocol): bgp
        for tunnel in status.tunnels
        for bgp in tunnel.bgp
        if tunnel.series
    }


def _channels(sessions: dict[str, BgpState]) -> dict[str, BgpChannel]:
    return {
        f"{known},{labels(family=one.family)}": one
        for known, bgp in sessions.items()
        for one in bgp.channels
    }


_BGP_STATES = {
    "Idle": "idle",
    "Connect": "connect",
    "Active": "active",
    "Passive": "active",
    "OpenSent": "open_sent",
    "OpenConfirm": "open_confirm",
    "Established": "established",
    "Close": "idle",
}
"""BIRD's words (proto/bgp/bgp.c, bgp_state_dsc) as the states of RFC 4271, section 8.2.2.

Passive is Active without own attempts; Close is on the way to Idle.
"""


def bgp_state(bgp: BgpState) -> str:
    """Give the session's state as one word.

    Besides those of the RFC: `missing` where BIRD has no such protocol, `down` where it has one
    that is disabled or not started.
    """
    if not bgp.state:
        return "missing"
    if bgp.state == "down":
        return "down"
    return _BGP_STATES.get(bgp.info.split(" ", 1)[0], "idle")


_BGP: tuple[AnyFamily[BgpState], ...] = (
    family(
        "gauge",
        "vtid_bgp_up",
        "Whether the BGP session is Established.",
        lambda bgp: int(bgp.established),
    ),
    one_hot(
        "vtid_bgp_state",
        "State of the BGP session (RFC 4271): 1 for the one that holds.",
        (*dict.fromkeys(_BGP_STATES.values()), "down", "missing"),
        bgp_state,
    ),
    family(
        "gauge",
        "vtid_bgp_state_changed_timestamp_seconds",
        "Unix time of the last change of the BGP session, where BIRD's time format tells it.",
        lambda bgp: bgp.since_at or None,
    ),
    family(
        "gauge",
        "vtid_bgp_bfd_up",
        "Whether the BFD session towards the neighbour is up, where there is one.",
        lambda bgp: int(bgp.bfd == "Up") if bgp.bfd else None,
    ),
    family(
        "gauge",
        "vtid_bgp_bfd_state_changed_timestamp_seconds",
        "Unix time of the BFD session's last change, where BIRD's time format tells it.",
        lambda bgp: bgp.bfd_since_at or None,
    ),
    family(
        "gauge",
        "vtid_bgp_bfd_interval_seconds",
        "Time between two BFD packets to the neighbour.",
        lambda bgp: bgp.bfd_interval if bgp.bfd else None,
    ),
    family(
        "gauge",
        "vtid_bgp_bfd_timeout_seconds",
        "Time without a BFD packet from the neighbour after which the BFD session is down.",
        lambda bgp: bgp.bfd_timeout or None,
    ),
)

_CHANNEL: tuple[Family[BgpChannel], ...] = (
    family(
        "gauge",
        "vtid_bgp_routes_imported",
        "Routes of a family that BIRD accepted from the neighbour.",
        lambda channel: channel.imported,
    ),
    family(
        "gauge",
        "vtid_bgp_routes_filtered",
        "Routes that the import filter refused; BIRD counts them with `import keep filtered` only.",
        lambda channel: channel.filtered,
    ),
    family(
        "gauge",
        "vtid_bgp_routes_preferred",
        "Routes from the neighbour that are the best ones for their prefix.",
        lambda channel: channel.preferred,
    ),
    family(
        "gauge",
        "vtid_bgp_routes_exported",
        "Routes of a family that BIRD announces to the neighbour.",
        lambda channel: channel.exported,
    ),
    family(
        "gauge",
        "vtid_bgp_limit_reached",
        "Whether a limit on the number of routes was reached.",
        lambda channel: int(bool(channel.limits_hit)),
    ),
)


_COUNTS = (
    ("import", "update", IMPORT_UPDATES),
    ("import", "withdraw", IMPORT_WITHDRAWS),
    ("export", "update", EXPORT_UPDATES),
    ("export", "withdraw", EXPORT_WITHDRAWS),
)


def _changes(channel: BgpChannel) -> tuple[int | None, ...]:
    """Return all counts in the order of `_COUNTS`, none of those that BIRD does not tell."""
    return (
        *(channel.import_updates or _untold(IMPORT_UPDATES)),
        *(channel.import_withdraws or _untold(IMPORT_WITHDRAWS)),
        *(channel.export_updates or _untold(EXPORT_UPDATES)),
        *(channel.export_withdraws or _untold(EXPORT_WITHDRAWS)),
    )


def _untold(results: tuple[str, ...]) -> tuple[None, ...]:
    return (None,) * len(results)


_CHANGES: tuple[SplitFamily[BgpChannel], ...] = (
    SplitFamily(
        "vtid_bgp_changes_total",
        "counter",
        "Changes of routes by direction, kind and what became of them, since the session came up.",
        tuple(
            labels(direction=direction, change=kind, result=result)
            for direction, kind, results in _COUNTS
            for result in results
        ),
        _changes,
    ),
)

_BGP_INFO: tuple[Family[BgpState], ...] = (
    family("gauge", "vtid_bgp_info", "Neighbour of a BGP session; always 1.", lambda _: 1),
)
