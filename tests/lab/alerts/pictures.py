"""Pictures of what the dashboard's queries gave during a failure of the lab, as SVG.

    python -m tests.lab.alerts.pictures lab-out/alerts.json docs/measured/alerts.svg

The same data give the same picture: colours follow the order of the names, and numbers are rounded.
Rules of this file: pure but for the command; every text passes `escape`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from tests.prometheus import dashboard
from tests.prometheus.trial import with_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.lab.alerts.prometheus import Point, Prometheus

RATE_INTERVAL = "10s"
"""In place of Grafana's: a few scrapes of the lab."""

WIDTH, HEIGHT, ACROSS = 470, 200, 2
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 30, 48
"""Margins of a panel, for its title, its scales and its legend."""

LINES = 8
"""Series of a panel; the largest ones."""

COLOURS = ("#0969da", "#cf222e", "#1a7f37", "#8250df", "#bf8700", "#1b7c83", "#bc4c00", "#57606a")

STYLE = """
text { font: 11px "DejaVu Sans", Verdana, sans-serif; fill: #24292f }
.title { font-size: 13px; font-weight: bold }
.soft { fill: #57606a }
.paper { fill: #ffffff }
.grid { stroke: #d8dee4 }
.line { fill: none; stroke-width: 1.5 }
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the dashboard, by its title."""

    title: str

    def ask(self, one: Prometheus, start: float, end: float) -> dict[str, list[Point]]:
        """Return the points of each of its series, by legend."""
        rows = (panel for row in dashboard.ROWS.values() for panel in row)
        panel = next(panel for panel in rows if panel.title == self.title)
        return {
            _legend(legend or self.title, labels): points
            for legend, query in panel.queries.items()
            for labels, points in one.range(with_values(query, RATE_INTERVAL), start, end)
        }


PANELS = tuple(
    map(
        Panel,
        (
            "Tunnels up",
            "Firing alerts",
            "Tunnels by state",
            "BGP sessions down",
            "CHILD_SAs",
            "Packets",
        ),
    )
)


def _legend(template: str, labels: Mapping[str, str]) -> str:
    text = template
    for name, value in labels.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    place = labels.get("instance", "")
    return f"{place} {text}" if place else text


@dataclass(frozen=True, slots=True)
class Picture:
    """What was asked: points by panel and series; times are seconds after the start."""

    seconds: float
    panels: dict[str, dict[str, list[tuple[float, float]]]]

    @classmethod
    def of(
        cls, start: float, end: float, panels: Mapping[str, Mapping[str, Sequence[Point]]]
    ) -> Picture:
        """Take the answers of Prometheus."""
        moved = {
            title: {
                name: [(round(at - start, 1), round(value, 3)) for at, value in points]
                for name, points in sorted(series.items())
            }
            for title, series in panels.items()
        }
        return cls(round(end - start, 1), moved)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"seconds": self.seconds, "panels": self.panels}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Picture:
        """Take what `as_json` gave."""
        panels = {
            title: {name: [(at, value) for at, value in points] for name, points in series.items()}
            for title, series in data["panels"].items()
        }
        return cls(data["seconds"], panels)


def svg(picture: Picture) -> str:
    """Draw all panels."""
    rows = -(-len(picture.panels) // ACROSS)
    width, height = ACROSS * WIDTH, rows * HEIGHT
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
    ]
    for number, (title, series) in enumerate(picture.panels.items()):
        x, y = number % ACROSS * WIDTH, number // ACROSS * HEIGHT
        parts.append(f'<g transform="translate({x} {y})">')
        parts += _panel(title, series, picture.seconds)
        parts.append("</g>")
    return "\n".join((*parts, "</svg>", ""))


def _panel(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], seconds: float
) -> Iterator[str]:
    yield f'<text class="title" x="{LEFT}" y="18">{escape(title)}</text>'
    shown = sorted(series, key=lambda name: (-_peak(series[name]), name))[:LINES]
    values = [value for name in shown for _, value in series[name]]
    low, high = min([0.0, *values]), max([1.0, *values])
    yield from _scales(seconds, low, high)
    for number, name in enumerate(sorted(shown)):
        colour = COLOURS[number % len(COLOURS)]
        for piece in _pieces(series[name]):
            points = " ".join(
                f"{_x(at, seconds):.1f},{_y(value, low, high):.1f}" for at, value in piece
            )
            yield f'<polyline class="line" stroke="{colour}" points="{points}"/>'
        x, y = LEFT + number % 4 * 102, HEIGHT - 18 + number // 4 * 13
        yield f'<rect x="{x}" y="{y - 8}" width="8" height="8" fill="{colour}"/>'
        yield f'<text x="{x + 11}" y="{y}">{escape(_short(name))}</text>'
    if not shown:
        yield f'<text class="soft" x="{LEFT + 8}" y="{TOP + 20}">nothing</text>'


def _scales(seconds: float, low: float, high: float) -> Iterator[str]:
    for value in sorted({low, (low + high) / 2, high}):
        y = _y(value, low, high)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        place = f'x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end"'
        yield f'<text class="soft" {place}>{value:g}</text>'
    for part in range(5):
        at = seconds * part / 4
        x = _x(at, seconds)
        yield (
            f'<text class="soft" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" '
            f'text-anchor="middle">{at:.0f} s</text>'
        )


def _peak(points: Sequence[tuple[float, float]]) -> float:
    return max((abs(value) for _, value in points), default=0.0)


def _pieces(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Yield what is without a gap: a series that is away has no points."""
    piece: list[tuple[float, float]] = []
    for point in points:
        if piece and point[0] - piece[-1][0] > 1.5:
            yield piece
            piece = []
        piece.append(point)
    if piece:
        yield piece


def _x(at: float, seconds: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * at / (seconds or 1.0)


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def _short(name: str) -> str:
    return name if len(name) <= 15 else f"{name[:14]}…"


def main() -> None:
    """Draw the data of a run."""
    source, target = map(Path, sys.argv[1:])
    target.write_text(svg(Picture.from_json(json.loads(source.read_text()))))


if __name__ == "__main__":
    main()
