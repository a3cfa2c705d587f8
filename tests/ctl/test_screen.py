"""`vtictl status`: one screen of 80 columns, whatever is wrong."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.ctl.shell import GOLDEN, Shell
from tests.http.samples import SUMMARY
from vtid.ctl.screen import screen
from vtid.ctl.terminal import wrapped
from vtid.http.encode import encode
from vtid.model.status import Trouble

if TYPE_CHECKING:
    from vtid.ctl.terminal import Line
    from vtid.model.status import Summary


def lines(summary: Summary, now: float = 1630.0) -> list[str]:
    return [plain(line) for line in screen(json.loads(encode(summary)), now)]


def plain(line: Line) -> str:
    return line if isinstance(line, str) else "".join(text for text, _ in line)


async def test_one_screen(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1630.0)
    code, out, _ = await shell("status")
    assert (code, out) == (1, (GOLDEN / "vtictl-status.txt").read_text("utf-8"))


async def test_all_is_well(shell: Shell) -> None:
    shell.daemon.screen = replace(SUMMARY, troubles=())
    code, out, _ = await shell("status")
    assert code == 0
    assert "!" not in out


async def test_as_json(shell: Shell) -> None:
    code, out, _ = await shell("status", "-o", "json")
    assert code == 1
    assert json.loads(out)["tunnels"]["error"] == 1


def test_no_tunnels_and_what_is_waited_for() -> None:
    empty = dict.fromkeys(SUMMARY.tunnels, 0)
    said = lines(replace(SUMMARY, tunnels=empty, ready=False, waiting_for=("charon", "links")))
    assert said[0].endswith("waiting for charon, links")
    assert "tunnels  none" in said


def test_what_charon_is_to_initiate_is_told_while_it_is_missing() -> None:
    assert not [line for line in lines(SUMMARY) if line.startswith("initiate")]
    assert "initiate 2 CHILD_SAs" in "\n".join(lines(replace(SUMMARY, initiating=2)))


@pytest.mark.parametrize("length", [5, 60, 200, 2000])
def test_troubles_have_ten_lines_and_the_rest_is_counted(length: int) -> None:
    troubles = tuple(Trouble(f"vti{n}", "x " * (length // 2), 1000.0) for n in range(10))
    said = lines(replace(SUMMARY, troubles=troubles, more_troubles=90))
    assert len(said) <= 24
    assert max(map(len, said)) <= 80
    shown = said[said.index("") + 1 : -1]
    assert 0 < len(shown) <= 10
    told = sum(line.startswith("!") for line in shown)
    assert said[-1].startswith(f"… and {100 - told} more")


@pytest.mark.parametrize("columns", [12, 20, 80])
def test_wrapping_loses_nothing(columns: int) -> None:
    text = "a bb  ccc " + "d" * 50 + " ee"
    broken = list(wrapped("name  ", text, columns))
    assert all(len(line) <= columns for line in broken)
    assert broken[0].startswith("name  ")
    assert "".join(line[6:].replace(" ", "") for line in broken) == text.replace(" ", "")
