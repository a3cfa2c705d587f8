"""What Prometheus reads of probes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.http.samples import DOWN, PROBE, UP, status
from tests.http.test_metrics import labels_of, read, value

if TYPE_CHECKING:
    from vtid.model.status import ProbeStatus

NAME = UP.tunnel


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("probe_sent_total", 40),
        ("probe_answered_total", 31),
        ("probe_rtt_seconds", 0.0125),
        ("probe_last_answer_timestamp_seconds", 1625),
        ("probe_alive", 1),
        ("mtu_computed_bytes", 1446),
        ("mtu_proven_bytes", 1398),
    ],
)
def test_each_series(metric: str, expected: float) -> None:
    series = read(status(UP, DOWN))
    assert value(series, f"vtid_tunnel_{metric}", tunnel=NAME) == expected
    assert labels_of(series, f"vtid_tunnel_{metric}") == [{"tunnel": NAME}]


@pytest.mark.parametrize(
    ("probe", "absent"),
    [
        (replace(PROBE, alive=None), {"probe_alive"}),
        (replace(PROBE, proven_mtu=0), {"mtu_proven_bytes"}),
        (
            replace(PROBE, answered=0, rtt=0.0, answered_at=0.0),
            {"probe_rtt_seconds", "probe_last_answer_timestamp_seconds"},
        ),
    ],
)
def test_what_is_not_known_has_no_sample(probe: ProbeStatus, absent: set[str]) -> None:
    all_of_them = {name for name, _ in read(status(UP))}
    found = {name for name, _ in read(status(replace(UP, probe=probe)))}
    assert all_of_them - found == {f"vtid_tunnel_{name}" for name in absent}


def test_a_silent_peer_is_0() -> None:
    probe = replace(PROBE, alive=False)
    series = read(status(replace(UP, probe=probe)))
    assert value(series, "vtid_tunnel_probe_alive", tunnel=NAME) == 0
