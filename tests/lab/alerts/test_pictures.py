"""The same data give the same picture, and no text of theirs means anything to it."""

from __future__ import annotations

import re

from tests.lab.alerts.pictures import LINES, PANELS, UNITS, Picture, panel, svg

POINTS = [(1000.0, 4.0), (1001.0, 4.0), (1010.0, 2.5)]


def picture(**series: list[tuple[float, float]]) -> Picture:
    panels = {"Tunnels up": series, "Firing alerts": {}}
    return Picture.of(1000.0, 1020.0, [(1005.0, "it breaks"), (1012.0, "it heals")], panels)


def lines(text: str) -> list[str]:
    return re.findall(r'<polyline [^>]*points="([^"]*)"', text)


def test_a_gap_is_not_drawn_over() -> None:
    drawn = lines(svg(picture(a=POINTS)))
    assert len(drawn) == 2
    assert drawn[0].split() == ["46.0,30.0", "66.5,30.0"]


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
    assert {panel(title).unit for title in PANELS} <= set(UNITS)


def test_what_happened_is_marked_in_each_panel_and_is_second_0() -> None:
    text = svg(picture(a=POINTS))
    assert ">Dashed: it breaks at 0 s, it heals at 7 s<" in text
    marks = re.findall(r'class="happened" x1="([\d.]+)"', text)
    assert marks == 2 * ["148.5", "292.0"]
    assert 'x="148.5" y="184" text-anchor="middle">0 s<' in text.replace('class="soft" ', "")


def test_it_is_for_dark_pages_too() -> None:
    assert "@media (prefers-color-scheme: dark)" in svg(picture(a=POINTS))
