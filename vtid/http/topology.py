"""Topology: this gateway, its tunnels and their peers, as places in a picture. Pure.

       gateway          tunnels            peers
      ┌────────┐                         ┌────────┐
      │  V2-1 ─┼──── ● up ───────────────┼ peer   │
      │  V2-2 ─┼ ─ ─ ✕ down ─ ─ ─ ─ ─ ─ ─┼ other  │
      └────────┘                         └────────┘

Rules of this file:

* Rows are of one height, and columns are shares of the width: the picture is as wide as the
  screen, and its text stays readable.
* At most `MOST` tunnels are drawn. Those that are not up come first.
* The tunnels of one peer stand together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.http.words import SYMBOLS, Peer, bgp, bgp_down, peer
from vtid.model.link import tunnel_name
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vtid.model.status import TunnelStatus

MOST = 12
"""Tunnels in a picture."""

HEAD = 34
"""Height of what stands above the first row; all sizes are in CSS pixels."""
ROW = 52
PAD = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A tunnel: a line from the gateway to its peer."""

    y: int
    """Upper edge."""
    tunnel: str
    place: str
    """Its interface, after `NETNS/`."""
    state: TunnelState
    symbol: str
    bgp_down: bool
    mtu: str
    bgp: str
    """State of the sessions in a few words; empty where it means nothing."""


@dataclass(frozen=True, slots=True)
class End:
    """A peer."""

    y: int
    height: int
    peer: Peer


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn."""

    height: int
    rows: tuple[Row, ...]
    ends: tuple[End, ...]
    left_out: int
    """Tunnels for which there was no room."""


def picture(tunnels: Sequence[TunnelStatus]) -> Picture:
    """Place tunnels and peers."""
    by_urgency = sorted(tunnels, key=lambda one: one.state is TunnelState.UP)
    groups: dict[Peer, list[TunnelStatus]] = {}
    for one in by_urgency[:MOST]:
        groups.setdefault(peer(one), []).append(one)
    rows: list[Row] = []
    ends: list[End] = []
    for who, group in groups.items():
        ends.append(End(HEAD + len(rows) * ROW, len(group) * ROW - PAD, who))
        rows += _rows(group, len(rows))
    height = HEAD + len(rows) * ROW
    return Picture(height, tuple(rows), tuple(ends), len(tunnels) - len(rows))


def _rows(group: Iterable[TunnelStatus], before: int) -> list[Row]:
    return [
        Row(
            y=HEAD + number * ROW,
            tunnel=one.tunnel,
            place=tunnel_name(one.netns, one.interface),
            state=one.state,
            symbol=SYMBOLS[one.state],
            bgp_down=one.state is TunnelState.UP and bgp_down(one),
            mtu=f"MTU {one.link.mtu}" if one.link else "no interface",
            bgp=bgp(one) if one.state is TunnelState.UP else "",
        )
        for number, one in enumerate(group, before)
    ]
