"""The report: all that was seen is in it, and nothing that was said can change its form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.machine.versions import commit
from tests.lab.report import report
from tests.lab.report.results import (
    Check,
    Command,
    Failure,
    GatewayState,
    Outage,
    Phase,
    Results,
    TunnelState,
    Window,
)

if TYPE_CHECKING:
    import pytest

TAKEN = "2026-11-22 17:34:30 UTC"
EXAMPLE = Results(
    lab="mesh",
    versions=(("kernel", "Linux 6.1.0"), ("BIRD", "2.0.12")),
    seconds=95.25,
    phases=(Phase("daemons started", 14.71, 17.4),),
    checks=(
        Check(
            "4 IKE_SAs on each",
            passed=True,
            detail="ESTABLISHED",
            seconds=0.14,
            commands=(Command("v1-1", "swanctl --list-sas", "V2-1: #1, ESTABLISHED\n```\n# x"),),
        ),
        Check("pings", passed=False, detail="R1 | R2:\n<b>lost</b>", seconds=3),
    ),
    failures=(
        Failure(
            "V1-1 stops",
            passed=True,
            detail="all is back",
            bound="BGP's hold time",
            allowed=10.0,
            seconds=30.0,
            outages=(
                Outage("R1", "R2", "10.0.2.1", 91, (Window(0.5, 2.0, 19), Window(4.0, 0.5, 4))),
                Outage("R1", "R3", "10.0.3.1", 114),
            ),
            commands=(Command("r1", "ping <R2>", "64 bytes"),),
        ),
    ),
    gateways=(
        GatewayState(
            name="V1-1",
            site=1,
            number=1,
            address="2001:db8:1::1",
            answers=True,
            tunnels=(
                TunnelState(
                    "vti3", "V1-1", "V2-1", "up", 1426, 1386, 1366, "B", "Established", "it is up"
                ),
                TunnelState("vti4", "V1-1", "V2-2", "down", None, None, None, "", "", "no SA"),
            ),
        ),
    ),
)
GOLDEN = Path(__file__).parent / "golden/report.md"


def test_markdown_is_as_it_was_read_and_found_good() -> None:
    assert report.markdown(EXAMPLE, TAKEN) == GOLDEN.read_text()


def test_json_has_all_and_the_sums() -> None:
    tree = json.loads(report.as_json(EXAMPLE, TAKEN))
    assert (tree["passed"], tree["failed"], tree["taken"]) == (2, 1, TAKEN)
    assert tree["checks"][0]["commands"][0]["output"] == "V2-1: #1, ESTABLISHED\n```\n# x"
    outages = tree["failures"][0]["outages"]
    assert [(one["seconds"], one["lost"]) for one in outages] == [(2.5, 23), (0, 0)]
    assert tree["gateways"][0]["tunnels"][1]["mtu"] is None


def test_a_cell_stays_a_cell() -> None:
    hostile = "a|b\nc\\|<b>[x](http://y) `z` *w* \x1b[2J\u202e www.y"
    text = report.markdown(replace(EXAMPLE, versions=((hostile, "1"),)), TAKEN)
    (row,) = [line for line in text.splitlines() if "http" in line]
    assert row == (
        "| a\\|b c\\\\\\|\\<b\\>\\[x\\](http\\://y) \\`z\\` \\*w\\* \ufffd\\[2J\ufffd www\\.y | 1 |"
    )


def test_an_output_stays_in_its_fence() -> None:
    hostile = Command("r1", "cat </details>", "````\n</details>\n`````\n# head\n\x07")
    text = report.markdown(
        replace(EXAMPLE, checks=(replace(EXAMPLE.checks[0], commands=(hostile,)),)), TAKEN
    )
    inside = text.split("``````text\n")[1].split("\n``````\n")[0]
    assert inside == "[r1] cat </details>\n````\n</details>\n`````\n# head\n\ufffd"


def test_long_outputs_are_cut_and_say_so() -> None:
    long = Command("r1", "seq 1000", "\n".join(map(str, range(1000))) + "y" * 1000)
    wide = Command("r1", "yes", "y" * 1000)
    check = replace(EXAMPLE.checks[0], commands=(long, *[wide] * 50))
    text = report.markdown(replace(EXAMPLE, checks=(check,)), TAKEN)
    assert "\n119\n… 880 more lines\n" in text
    assert "\n120\n" not in text
    assert text.count(f"\n{'y' * 400}…\n") == 39
    assert "11 more commands are in report.json" in text


def test_nothing_seen_is_a_report_too() -> None:
    empty = Results("pair", (), 1.0, (), (), (), ())
    assert "0 passed, 0 failed" in report.markdown(empty, TAKEN)
    assert json.loads(report.as_json(empty, TAKEN))["checks"] == []


def test_all_files_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.write(tmp_path, EXAMPLE)
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.md",
        "report.json",
        "topology.svg",
    }
    assert "report.md" in capsys.readouterr().out


def test_commit_is_read_without_git(tmp_path: Path) -> None:
    assert commit(tmp_path) == ""
    (tmp_path / "HEAD").write_text("0123456789abcdef0123\n")
    assert commit(tmp_path) == "0123456789ab"
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit(tmp_path) == ""
    (tmp_path / "refs/heads").mkdir(parents=True)
    (tmp_path / "refs/heads/main").write_text("fedcba9876543210\n")
    assert commit(tmp_path) == "fedcba987654"
