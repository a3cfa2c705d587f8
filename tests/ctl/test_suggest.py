"""`vtictl suggest`: what `vtid --suggest` prints, and why it prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.ctl import main as ctl

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_without_charon_it_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl.main(["suggest", "--vici", str(tmp_path / "none")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"VICI socket {tmp_path}/none is absent: start strongSwan" in said.err
