"""`vtictl doctor`: the findings of `vtid --doctor`, and its exit status."""

from __future__ import annotations

import json
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

from vtid.ctl import doctor
from vtid.ctl import main as ctl
from vtid.ctl.doctor import lines

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_finding_is_shown_with_its_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "vtid.toml"
    config.write_text(f'[vici]\nsocket = "{tmp_path}/none"\n')
    assert ctl.main(["doctor", "--config", str(config), "-o", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    findings = answer["findings"]
    assert "connections and SAs" in [gap["what"] for gap in answer["not_seen"]]
    assert findings[0]["id"] == "charon-unreachable"
    headline, what, fix, *_ = lines(findings, [])
    assert headline == f"charon-unreachable: {tmp_path}/none"
    assert "is absent" in what
    assert fix.startswith("    fix: ")


def test_a_bad_configuration_is_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.toml").write_text("a = 1\n")
    assert ctl.main(["doctor", "--config", str(tmp_path / "a.toml")]) == 64
    assert "a.toml:1" in capsys.readouterr().err


def test_the_exit_status_is_that_of_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_arguments: str) -> CompletedProcess[str]:
        unseen = {"what": "clock", "why": "w"}
        return CompletedProcess((), 0, json.dumps({"findings": found, "not_seen": [unseen]}))

    monkeypatch.setattr(doctor, "run_vtid", answer)
    found: list[dict[str, str]] = []
    assert ctl.main(["doctor"]) == 0
    found.append({"id": "i", "subject": "s", "what": "w", "fix": "m"})
    assert ctl.main(["doctor"]) == 1


def test_nothing_found_is_said() -> None:
    assert list(lines([], [])) == ["nothing found"]


def test_what_was_not_looked_at_is_said() -> None:
    assert list(lines([], [{"what": "hooks", "why": "run it as root"}])) == [
        "nothing found, of what could be looked at",
        "not looked at: hooks: run it as root",
    ]
