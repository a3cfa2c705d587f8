"""Pictures of what the dashboard's queries gave during a failure of the lab, as SVG. Pure.

Rules of this file:

* The same data give the same picture: colours follow the order of the names, and numbers are
  rounded. It is for a light and for a dark page.
* Every text passes `escape`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from tests.prometheus import dashboard
from tests.prometheus.trial import with_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.lab.alerts.prometheus import Point, Prometheus

RATE_INTERVAL = "10s"
"""In place of Grafana's: a few scrapes of the lab."""

WIDTH, HEIGHT, ACROSS = 470, 256, 2
HEAD = 34
"""Height of the line above the panels, which says what happened."""
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 30, 86
"""Margins of a panel, for its title, its scales and its legend."""

LINES, COLUMNS = 8, 2
"""Series of a panel, the largest ones; and columns of their legend."""

LONGEST = 30
"""Characters of a name in the legend."""

TICKS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
"""Seconds that may lie between two marks of the scale; no more than seven are drawn."""

STYLE = """
text { font: 11px "DejaVu Sans", Verdana, sans-serif; fill: #24292f }
.title { font-size: 13px; font-weight: bold }
.soft { fill: #57606a }
.paper { fill: #ffffff }
.grid { stroke: #d8dee4 }
.happened { stroke: #57606a; stroke-dasharray: 3 3 }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
"""

DARK = """
text { fill: #e6edf3 }
.soft { fill: #9da7b3 }
.paper { fill: #0d1117 }
.grid { stroke: #30363d }
.happened { stroke: #9da7b3 }
"""

COLOURS = (
    ("#0969da", "#6cb6ff"),
    ("#cf222e", "#ff8a82"),
    ("#1a7f37", "#56d364"),
    ("#8250df", "#c297ff"),
    ("#9a6700", "#e3b341"),
    ("#1b7c83", "#56d4dd"),
    ("#bc4c00", "#ffa657"),
    ("#57606a", "#9da7b3"),
)
"""Of series, on a light page and on a dark one."""

UNITS = {"short": "", "pps": "packets a second"}
"""What the values of a panel are, by the name that Grafana has for it."""


PANELS = (
    "Tunnels up",
    "Firing alerts",
    "Tunnels by state",
    "BGP sessions down",
    "Sessions by state",
    "Packets",
)
"""Titles of those that are drawn."""


def panel(title: str) -> dashboard.Panel:
    """Return a panel of the dashboard."""
    rows = (one for row in dashboard.ROWS.values() for one in row)
    return next(one for one in rows if one.title == title)


def ask(
    one: Prometheus, panel: dashboard.Panel, start: float, end: float
) -> dict[str, list[Point]]:
    """Return the points of each series of a panel, by legend."""
    return {
        _legend(legend or panel.title, labels): points
        for legend, query in panel.queries.items()
        for labels, points in one.range(with_values(query, RATE_INTERVAL), start, end)
    }


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
    happened: tuple[tuple[float, str], ...]
    """What was done to the lab, and when; the first of them is second 0 of the scale."""
    panels: dict[str, dict[str, list[tuple[float, float]]]]

    @classmethod
    def of(
        cls,
        start: float,
        end: float,
        happened: Iterable[tuple[float, str]],
        panels: Mapping[str, Mapping[str, Sequence[Point]]],
    ) -> Picture:
        """Take the answers of Prometheus; all times are Unix times."""
        moved = {
            title: {
                name: [(round(at - start, 1), round(value, 3)) for at, value in points]
                for name, points in sorted(series.items())
            }
            for title, series in panels.items()
        }
        done = tuple((round(at - start, 1), what) for at, what in happened)
        return cls(round(end - start, 1), done, moved)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"seconds": self.seconds, "happened": self.happened, "panels": self.panels}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Picture:
        """Take what `as_json` gave."""
        panels = {
            title: {name: [(at, value) for at, value in points] for name, points in series.items()}
            for title, series in data["panels"].items()
        }
        return cls(data["seconds"], tuple((at, what) for at, what in data["happened"]), panels)


