"""`vtictl check`: the verdict of `vtid --check`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vtid.ctl import main as ctl

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_good_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.toml").write_text('[[tunnel]]\nconnection = "A"\ninterface = "vti1"\n')
    assert ctl.main(["check", str(tmp_path / "a.toml")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a.toml: good, 1 tunnels\n"


def test_a_bad_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.toml").write_text('a = 1\n[[tunnel]]\nconnection = "A"\nb = 1\n')
    assert ctl.main(["check", str(tmp_path / "a.toml"), "-o", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    assert len(answer["errors"]) == 3
    assert ctl.main(["check", str(tmp_path / "none.toml")]) == 1
    assert "No such file" in capsys.readouterr().out


def test_nothing_of_the_current_directory_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vtid.py").write_text("raise SystemExit(0)")
    monkeypatch.chdir(tmp_path)
    assert ctl.main(["check", "--", "--version"]) == 1
    assert "--version: No such file" in capsys.readouterr().out
