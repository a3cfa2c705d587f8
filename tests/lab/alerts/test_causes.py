"""What a failure explains, of the alerts that fired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.alerts.causes import Cause, Fired, words
from tests.lab.checks.scenarios import SCENARIOS
from tests.prometheus.test_rules import NAMES

if TYPE_CHECKING:
    from tests.lab.checks.failures import Scenario

DOWN, ABSENT = frozenset({"VtidTunnelDown"}), frozenset({"VtidAbsent"})
STOP = Cause(("V1-1",), ABSENT | {"VtidManyTunnelsDown"}, DOWN)
GONE = Fired("VtidAbsent", "V1-1")


@pytest.mark.parametrize(
    ("fired", "explained"),
    [
        (GONE, True),
        (Fired("VtidAbsent", "V2-1"), False),
        (Fired("VtidTunnelDown", "V2-1", "V1-1"), True),
        (Fired("VtidTunnelDown", "V2-1", "V3-1"), False),
        (Fired("VtidManyTunnelsDown", "V3-1"), True),
        (Fired("VtidBgpDown", "V1-1", "V2-1"), False),
    ],
)
def test_an_alert_has_to_be_named_and_near(fired: Fired, explained: bool) -> None:  # noqa: FBT001
    assert STOP.explains(fired) is explained
    assert STOP.strange([fired]) == (() if explained else (fired,))


def test_both_ends_of_the_only_tunnel_that_is_touched() -> None:
    one = Cause(("V1-1", "V2-1"), may=DOWN, within=True)
    assert one.explains(Fired("VtidTunnelDown", "V2-1", "V1-1"))
    assert not one.explains(Fired("VtidTunnelDown", "V2-1", "V3-1"))


def test_what_has_to_fire_is_missed() -> None:
    assert STOP.missing([GONE]) == {"VtidManyTunnelsDown"}
    assert STOP.missing([Fired("VtidAbsent", "V2-1")]) == STOP.sure


def test_an_emulated_processor_is_not_judged() -> None:
    assert Cause().strange([Fired("VtidStalls", "V1-1")]) == ()


def test_words_are_in_order() -> None:
    fired = [Fired("VtidTunnelDown", "V2-1", "V1-1"), GONE, Fired("VtidAbsent", "V2-2")]
    assert words(fired) == "VtidAbsent (V1-1, V2-2); VtidTunnelDown (V2-1 to V1-1)"
    assert words([]) == "none"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_every_failure_names_alerts_that_there_are(scenario: Scenario) -> None:
    assert scenario.cause.sure | scenario.cause.may <= set(NAMES)
    assert not scenario.cause.sure & scenario.cause.may
