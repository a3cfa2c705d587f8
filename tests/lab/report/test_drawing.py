"""The picture of the topology: what was reported is drawn, all of it and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.lab.report import drawing, seen
from tests.lab.topology.figures import MESH

if TYPE_CHECKING:
    from tests.lab.report.results import GatewayState

GOLDEN = json.loads((Path(__file__).parent / "golden/seen.json").read_text())
TAKEN = "2026-11-22 17:34:30 UTC"


def reported() -> list[GatewayState]:
    return [
        seen.gateway_state(
            gateway, GOLDEN[gateway.name]["status"], GOLDEN[gateway.name]["protocols"]
        )
        for gateway in MESH.gateways
    ]


def elements(gateways: list[GatewayState], tag: str, word: str = "") -> list[ET.Element]:
    root = ET.fromstring(drawing.svg("lab", gateways, TAKEN))  # noqa: S314 our own text
    return [
        element
        for element in root.iter(f"{{http://www.w3.org/2000/svg}}{tag}")
        if not word or word in element.get("class", "").split()
    ]


def lines(gateways: list[GatewayState]) -> list[ET.Element]:
    return [e for e in elements(gateways, "path", "tunnel") if "legend" not in e.get("class", "")]


def words(gateways: list[GatewayState]) -> list[str]:
    return [element.text or "" for element in elements(gateways, "text")]


def test_states_are_read_from_what_daemons_said() -> None:
    v11, v12, v21, *_, v32 = reported()
    assert [(t.interface, t.peer, t.state, t.mtu, t.bgp_state) for t in v11.tunnels] == [
        ("vti3", "V2-1", "down", None, ""),
        ("vti4", "V2-2", "error", None, ""),
        ("vti5", "V3-1", "up", 1426, "Established"),
        ("vti6", "V3-2", "up", 1426, "Established"),
    ]
    assert "belongs to someone else" in v11.tunnels[1].reason
    assert {tunnel.bgp_state for tunnel in v12.tunnels} == {"BIRD does not answer"}
    assert [tunnel.bgp_state for tunnel in v21.tunnels][2:] == ["down", "Established"]
    assert (v32.answers, v32.tunnels) == (False, ())


@pytest.mark.parametrize(
    ("protocols", "state"),
    [
        (None, "BIRD does not answer"),
        ("B1 BGP --- up 12:00:00.000 Established   \n", "Established"),
        ("B1 BGP --- start 12:00:00.000 Active Socket: No route\n", "Active Socket: No route"),
        ("B1 BGP --- down 12:00:00.000\n", "down"),
        ("B1 BGP m up 12:00 Established\nB1 BGP m start 12:00 Idle\n", "Established, Idle"),
        ("B10 BGP --- up 12:00:00.000 Established\nB1 Static m up 12:00\nB1\n", "not in BIRD"),
    ],
)
def test_bgp_state(protocols: str | None, state: str) -> None:
    assert seen.bgp_state("B1", protocols) == state


def test_a_line_for_each_reported_tunnel_in_its_state() -> None:
    gateways = reported()
    counted = Counter(line.get("class") for line in lines(gateways))
    assert counted == {
        "tunnel up": 7,
        "tunnel up bgp-down": 10,
        "tunnel down": 2,
        "tunnel error": 1,
    }
    assert counted.total() == sum(len(gateway.tunnels) for gateway in gateways)


def test_nobody_reports_nothing_is_drawn() -> None:
    silent = [replace(gateway, answers=False, tunnels=()) for gateway in reported()]
    assert lines(silent) == []
    assert words(silent).count("vtid does not answer") == 6
    assert lines([]) == []


def test_one_end_alone_is_drawn_to_the_middle_only() -> None:
    v11, *_ = reported()
    alone = [replace(v11, tunnels=v11.tunnels[2:3])]
    assert len(lines(alone)) == 1


def test_why_a_tunnel_is_down_is_in_its_row() -> None:
    text = words(reported())
    assert text.count("no CHILD_SA") == 2
    assert any(line.startswith("vti4 in namespace 'v1-1-private' belongs to") for line in text)


def test_hostile_words_are_text() -> None:
    v11, *rest = reported()
    bad = "</title><script>alert(1)</script>&\x1b[2J\x00\u202e\"'"
    tunnel = replace(v11.tunnels[0], interface=bad, peer=bad, state=bad, reason=bad, bgp_state=bad)
    gateways = [replace(v11, name=bad, address=bad, tunnels=(tunnel,)), *rest]
    assert elements(gateways, "script") == []
    shown = "".join(words(gateways)) + drawing.svg(bad, gateways, bad)
    assert not any(letter in shown for letter in "\x1b\x00\u202e")
    assert lines(gateways)[0].get("class") == "tunnel"


def test_same_report_same_picture() -> None:
    assert drawing.svg("lab", reported(), TAKEN) == drawing.svg("lab", reported(), TAKEN)
    assert TAKEN in drawing.svg("lab", reported(), TAKEN)
