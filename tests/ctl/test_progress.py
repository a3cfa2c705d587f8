"""How far vtid is, told while a command waits: against a real server, on a real terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.ctl.test_wait import PENDING
from tests.http.samples import SUMMARY, UP, status
from vtid.ctl import client, progress
from vtid.ctl.client import ask
from vtid.ctl.progress import Progress, so_far
from vtid.http.encode import encode

if TYPE_CHECKING:
    from tests.ctl.shell import Shell
    from vtid.model.status import Summary

TUNNELS = SUMMARY.tunnels | {"up": 2000, "down": 0, "error": 0}
STEPS = ((1800, 10, 10), (1800, 10, 10), (312, 400, 298), (0, 410, 410))
"""At each look: tunnels that are under way, operations that were begun, and answered."""
FIRST = "0 of 0 operations done, 1800 of 2000 tunnels under way"
LATER = "288 of 390 operations done, 312 of 2000 tunnels under way"


def at(under_way: int, begun: int, answered: int) -> Summary:
    return replace(
        SUMMARY,
        tunnels=TUNNELS,
        under_way=under_way,
        operations_begun=begun,
        operations_answered=answered,
    )


def slow(shell: Shell, name: str) -> None:
    """Have the daemon answer when it was asked how far it is as often as there are steps."""
    steps, looks, done = iter(STEPS), count(1), asyncio.Event()
    answer = getattr(shell.daemon, name)

    def summary() -> Summary:
        if next(looks) == len(STEPS):
            done.set()
        return at(*next(steps, STEPS[-1]))

    async def late(*arguments: object) -> object:
        await done.wait()
        return await answer(*arguments)

    shell.daemon.summary = summary  # type: ignore[method-assign]
    setattr(shell.daemon, name, late)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LOOK", 0.01)
    monkeypatch.setattr(progress, "QUIET", 0.0)
    monkeypatch.setattr(progress, "IN_A_LOG", 0.0)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("reload",), "reload"),
        (("resync",), "resync"),
        (("flush", "--yes"), "flush"),
        (("drain", "--all"), "set_mode"),
        (("adopt", "--all"), "adopt"),
    ],
)
async def test_a_log_has_each_step_once(shell: Shell, words: tuple[str, ...], name: str) -> None:
    slow(shell, name)
    code, out, err = await shell(*words)
    assert code == 0
    assert out
    assert err.splitlines()[:2] == [f"vtictl: {FIRST}", f"vtictl: {LATER}"]


async def test_the_answer_is_apart_from_it(shell: Shell) -> None:
    slow(shell, "reload")
    _, out, _ = await shell("reload", "-o", "json")
    assert out.startswith("{")
    assert "2000" not in out


async def test_on_a_terminal_one_line_moves_and_goes(shell: Shell) -> None:
    slow(shell, "reload")
    here, there = pty.openpty()
    script = "import sys; from vtid.ctl import client, main, progress; client.LOOK = 0.05; "
    command = f"{script} progress.QUIET = 0; sys.exit(main.main())"
    words = [sys.executable, "-c", command, "reload", "--socket", shell.socket]
    environment = os.environ | {"TERM": "xterm"}
    process = await asyncio.create_subprocess_exec(
        *words, stdout=subprocess.DEVNULL, stderr=there, env=environment
    )
    os.close(there)
    assert await asyncio.wait_for(process.wait(), 30) == 0
    seen = os.read(here, 65536).decode()
    os.close(here)
    first, *others = seen.split("\r\x1b[K")[1:]
    assert first == FIRST
    assert LATER in others
    assert others[-1] == ""
    assert "\n" not in seen


async def test_what_is_wrong_is_told_once_where_nobody_says_how_far_it_is(shell: Shell) -> None:
    async def refuse() -> None:
        await asyncio.sleep(0.1)
        raise RuntimeError("no")

    def summary() -> None:
        raise RuntimeError("nor that")

    shell.daemon.reload = refuse  # type: ignore[assignment]
    shell.daemon.summary = summary  # type: ignore[assignment,method-assign]
    code, _, err = await shell("reload")
    assert (code, err.count("\n"), "/v1/reload" in err) == (1, 1, True)


@pytest.mark.parametrize("stderr", ["&-", "/dev/full"])
async def test_the_answer_comes_where_nothing_can_be_told(shell: Shell, stderr: str) -> None:
    slow(shell, "reload")
    script = "import sys; from vtid.ctl import client, main, progress; client.LOOK = 0.01; "
    command = f"{script} progress.IN_A_LOG = 0; sys.exit(main.main())"
    words = shlex.join([sys.executable, "-c", command, "reload", "--socket", shell.socket])
    process = await asyncio.create_subprocess_shell(
        f"{words} 2>{stderr}", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    answer, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, bool(answer)) == (0, True)


@pytest.mark.parametrize("left_out", ["operations_answered", "operations_begun", "under_way"])
async def test_a_vtid_before_an_upgrade_tells_nothing_and_answers(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, left_out: str
) -> None:
    slow(shell, "reload")

    def older(*words: object, **more: object) -> dict[str, object]:
        return {name: fact for name, fact in ask(*words, **more).items() if name != left_out}  # type: ignore[arg-type]

    monkeypatch.setattr(progress, "ask", older)
    code, out, err = await shell("reload")
    assert (code, bool(out), err) == (0, True, "")


async def test_wait_tells_what_it_waits_for(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.daemon.answer = status(PENDING)
    looks = count()

    def sleep(_: float) -> None:
        if next(looks) == 3:
            shell.daemon.answer = status(UP)

    monkeypatch.setattr(time, "sleep", sleep)
    code, out, err = await shell("wait", "--for", "up", UP.tunnel)
    assert (code, out) == (0, "")
    assert err == f"vtictl: not up yet: {UP.tunnel}: pending, the link is on its way\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress, "QUIET", 1.0)
    monkeypatch.setattr(progress, "IN_A_LOG", 5.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_log_is_not_flooded(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as told:
        for tenth in range(120):
            clock[0] = 100 + tenth / 10
            told.tell(f"{tenth}")
    assert capsys.readouterr().err == "vtictl: 50\nvtictl: 100\n"


def test_what_is_quick_tells_nothing(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress() as told:
        clock[0] += 4.9
        told.tell("halfway")
    assert capsys.readouterr().err == ""


def test_no_word_of_a_peer_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as told:
        told.tell("evil\x1b[2J")
    assert capsys.readouterr().err == "vtictl: evil\\x1b[2J\n"


def test_where_no_tunnel_is_left_the_rest_is_waited_for() -> None:
    summary = json.loads(encode(at(0, 410, 410)))
    assert so_far(summary, 10) == "400 of 400 operations done, waiting for what follows"
