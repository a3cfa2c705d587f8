"""`vtictl bird render` against a real server on a real Unix socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vtid.http.api import BirdFile

if TYPE_CHECKING:
    from tests.ctl.shell import Shell


async def test_what_would_be_written(shell: Shell) -> None:
    assert await shell("bird", "render") == (
        0,
        "# main: /etc/bird/vtid.conf\nprotocol a {}\n# second: /etc/bird/2.conf\nprotocol b {}\n",
        "",
    )
    assert shell.daemon.done == ["bird files, passwords=False"]


async def test_passwords_for_who_asks(shell: Shell) -> None:
    await shell("bird", "render", "--passwords")
    assert shell.daemon.done == ["bird files, passwords=True"]


async def test_one_bird(shell: Shell) -> None:
    assert (await shell("bird", "render", "main", "--diff")) == (0, "", "")
    code, _, err = await shell("bird", "render", "a&b")
    assert (code, err) == (1, "vtictl: no [[bird]] 'a&b'; there are: 'main', 'second'\n")


async def test_how_the_file_differs(shell: Shell) -> None:
    assert (await shell("bird", "render", "--diff"))[:2] == (1, "-protocol c {}\n")


async def test_as_json(shell: Shell) -> None:
    code, out, _ = await shell("bird", "render", "second", "-o", "json")
    assert code == 0
    assert json.loads(out)["files"][0]["diff"] == "-protocol c {}\n"


async def test_a_file_that_cannot_be_read(shell: Shell) -> None:
    shell.daemon.files = (BirdFile("main", "", error="/x is not ours: move it"),)
    assert (await shell("bird", "render"))[:2] == (1, "# main: /x is not ours: move it\n")
