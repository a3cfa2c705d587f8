"""`vtictl adopt`: what it asks for, and what it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from vtid.ctl import main as ctl
from vtid.http.api import AdoptResult

if TYPE_CHECKING:
    from tests.ctl.shell import Shell

REFUSED = "vti50: kind dummy instead of vti"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("private/vti42",), "adopt private/vti42"),
        (("private/vti42", "no&such"), "adopt private/vti42 no&such"),
        (("--all",), "adopt"),
    ],
)
async def test_each(shell: Shell, words: tuple[str, ...], asked: str) -> None:
    assert (await shell("adopt", *words))[:2] == (0, "private/vti42 is vtid's own now\n")
    assert shell.daemon.done == [asked]


async def test_what_is_refused_is_named(shell: Shell) -> None:
    shell.daemon.adopt_result = AdoptResult(("vti1",), (REFUSED,), finished=True)
    code, out, _ = await shell("adopt", "--all")
    assert (code, out) == (1, f"vti1 is vtid's own now\n! {REFUSED}\n")


async def test_nothing_to_adopt_is_no_trouble(shell: Shell) -> None:
    shell.daemon.adopt_result = AdoptResult((), (), finished=True)
    assert (await shell("adopt", "--all"))[:2] == (0, "there is nothing to adopt\n")


async def test_what_takes_too_long(shell: Shell) -> None:
    shell.daemon.adopt_result = AdoptResult((), (), finished=False)
    code, out, _ = await shell("adopt", "vti1", "-o", "json")
    assert (code, json.loads(out)["finished"]) == (1, False)


@pytest.mark.parametrize("words", [(), ("--all", "vti50")])
def test_all_or_some(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["adopt", *words]) == 64
    assert "name the interfaces, or say --all" in capsys.readouterr().err
