"""Metrics of BIRDs and their BGP sessions: families, and how they follow from a status. Pure.

The rules are those of `vtid.http.metrics`.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from vtid.http.exposition import Family, family, labels, one_hot
from vtid.model.bgp import EXPORT_UPDATES, EXPORT_WITHDRAWS, IMPORT_UPDATES, IMPORT_WITHDRAWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.http.exposition import Exposition
    from vtid.model.bgp import BgpChannel, BgpState
    from vtid.model.input import BirdRefusal, BirdState
    from vtid.model.status import Status


def write_birds(out: Exposition, status: Status) -> None:
    """Write the series of the BIRDs themselves."""
    birds = status.birds
    out.write(_BIRD, {labels(bird=bird.instance): bird for bird in birds})
    out.write(_BIRD_INFO, {_bird_info(bird): bird for bird in birds})
    refusals = [(bird, bird.refusal) for bird in birds if bird.refusal]
    out.write(_REFUSAL, {_refusal_labels(bird, refused): refused for bird, refused in refusals})


def write_sessions(out: Exposition, status: Status) -> None:
    """Write the series of the tunnels' BGP sessions."""
    sessions = _sessions(status)
    out.write(_BGP, {_bgp_labels(name, bgp): bgp for name, bgp in sessions})
    out.write(_CHANNEL, _channels(sessions))
    out.write(_BGP_INFO, {_bgp_info(name, bgp): bgp for name, bgp in sessions})


def write_changes(out: Exposition, status: Status) -> None:
    """Write what BIRD counts of the routes of these sessions."""
    out.write(_CHANGES, _channels(_sessions(status)))


def _sessions(status: Status) -> list[tuple[str, BgpState]]:
    return [
        (tunnel.tunnel, bgp) for tunnel in status.tunnels for bgp in tunnel.bgp if tunnel.series
    ]


def _channels(sessions: list[tuple[str, BgpState]]) -> dict[str, BgpChannel]:
    return {_channel_labels(name, bgp, one): one for name, bgp in sessions for one in bgp.channels}


# --- BIRD ----------------------------------------------------------------------------------------

_BIRD: tuple[Family[BirdState], ...] = (
    family(
        "gauge",
        "vtid_bird_up",
        "Whether the control connection to a BIRD is there.",
        lambda b: int(b.connected),
    ),
    family(
        "gauge",
        "vtid_bird_last_success_timestamp_seconds",
        "Unix time at which a BIRD told its sessions last.",
        lambda b: b.answered_at or None,
    ),
    family(
        "gauge",
        "vtid_bird_start_timestamp_seconds",
        "Unix time at which a BIRD was started.",
        lambda b: b.started_at or None,
    ),
    family(
        "gauge",
        "vtid_bird_reconfigured_timestamp_seconds",
        "Unix time at which a BIRD took a configuration last, by whomever.",
        lambda b: b.reconfigured_at or None,
    ),
    family(
        "gauge",
        "vtid_bird_error",
        "Whether a BIRD is out of reach or refused the include file last written.",
        lambda b: int(bool(b.error)),
    ),
    family(
        "counter",
        "vtid_bird_reconfigurations_total",
        "Reconfigurations that a BIRD accepted.",
        lambda b: b.pushes,
    ),
    family(
        "counter",
        "vtid_bird_refusals_total",
        "Include files that a BIRD refused.",
        lambda b: b.refusals,
    ),
    family(
        "counter",
        "vtid_bird_undos_total",
        "Reconfigurations that were undone because sessions did not come back.",
        lambda b: b.undos,
    ),
    family(
        "gauge",
        "vtid_bird_unconfirmed",
        "Whether the include file is yet to be accepted by a BIRD, or can still be undone.",
        lambda b: int(b.unconfirmed),
    ),
    family(
        "gauge",
        "vtid_bird_push_seconds",
        "How long a BIRD took to check and load its configuration the last time.",
        lambda b: b.push_seconds or None,
    ),
)

_REFUSAL: tuple[Family[BirdRefusal], ...] = (
    family(
        "gauge",
        "vtid_bird_refusal_info",
        "Why a BIRD does not have its file as it should be, in its own words; always 1.",
        lambda _: 1,
    ),
)

_BIRD_INFO: tuple[Family[BirdState], ...] = (
    family("gauge", "vtid_bird_info", "Version of a BIRD; always 1.", lambda _: 1),
)


def _bird_info(bird: BirdState) -> str:
    return labels(bird=bird.instance, version=bird.version)


def _refusal_labels(bird: BirdState, refused: BirdRefusal) -> str:
    return labels(bird=bird.instance, message=refused.message, line=refused.quoted)


# --- BGP -----------------------------------------------------------------------------------------

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


_BGP: tuple[Family[BgpState], ...] = (
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
        "Unix time of the last change of that BFD session, where BIRD's time format tells it.",
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
        "Time without one from the neighbour after which that BFD session is down.",
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


def _count(field: str, number: int) -> Callable[[BgpChannel], int | None]:
    """Return what reads one number of a field with several, none where it is empty."""
    read = attrgetter(field)

    def value(channel: BgpChannel) -> int | None:
        counts: tuple[int, ...] = read(channel)
        return counts[number] if counts else None

    return value


_CHANGES: tuple[Family[BgpChannel], ...] = (
    Family(
        "vtid_bgp_changes_total",
        "counter",
        "Changes of routes by direction, kind and what became of them, since the session came up.",
        tuple(
            (
                labels(direction=direction, change=kind, result=result),
                _count(f"{direction}_{kind}s", number),
            )
            for direction, kind, results in (
                ("import", "update", IMPORT_UPDATES),
                ("import", "withdraw", IMPORT_WITHDRAWS),
                ("export", "update", EXPORT_UPDATES),
                ("export", "withdraw", EXPORT_WITHDRAWS),
            )
            for number, result in enumerate(results)
        ),
    ),
)

_BGP_INFO: tuple[Family[BgpState], ...] = (
    family("gauge", "vtid_bgp_info", "Neighbour of a BGP session; always 1.", lambda _: 1),
)


def _bgp_labels(tunnel: str, bgp: BgpState) -> str:
    return labels(tunnel=tunnel, bird=bgp.bird, protocol=bgp.protocol)


def _channel_labels(tunnel: str, bgp: BgpState, channel: BgpChannel) -> str:
    return f"{_bgp_labels(tunnel, bgp)},{labels(family=channel.family)}"


def _bgp_info(tunnel: str, bgp: BgpState) -> str:
    return labels(tunnel=tunnel, bird=bgp.bird, protocol=bgp.protocol, neighbor=bgp.neighbor)
