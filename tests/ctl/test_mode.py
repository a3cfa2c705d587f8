"""`vtictl pause`, `drain` and `resume`, and where a mode shows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.http.samples import SUMMARY, UP, status
from vtid.ctl import main as ctl
from vtid.model.mode import Mode

if TYPE_CHECKING:
    from tests.ctl.shell import Shell


@pytest.mark.parametrize(
    ("words", "asked", "said"),
    [
        (("pause", "private/vti42"), "paused private/vti42", "1 tunnel paused\n"),
        (("drain", "vti50", "private/vti42"), "drained vti50 private/vti42", "2 tunnels drained\n"),
        (("resume", "--all"), "managed", "3 tunnels managed\n"),
    ],
)
async def test_each(shell: Shell, words: tuple[str, ...], asked: str, said: str) -> None:
    assert (await shell(*words))[:2] == (0, said)
    assert shell.daemon.done == [asked]


async def test_a_tunnel_is_found_by_its_interface(shell: Shell) -> None:
    shell.daemon.answer = status(replace(UP, tunnel="V2-1"))
    await shell("pause", "private/vti42")
    assert shell.daemon.done == ["paused V2-1"]


async def test_an_unknown_name_changes_nothing(shell: Shell) -> None:
    code, _, err = await shell("drain", "vti50", "no&such")
    assert (code, err) == (1, "vtictl: no tunnel 'no&such': `vtictl tunnels` lists them\n")
    assert shell.daemon.done == []


async def test_what_takes_too_long(shell: Shell) -> None:
    shell.daemon.mode_finished = False
    code, out, _ = await shell("drain", "--all", "-o", "json")
    assert (code, json.loads(out)["finished"]) == (1, False)


@pytest.mark.parametrize("words", [(), ("--all", "vti50")])
def test_all_or_some(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["pause", *words]) == 64
    assert "name the tunnels, or say --all" in capsys.readouterr().err


async def test_where_it_shows(shell: Shell) -> None:
    shell.daemon.answer = status(replace(UP, mode=Mode.DRAINED))
    shell.daemon.screen = replace(SUMMARY, drained=1)
    assert " up,drained " in (await shell("tunnels"))[1]
    assert "\nmode      drained by the operator\n" in (await shell("show", UP.tunnel))[1]
    assert "tunnels  3: 1 up, 1 down, 1 error; 1 drained\n" in (await shell("status"))[1]
