"""`vtictl bgp`: sessions, and what keeps one from being established."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.ctl.shell import GOLDEN, HOSTILE, Shell
from tests.http.samples import SESSIONS
from vtid.ctl.bgp import table
from vtid.http.encode import encode

if TYPE_CHECKING:
    from vtid.model.status import BgpRow

pytestmark = pytest.mark.usefixtures("no_terminal")


async def test_the_table_fits_80_columns(shell: Shell) -> None:
    code, out, _ = await shell("bgp")
    assert (code, out) == (1, (GOLDEN / "vtictl-bgp.txt").read_text("utf-8"))
    assert max(map(len, out.splitlines())) <= 80


async def test_all_columns(shell: Shell) -> None:
    _, out, _ = await shell("bgp", "--wide")
    assert out == (GOLDEN / "vtictl-bgp-wide.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("rows", "status"),
    [((), 0), (SESSIONS[:1], 0), (SESSIONS[3:], 0), (SESSIONS[2:3], 0), (SESSIONS[1:2], 1)],
)
async def test_what_is_bad_news(shell: Shell, rows: tuple[BgpRow, ...], status: int) -> None:
    """A tunnel that is down has no session, and says so itself."""
    shell.daemon.sessions = rows
    assert (await shell("bgp"))[0] == status


async def test_of_a_tunnel_and_those_that_are_down(shell: Shell) -> None:
    _, out, _ = await shell("bgp", "private/vti42", "--down", "-o", "json")
    assert [one["protocol"] for one in json.loads(out)["sessions"]] == ["second"]
    code, _, err = await shell("bgp", "nowhere")
    assert (code, "no tunnel 'nowhere'" in err) == (1, True)
    shell.daemon.sessions = ()
    assert (await shell("bgp"))[1] == "no sessions\n"


def test_a_limit_that_was_reached_is_told_of_a_session_that_is_up() -> None:
    said = list(table(json.loads(encode(SESSIONS[:1])), 0.0, 80))
    assert said[2] == "    ipv6: import limit reached"


async def test_a_neighbour_cannot_speak_to_the_terminal(shell: Shell) -> None:
    shell.daemon.sessions = (
        replace(SESSIONS[1], last_error=HOSTILE, info=f"Active {HOSTILE}"),
        replace(SESSIONS[2], missing=HOSTILE, tunnel=HOSTILE),
    )
    _, out, _ = await shell("bgp", "--wide")
    assert all(char.isprintable() or char == "\n" for char in out)
    assert "\n! all is well" not in out
