"""The topology with its live state as SVG, from what the gateways' daemons reported.

    site 1                 site 2        a site:  gateway, public side
      R1  ══ tunnels ══      R2                   gateway, private side: a row for each tunnel
            ║      ║                              router
              R3                                  the other gateway, upside down
            site 3

A tunnel is drawn from each end as far as the middle, in the state that this end reports: what
no gateway reports is not drawn; where two ends disagree, it has two colours.

Rules of this file: pure; every text passes `_safe`, a peer's words are among them.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.lab.report.results import GatewayState, TunnelState

SVG = "http://www.w3.org/2000/svg"
WIDTH = 1500
BOX = 372
"""Width of a gateway."""
PAD = 14
TOP = 106
STRIP = 30
SUBTITLE = 26
ROW = 40
LINE = 14
ROUTER = 38
GAP = 20
LEFT = (30, WIDTH - 30 - BOX - 2 * PAD, (WIDTH - BOX) // 2 - PAD)
"""Where the frames of the sites begin: left, right, between them."""
LETTERS = 56
"""Letters of a reason in one line."""

STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #24292f }
.title { font-size: 22px; font-weight: bold }
.name { font-size: 15px; font-weight: bold }
.strong { font-weight: bold }
.small { font-size: 11px }
.soft { fill: #57606a }
.paper { fill: #ffffff }
.network { fill: #eef4fb; stroke: #c6d9ee }
.site { fill: #f6f8fa; stroke: #d0d7de }
.box { fill: #ffffff; stroke: #8c959f }
.public { fill: #dbeafe; stroke: #8c959f }
.silent .public, .silent .box { fill: #eaeef2 }
.router { fill: #fff8e1; stroke: #bf8700 }
.wire { stroke: #8c959f; stroke-width: 1.5; fill: none }
.rule { stroke: #eaeef2 }
.plug { fill: #57606a }
.tunnel { fill: none; stroke-width: 2.6; stroke-linecap: round; stroke: #57606a }
.tunnel.up { stroke: #1a7f37 }
.tunnel.up.bgp-down { stroke: #d97706 }
.tunnel.pending { stroke: #0969da }
.tunnel.holding { stroke: #d4a72c; stroke-dasharray: 2 6 }
.tunnel.down, .tunnel.error { stroke: #cf222e; stroke-dasharray: 9 6 }
.good { fill: #1a7f37 }
.warn { fill: #b45309 }
.bad { fill: #cf222e }
"""

