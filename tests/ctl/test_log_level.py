"""`vtictl log-level`: what is logged, and for how long."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.ctl.shell import GOLDEN, Shell
from tests.ctl.test_screen import lines
from tests.http.samples import LOG_LEVELS, SUMMARY
from vtid.ctl import log_level
from vtid.ctl import main as ctl
from vtid.http import control, routes
from vtid.model.levels import Level, Subsystem

pytestmark = pytest.mark.usefixtures("no_terminal")


async def test_the_levels(shell: Shell) -> None:
    code, out, _ = await shell("log-level")
    assert (code, out) == (0, (GOLDEN / "vtictl-log-level.txt").read_text("utf-8"))
    _, out, _ = await shell("log-level", "-o", "json")
    assert json.loads(out)["levels"][1]["until"] == 2230.0
    assert shell.daemon.done == []


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (("debug",), "log all debug 0"),
        (("vici", "debug", "--for", "10m"), "log vici debug 600"),
        (("--for", "90", "nft", "error"), "log nft error 90"),
        (("bird", "default"), "log bird default 0"),
    ],
)
async def test_a_change(shell: Shell, words: tuple[str, ...], done: str) -> None:
    code, out, _ = await shell("log-level", *words)
    assert (code, out.split()[0]) == (0, "SUBSYSTEM")
    assert shell.daemon.done == [done]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("vici",), "log-level vici: give a LEVEL: debug, info, warning, error, default"),
        (("info", "debug"), "'info' is a LEVEL; the SUBSYSTEM comes first"),
        (("--for", "10m"), "--for wants a LEVEL"),
    ],
)
async def test_wrong_words(shell: Shell, words: tuple[str, ...], why: str) -> None:
    code, _, err = await shell("log-level", *words)
    assert (code, shell.daemon.done) == (64, [])
    assert why in err


@pytest.mark.parametrize("words", [("loud",), ("vici", "loud"), ("vici", "info", "x")])
def test_words_that_are_unknown(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(["log-level", *words])
    assert ended.value.code == 64
    assert words[-1] in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "m", "0s", "8d", "1.5h", "-1s", "10 m", "\u0661m"])
def test_times_that_are_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(["log-level", "debug", f"--for={text}"])
    assert ended.value.code == 64
    assert "is no time such as 90s, 10m, 2h" in capsys.readouterr().err


def test_both_ends_agree() -> None:
    assert (*Level, control.DEFAULT) == log_level.LEVELS
    assert tuple(Subsystem) == log_level.SUBSYSTEMS
    assert log_level.LONGEST == routes.LONGEST


def test_status_says_what_differs() -> None:
    assert not [line for line in lines(SUMMARY) if line.startswith("log ")]
    said = lines(replace(SUMMARY, log_levels=LOG_LEVELS[1:]))
    assert "log      debug for vici (10m left); warning for kernel" in said