def svg(picture: Picture) -> str:
    """Draw all panels."""
    rows = -(-len(picture.panels) // ACROSS)
    width, height = ACROSS * WIDTH, HEAD + rows * HEIGHT
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text x="{LEFT}" y="18">{escape(_said(picture))}</text>',
    ]
    for number, (title, series) in enumerate(picture.panels.items()):
        x, y = number % ACROSS * WIDTH, HEAD + number // ACROSS * HEIGHT
        parts.append(f'<g transform="translate({x} {y})">')
        parts += _panel(title, series, picture)
        parts.append("</g>")
    return "\n".join((*parts, "</svg>", ""))


def _zero(picture: Picture) -> float:
    return next((at for at, _ in picture.happened), 0.0)


def _said(picture: Picture) -> str:
    """Return what the dashed lines stand for."""
    zero = _zero(picture)
    done = (f"{what} at {at - zero:.0f} s" for at, what in picture.happened)
    return f"Dashed: {', '.join(done)}"


def _style() -> str:
    light, dark = (
        "".join(
            f".s{number} {{ stroke: {pair[which]} }}\n.k{number} {{ fill: {pair[which]} }}\n"
            for number, pair in enumerate(COLOURS)
        )
        for which in (0, 1)
    )
    return f"{STYLE}{light}@media (prefers-color-scheme: dark) {{{DARK}{dark}}}\n"


def _panel(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], picture: Picture
) -> Iterator[str]:
    unit = UNITS[panel(title).unit]
    said = f"{title}, {unit}" if unit else title
    yield f'<text class="title" x="{LEFT}" y="16">{escape(said)}</text>'
    shown = sorted(series, key=lambda name: (-_peak(series[name]), name))[:LINES]
    values = [value for name in shown for _, value in series[name]]
    low, high = min([0.0, *values]), max([1.0, *values])
    yield from _scales(picture, low, high)
    yield from _happened(picture)
    for number, name in enumerate(sorted(shown)):
        for piece in _pieces(series[name]):
            points = " ".join(
                f"{_x(at, picture.seconds):.1f},{_y(value, low, high):.1f}" for at, value in piece
            )
            yield f'<polyline class="line s{number}" points="{points}"/>'
        x = LEFT + number % COLUMNS * (WIDTH - LEFT) // COLUMNS
        y = HEIGHT - BOTTOM + 34 + number // COLUMNS * 14
        yield f'<rect class="k{number}" x="{x}" y="{y - 8}" width="8" height="8"/>'
        yield f'<text x="{x + 12}" y="{y}">{escape(_short(name))}</text>'
    if len(series) > LINES:
        more = f"the {LINES} largest of {len(series)}"
        yield f'<text class="soft" x="{WIDTH - RIGHT}" y="16" text-anchor="end">{more}</text>'
    if not shown:
        yield f'<text class="soft" x="{LEFT + 8}" y="{TOP + 20}">nothing</text>'


def _scales(picture: Picture, low: float, high: float) -> Iterator[str]:
    for value in sorted({low, (low + high) / 2, high}):
        y = _y(value, low, high)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        place = f'x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end"'
        yield f'<text class="soft" {place}>{value:.3g}</text>'
    zero = _zero(picture)
    step = next((one for one in TICKS if picture.seconds / one <= 7), TICKS[-1])
    at = zero % step
    while at <= picture.seconds:
        place = f'x="{_x(at, picture.seconds):.1f}" y="{HEIGHT - BOTTOM + 14}"'
        yield f'<text class="soft" {place} text-anchor="middle">{at - zero:.0f} s</text>'
        at += step


def _happened(picture: Picture) -> Iterator[str]:
    for at, _ in picture.happened:
        x = _x(at, picture.seconds)
        ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{HEIGHT - BOTTOM}"'
        yield f'<line class="happened" {ends}/>'


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
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
