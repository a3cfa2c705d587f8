"""The same data give the same picture, and no text of theirs means anything to it."""

from __future__ import annotations

import re

from tests.lab.alerts.pictures import LINES, PANELS, Picture, svg
from tests.prometheus import dashboard

POINTS = [(1000.0, 4.0), (1001.0, 4.0), (1010.0, 2.5)]


def picture(**series: list[tuple[float, float]]) -> Picture:
    return Picture.of(1000.0, 1020.0, {"Tunnels up": series, "Firing alerts": {}})


def lines(text: str) -> list[str]:
    return re.findall(r'<polyline [^>]*points="([^"]*)"', text)


def test_a_gap_is_not_drawn_over() -> None:
    drawn = lines(svg(picture(a=POINTS)))
    assert len(drawn) == 2
    assert drawn[0].split() == ["46.0,30.0", "66.6,30.0"]


def test_a_panel_without_series_says_so() -> None:
    text = svg(picture(a=POINTS))
    assert ">nothing<" in text


def test_the_order_of_answers_does_not_matter() -> None:
    one, other = {"a": POINTS, "b": POINTS[:2]}, {"b": POINTS[:2], "a": POINTS}
    assert svg(picture(**one)) == svg(picture(**other))


def test_it_comes_back_from_json_as_it_was() -> None:
    one = picture(a=POINTS)
    assert Picture.from_json(one.as_json()) == one


def test_hostile_names_and_many_series() -> None:
    series = {f"<script>&{number}": POINTS for number in range(2 * LINES)}
    text = svg(picture(**series))
    assert "<script>" not in text
    assert len(lines(text)) == 2 * LINES  # two pieces each


def test_each_panel_is_one_of_the_dashboard() -> None:
    titles = {panel.title for row in dashboard.ROWS.values() for panel in row}
    assert {panel.title for panel in PANELS} <= titles
