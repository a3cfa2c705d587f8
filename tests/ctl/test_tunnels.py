"""`vtictl tunnels`: the table, what it leaves out where there is no room, filters and order."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.ctl.shell import GOLDEN, Shell
from tests.http.samples import AWAITED, DOWN, ERROR, PATTERN, UP, link, sa, status
from vtid.ctl import client, table, tunnels
from vtid.ctl import main as ctl
from vtid.http.encode import encode
from vtid.http.select import Filter, select
from vtid.model.status import Initiation, TunnelState

if TYPE_CHECKING:
    from vtid.ctl.client import Json

pytestmark = pytest.mark.usefixtures("no_terminal")


def rows(columns: int) -> list[str]:
    told = json.loads(encode(select((UP, ERROR, DOWN), Filter())))
    lines = table.table(told, 1630.0, columns)
    return [one if isinstance(one, str) else "".join(text for text, _ in one) for one in lines]


async def test_the_table_fits_80_columns(shell: Shell) -> None:
    code, out, _ = await shell("tunnels")
    assert code == 1
    assert out == (GOLDEN / "vtictl-tunnels.txt").read_text("utf-8")
    assert max(map(len, out.splitlines())) <= 80


async def test_all_columns_where_they_are_wanted(shell: Shell) -> None:
    _, out, _ = await shell("tunnels", "--wide")
    assert out == (GOLDEN / "vtictl-tunnels-wide.txt").read_text("utf-8")


@pytest.mark.parametrize("columns", [*range(30, 180, 7), 0])
def test_a_wider_terminal_shows_more_and_never_too_much(columns: int) -> None:
    said = rows(columns)
    assert not columns or max(map(len, said)) <= columns
    assert said[0].split()[:2] == ["TUNNEL", "STATE"]
    assert len(said[0].split()) >= len(rows(max(columns - 7, 30))[0].split()) or not columns


async def test_the_terminal_says_how_wide_it_is(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    _, out, _ = await shell("tunnels")
    assert max(map(len, out.splitlines())) <= 40


async def test_what_is_not_in_error_is_no_bad_news(shell: Shell) -> None:
    shell.daemon.answer = status(UP, DOWN)
    assert (await shell("tunnels"))[0] == 0
    assert (await shell("tunnels", "--state", "error"))[:2] == (0, "no such tunnels\n")
    shell.daemon.answer = status()
    assert (await shell("tunnels"))[:2] == (0, "no tunnels\n")


async def test_what_never_came_up_patterns_and_initiations(shell: Shell) -> None:
    asked = Initiation("V2-4", "net", "vti{mark}", up=False, asked=3, next_at=1634.0)
    shell.daemon.answer = status(AWAITED, patterns=(PATTERN,), initiations=(asked,))
    code, out, _ = await shell("tunnels")
    assert code == 0
    assert out.splitlines()[-3:] == [
        "    no CHILD_SA of V2-4 since start",
        "policy  site-*/* (vti{mark}): 3 tunnels, 2 up",
        "charon  asked 3 times to initiate V2-4/net, next in 4s",
    ]


async def test_json_has_the_traffic(shell: Shell) -> None:
    code, out, _ = await shell("tunnels", "-o", "json")
    told = json.loads(out)
    assert (code, told["schema_version"]) == (1, 1)
    counters = {one["tunnel"]: one["counters"] for one in told["tunnels"]}
    assert counters["private/vti42"]["tx_bytes"] == 2000
    assert counters["vti50"] is None


# --- filters and order ---------------------------------------------------------------------------


MOVED = replace(UP, tunnel="a", sas=(replace(sa(), remote_host="2001:db8::7", remote_id="C=x"),))
KEPT = replace(DOWN, tunnel="b", link=replace(link(), remote="192.0.2.9"), policy="site-*/net")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), ["private/vti42", "vti50", "private/vti43", "a", "b"]),
        (Filter(states=frozenset({"up"})), ["private/vti42", "a"]),
        (Filter(states=frozenset({"error", "down"})), ["vti50", "private/vti43", "b"]),
        (Filter(peer="192.0.2.2"), ["private/vti42", "private/vti43", "a"]),
        (Filter(peer="2001:db8:*"), ["a"]),
        (Filter(peer="C=?"), ["a"]),
        (Filter(peer="192.0.2.9"), ["b"]),
        (Filter(policy="V2-2"), ["vti50"]),
        (Filter(policy="V2-2/*"), ["vti50"]),
        (Filter(policy="V2-[12]"), ["private/vti42", "vti50", "a"]),
        (Filter(policy="site-*/net"), ["b"]),
        (Filter(peer="nobody"), []),
    ],
)
def test_filters(wanted: Filter, found: list[str]) -> None:
    all_ = (UP, DOWN, ERROR, MOVED, KEPT)
    assert [one.tunnel for one in select(all_, wanted)] == found


async def test_filters_on_the_command_line(shell: Shell) -> None:
    words = ("--state", "error,up", "--peer", "gw-*", "--policy", "V2-3")
    _, out, _ = await shell("tunnels", *words, "-o", "json")
    assert [one["tunnel"] for one in json.loads(out)["tunnels"]] == ["private/vti43"]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("state", ["private/vti43", "vti50", "private/vti42"]),
        ("since", ["private/vti43", "private/vti42", "vti50"]),
        ("traffic", ["private/vti42", "vti50", "private/vti43"]),
        ("peer", ["vti50", "private/vti42", "private/vti43"]),
        ("mtu", ["vti50", "private/vti43", "private/vti42"]),
    ],
)
async def test_orders(shell: Shell, order: str, found: list[str]) -> None:
    _, out, _ = await shell("tunnels", "--sort", order, "-o", "json")
    assert [one["tunnel"] for one in json.loads(out)["tunnels"]] == found


def test_states_are_all_known() -> None:
    assert set(table.STATES) == set(TunnelState)


@pytest.mark.parametrize(
    "words", [("--state", "upp"), ("--sort", "x"), ("--watch", "0"), ("--watch", "nan")]
)
def test_wrong_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ctl.main(["tunnels", *words])
    assert words[-1] in capsys.readouterr().err


# --- watch ---------------------------------------------------------------------------------------


def test_watching_goes_on_until_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also while vtid is away."""
    naps: list[float] = []

    def ask(*_: str) -> Json:
        if len(naps) == 1:
            raise client.RemoteError("cannot reach vtid")
        return {"tunnels": [], "patterns": [], "initiations": []}

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(tunnels, "ask", ask)
    monkeypatch.setattr(time, "sleep", sleep)
    assert ctl.main(["tunnels", "--watch", "0.5"]) == 130
    assert capsys.readouterr().out == "no tunnels\ncannot reach vtid\nno tunnels\n"
    assert naps == [0.5] * 3
