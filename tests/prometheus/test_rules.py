"""Rules, runbook, dashboard and docs agree with each other, and with the metrics that there are."""

from __future__ import annotations

import json
import re

import pytest

from tests.prometheus import dashboard, page
from tests.prometheus.cases import CASES
from tests.prometheus.families import series
from tests.prometheus.trial import RULES, rules
from tests.test_docs import DOCS

ALERTS = (RULES / "vtid-alerts.yml").read_text()
RECORDED = frozenset(
    re.findall(r"- record: (\S+)", (RULES / "vtid-recording.yml").read_text(), re.MULTILINE)
)
NAMES = re.findall(r"- alert: (\w+)", ALERTS)
RUNBOOK = (DOCS / "alerts.md").read_text()

OF_OTHERS = {
    "vtid_tunnel_",  # a prefix
    "vtid_t1",  # a protocol
}


def metrics_in(text: str) -> set[str]:
    """Metrics of vtid that a text names; those of recording rules have their colons."""
    names = set(re.findall(r"(?<![\w:{])(?:\w+:)?vtid_\w+(?::\w+)?", text))
    return {name for name in names if name not in OF_OTHERS}


def sections(alert: str) -> str:
    """Text of an alert's section of the runbook."""
    found = re.search(rf"^### {alert}\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert found, f"docs/alerts.md has no section {alert}"
    return found[1]


def body(alert: str) -> str:
    """The rule of an alert."""
    return ALERTS.split(f"- alert: {alert}\n")[1].split("- alert:")[0]


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 16
    assert {alert for case in CASES for alert in case.firing} == set(NAMES)


@pytest.mark.parametrize("alert", NAMES)
def test_every_alert_tells_who_should_look_and_where_to_read_on(alert: str) -> None:
    rule = body(alert)
    (severity,) = re.findall(r"severity: (\w+)", rule)
    assert severity in {"critical", "warning", "info"}
    assert f"runbook: docs/alerts.md#{alert.lower()}\n" in rule
    assert "{{ $labels.instance }}" in rule
    text = sections(alert)
    assert f"**Means** ({severity}): " in text
    assert text.index("**Means**") < text.index("**Look:**") < text.index("**Fix:**")


def test_the_runbook_has_no_other_alerts() -> None:
    assert re.findall(r"^### (\w+)", RUNBOOK, re.MULTILINE) == NAMES


@pytest.mark.parametrize("path", rules(), ids=lambda path: path.name)
def test_rules_ask_for_what_there_is(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    comments = re.compile(r"^ *#.*$|^ *- name: .*$", re.MULTILINE)
    assert metrics_in(comments.sub("", text)) <= series() | RECORDED


def test_the_dashboard_asks_for_what_there_is() -> None:
    asked = set().union(*map(metrics_in, dashboard.queries()))
    assert asked <= series() | RECORDED
    assert len(asked) > 40


def test_the_dashboard_is_current() -> None:
    assert dashboard.FILE.read_text() == dashboard.text()


def test_panels_have_places_of_their_own() -> None:
    panels = json.loads(dashboard.text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < dashboard.WIDTH


@pytest.mark.parametrize("name", ["alerts.md", "metrics.md", "operate.md"])
def test_docs_name_what_there_is(name: str) -> None:
    assert metrics_in((DOCS / name).read_text()) <= series() | RECORDED


def test_the_table_of_metrics_is_current() -> None:
    text = page.PAGE.read_text()
    assert text == page.page(text)


def test_what_other_exporters_have_is_there_or_has_a_reason() -> None:
    text = page.PAGE.read_text().split("## From other exporters")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 40
    for theirs, ours in rows:
        assert "vtid_" in ours or ours.startswith("none: "), theirs
