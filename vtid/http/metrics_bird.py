"""Metrics of BIRDs: families, and how they follow from a status. Pure.

The rules are those of `vtid.http.metrics`; `metrics_bgp` has their sessions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.exposition import Family, family, labels

if TYPE_CHECKING:
    from vtid.http.exposition import Exposition
    from vtid.model.input import BirdRefusal, BirdState
    from vtid.model.status import Status


def write_birds(out: Exposition, status: Status) -> None:
    """Write the series of the BIRDs themselves."""
    birds = status.birds
    out.write(_BIRD, {labels(bird=bird.instance): bird for bird in birds})
    out.write(_BIRD_INFO, {_bird_info(bird): bird for bird in birds})
    refusals = [(bird, bird.refusal) for bird in birds if bird.refusal]
    out.write(_REFUSAL, {_refusal_labels(bird, refused): refused for bird, refused in refusals})


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
    """Write file and line by number, as BIRD has them: the line itself may have a secret."""
    return labels(bird=bird.instance, message=refused.message)
