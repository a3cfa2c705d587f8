from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.lab.alerts.page import KEPT, PAGE, PICTURE, Seen, kept, page
from tests.lab.alerts.pictures import svg
from tests.lab.checks.scenarios import SCENARIOS

if TYPE_CHECKING:
    from pathlib import Path

SEEN = Seen.from_json(json.loads(KEPT.read_text()))


def test_the_table_is_what_the_lab_checks_and_saw() -> None:
    text = PAGE.read_text()
    assert text == page(text, SEEN)


def test_the_picture_is_drawn_from_what_is_kept() -> None:
    assert PICTURE.read_text() == svg(SEEN.picture)


def test_what_is_kept_is_of_a_whole_run() -> None:
    assert list(SEEN.fired) == [one.name for one in SCENARIOS]
    for one in SCENARIOS:
        assert all(alert in SEEN.fired[one.name] for alert in one.cause.sure), one.name


def test_what_is_kept_of_a_folder(tmp_path: Path) -> None:
    picture = {"seconds": 9.0, "happened": [], "panels": {}}
    row = {"name": "it breaks", "alerts": "VtidAbsent (gw-b)"}
    (tmp_path / "report.json").write_text(json.dumps({"taken": "now", "failures": [row]}))
    (tmp_path / "alerts.json").write_text(json.dumps({"silent": [], "picture": picture}))
    data = json.loads(kept(tmp_path))
    assert data["taken"] == "now"
    assert Seen.from_json(data).fired == {"it breaks": "VtidAbsent (gw-b)"}