LEGEND = (
    ("up", "tunnel up, BGP established (or none asked for)"),
    ("up bgp-down", "tunnel up, BGP not established"),
    ("pending", "vtid is at work on it"),
    ("holding", "no SA; the interface is kept for its hold time"),
    ("down", "down, or an error: the reason is in its row"),
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A tunnel's row; `port` is where its line leaves, `side` -1 to the left, 1 to the right."""

    tunnel: TunnelState
    x: int
    y: int
    height: int
    side: int

    @property
    def port(self) -> tuple[float, float]:
        return self.x + (BOX if self.side > 0 else 0), self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class _Box:
    """A gateway's place; `below` puts its public side at the bottom."""

    gateway: GatewayState
    column: int
    x: int
    y: int
    below: bool
    rows: tuple[_Row, ...] = ()

    @property
    def height(self) -> int:
        return STRIP + SUBTITLE + max(ROW, sum(row.height for row in self.rows))

    @property
    def strip(self) -> int:
        return self.y + (self.height - STRIP if self.below else 0)

    @property
    def inside(self) -> int:
        return self.y + (0 if self.below else STRIP)


@dataclass(frozen=True, slots=True)
class _Site:
    """A site's frame with its gateways."""

    number: int
    column: int
    y: int
    boxes: tuple[_Box, ...]

    @property
    def x(self) -> int:
        return LEFT[self.column]

    @property
    def router(self) -> int:
        return self.boxes[0].y + self.boxes[0].height + GAP

    @property
    def height(self) -> int:
        last = self.boxes[-1]
        end = last.y + last.height if last.below else self.router + ROUTER
        return end + PAD - self.y


def svg(title: str, gateways: Sequence[GatewayState], taken: str) -> str:
    """Draw gateways of at most three sites; `taken` is the time at which they were asked."""
    sites = _sites(gateways)
    foot = _foot(sites)
    height = max(foot, _legend_top(sites) + 22 * len(LEGEND)) + 32
    parts = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<title>{_safe(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        *_heading(title, gateways, taken),
        *_network(foot),
        *(part for site in sites for part in _site(site)),
        *_tunnels(sites),
        *_legend(_legend_top(sites)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


# --- where things are ----------------------------------------------------------------------------


def _sites(gateways: Sequence[GatewayState]) -> list[_Site]:
    numbers = sorted({gateway.site for gateway in gateways})
    columns = {number: column for column, number in enumerate(numbers)}
    by_name = {gateway.name: columns[gateway.site] for gateway in gateways}
    sites: list[_Site] = []
    for number, column in columns.items():
        here = sorted((g for g in gateways if g.site == number), key=lambda g: g.number)
        # Lines between the first two must not cross the third.
        top = _foot(sites) - 40 if column == 2 else TOP
        sites.append(_placed(_Site(number, column, top, ()), here, by_name))
    return sites


def _foot(sites: Sequence[_Site]) -> int:
    return max((site.y + site.height for site in sites), default=TOP)


def _placed(site: _Site, gateways: Sequence[GatewayState], columns: dict[str, int]) -> _Site:
    """Put the first gateway above the router and the others below it."""
    y, boxes = site.y + 34, []
    for place, gateway in enumerate(gateways):
        box = _filled(_Box(gateway, site.column, site.x + PAD, y, below=place > 0), columns)
        boxes.append(box)
        y += box.height + GAP + (ROUTER + GAP if place == 0 else 0)
    return replace(site, boxes=tuple(boxes))


def _filled(box: _Box, columns: dict[str, int]) -> _Box:
    """Put a row for each tunnel into a box, its port on the side where the peer is."""
    y, rows = box.inside + SUBTITLE, []
    for tunnel in box.gateway.tunnels:
        height = ROW + LINE * (len(_reason(tunnel)) - 1 if _reason(tunnel) else 0)
        side = _side(box.column, columns.get(tunnel.peer))
        rows.append(_Row(tunnel, box.x, y, height, side))
        y += height
    return replace(box, rows=tuple(rows))


def _side(here: int, there: int | None) -> int:
    """Side of a column that faces another: they stand in the order 0, 2, 1."""
    order = (0, 2, 1)
    if there is None:
        return -1 if here == 1 else 1
    return 1 if order[there] > order[here] else -1


def _legend_top(sites: Sequence[_Site]) -> int:
    return _foot([site for site in sites if site.column < 2]) + 34


# --- what is drawn -------------------------------------------------------------------------------


def _heading(title: str, gateways: Sequence[GatewayState], taken: str) -> Iterator[str]:
    tunnels = [tunnel for gateway in gateways for tunnel in gateway.tunnels]
    up = sum(tunnel.state == "up" for tunnel in tunnels)
    established = sum(tunnel.bgp_state == "Established" for tunnel in tunnels)
    yield _text(30, 42, title, "title")
    yield _text(
        30,
        68,
        f"as vtid and BIRD of each gateway reported it at {taken}: {up} of {len(tunnels)} "
        f"tunnel ends up, {established} BGP sessions established",
        "soft",
    )


def _network(foot: int) -> Iterator[str]:
    left, right = LEFT[0] + BOX, LEFT[1] + 2 * PAD
    yield _rect(left, TOP - 16, right - left, foot - TOP + 32, "network")
    yield _text(WIDTH / 2, TOP + 8, "public network", "soft", "middle")


def _site(site: _Site) -> Iterator[str]:
    yield _rect(site.x, site.y, BOX + 2 * PAD, site.height, "site")
    yield _text(site.x + PAD, site.y + 22, f"Site {site.number}", "name soft")
    middle = site.x + PAD + BOX / 2
    for box in site.boxes:
        end = box.y if box.below else box.y + box.height
        yield f'<path class="wire" d="M{middle} {end}V{site.router + ROUTER / 2}"/>'
    yield _rect(middle - 60, site.router, 120, ROUTER, "router")
    yield _text(middle, site.router + 24, f"R{site.number}", "name", "middle")
    for box in site.boxes:
        yield from _gateway(box)


def _gateway(box: _Box) -> Iterator[str]:
    gateway = box.gateway
    yield f'<g class="{"gateway" if gateway.answers else "gateway silent"}">'
    yield _rect(box.x, box.y, BOX, box.height, "box")
    yield _rect(box.x, box.strip, BOX, STRIP, "public")
    yield _text(box.x + 12, box.strip + 20, gateway.name, "name")
    yield _text(box.x + BOX - 12, box.strip + 20, f"public {gateway.address}", "small", "end")
    side = _side(box.column, None if box.column == 2 else 2)
    edge, out = (box.x, -PAD - 14) if side < 0 else (box.x + BOX, PAD + 14)
    yield f'<path class="wire" d="M{edge} {box.strip + STRIP / 2}h{out}"/>'
    yield f'<circle class="plug" cx="{edge + out}" cy="{box.strip + STRIP / 2}" r="3"/>'
    yield _text(box.x + 12, box.inside + 18, "private", "small soft")
    if not gateway.answers:
        yield _text(box.x + 12, box.inside + SUBTITLE + 18, "vtid does not answer", "strong bad")
    elif not box.rows:
        yield _text(box.x + 12, box.inside + SUBTITLE + 18, "vtid reports no tunnel", "soft")
    for row in box.rows:
        yield from _row(row)
    yield "</g>"


def _row(row: _Row) -> Iterator[str]:
    tunnel, left, right = row.tunnel, row.x + 12, row.x + BOX - 12
    colour = {"up": "good", "down": "bad", "error": "bad"}.get(tunnel.state, "warn")
    yield f'<path class="rule" d="M{row.x + 1} {row.y}h{BOX - 2}"/>'
    yield _text(left, row.y + 16, f"{tunnel.interface} → {tunnel.peer}", "strong")
    yield _text(right, row.y + 16, tunnel.state, f"strong {colour}", "end")
    if tunnel.state == "up":
        yield _text(left, row.y + 32, _sizes(tunnel), "small soft")
        colour = "bad" if _bgp_down(tunnel) else "good"
        yield _text(right, row.y + 32, _session(tunnel), f"small {colour}", "end")
    for number, line in enumerate(_reason(tunnel)):
        yield _text(left, row.y + 32 + LINE * number, line, f"small {colour}")


def _sizes(tunnel: TunnelState) -> str:
    return f"MTU {tunnel.mtu or '-'} · MSS {tunnel.mss4 or '-'}/{tunnel.mss6 or '-'}"


def _session(tunnel: TunnelState) -> str:
    return textwrap.shorten(f"BGP: {tunnel.bgp_state}", 30, placeholder=" …") if tunnel.bgp else ""


def _bgp_down(tunnel: TunnelState) -> bool:
    return bool(tunnel.bgp) and tunnel.bgp_state != "Established"


def _reason(tunnel: TunnelState) -> list[str]:
    """Lines that say why a tunnel is not up, with its MTU while there is an interface."""
    if tunnel.state == "up":
        return []
    text = f"MTU {tunnel.mtu} · {tunnel.reason}" if tunnel.mtu else tunnel.reason or "no reason"
    return textwrap.wrap(text, LETTERS, max_lines=3, placeholder=" …")


# --- lines from row to row -----------------------------------------------------------------------


def _tunnels(sites: Sequence[_Site]) -> Iterator[str]:
    boxes = [box for site in sites for box in site.boxes]
    rows = {(row.tunnel.gateway, row.tunnel.peer): row for box in boxes for row in box.rows}
    by_name = {box.gateway.name: box for box in boxes}
    for row in (row for box in boxes for row in box.rows):
        other = rows.get((row.tunnel.peer, row.tunnel.gateway))
        yield _half(row, *_target(row, other, by_name.get(row.tunnel.peer)))


def _target(row: _Row, other: _Row | None, box: _Box | None) -> tuple[tuple[float, float], int]:
    """Where the line from a row goes, and to which side it leaves there."""
    if other is not None:
        return other.port, other.side
    if box is not None:
        return (box.x + (0 if row.side > 0 else BOX), box.strip + STRIP / 2), -row.side
    return (row.port[0] + row.side * 160, row.port[1]), -row.side


def _half(row: _Row, end: tuple[float, float], end_side: int) -> str:
    """Draw the first half of a cubic Bézier curve (de Casteljau's construction)."""
    start = row.port
    reach = max(70.0, abs(end[0] - start[0]) / 2)
    a, b = (start[0] + row.side * reach, start[1]), (end[0] + end_side * reach, end[1])
    first = _middle(start, a)
    second = _middle(first, _middle(a, b))
    middle = _middle(second, _middle(_middle(a, b), _middle(b, end)))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (first, second, middle))
    tunnel = row.tunnel
    words = f"{tunnel.gateway} {tunnel.interface} → {tunnel.peer}: {tunnel.state}; {tunnel.reason}"
    return (
        f'<path class="{_classes(tunnel)}" d="M{start[0]:.1f},{start[1]:.1f}C{points}">'
        f"<title>{_safe(words)}</title></path>"
    )


def _middle(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def _classes(tunnel: TunnelState) -> str:
    """Classes of a tunnel's line; a state that is not known leaves it grey."""
    known = tunnel.state if tunnel.state in {"up", "pending", "holding", "down", "error"} else ""
    words = ("tunnel", known, "bgp-down" if known == "up" and _bgp_down(tunnel) else "")
    return " ".join(word for word in words if word)


def _legend(top: int) -> Iterator[str]:
    left = LEFT[0] + PAD
    yield _text(left, top, "Lines, from each end as far as the middle", "strong")
    for number, (state, words) in enumerate(LEGEND):
        y = top + 24 + 22 * number
        yield f'<path class="tunnel {state} legend" d="M{left} {y - 4}h54"/>'
        yield _text(left + 68, y, words, "small")


# --- SVG -----------------------------------------------------------------------------------------


def _text(x: float, y: float, words: str, classes: str, anchor: str = "start") -> str:
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{classes}" x="{x:g}" y="{y:g}"{where}>{_safe(words)}</text>'


def _rect(x: float, y: float, width: float, height: float, classes: str) -> str:
    size = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect class="{classes}" {size} rx="6"/>'


def _safe(words: str) -> str:
    """Text as XML may have it: markup escaped, what cannot be printed replaced (XML 1.0, 2.2)."""
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in words))
