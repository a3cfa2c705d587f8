"""`vtictl wait`, `resync`, `version` and `tunnels --names`, against a real server."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.http.samples import ERROR, SUMMARY, UP, status
from vtid.ctl import main as ctl
from vtid.http.api import ResyncResult
from vtid.model.status import TunnelState

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ctl.shell import Shell

PENDING = replace(UP, state=TunnelState.PENDING, reason="the link is on its way")
ALL_UP = replace(SUMMARY, tunnels=SUMMARY.tunnels | {"down": 0, "error": 0}, troubles=())


@pytest.mark.parametrize(
    ("words", "reached"),
    [
        (("up", "private/vti42"), True),
        (("synced", "private/vti42"), True),
        (("up", "private/vti42", "vti50"), False),
        (("down", "vti50"), True),
        (("down", "private/vti42"), False),
        (("down", "no-such"), True),
        (("up", "no-such"), False),
        (("up", "private/vti43"), False),
        (("up",), False),
        (("down",), False),
        (("synced",), False),
    ],
)
async def test_what_is_reached(shell: Shell, words: tuple[str, ...], *, reached: bool) -> None:
    code, out, _ = await shell("wait", "--timeout", "0", "--for", *words)
    assert (code == 0, out == "") == (reached, reached)


async def test_all_tunnels(shell: Shell) -> None:
    shell.daemon.screen = ALL_UP
    assert (await shell("wait", "--timeout", "0", "--for", "up"))[:2] == (0, "")
    shell.daemon.screen = replace(ALL_UP, synced=True)
    assert (await shell("wait", "--timeout", "0", "--for", "synced"))[:2] == (0, "")


async def test_what_is_missing_is_told(shell: Shell) -> None:
    _, out, _ = await shell("wait", "--timeout", "0", "--for", "up")
    assert out.splitlines() == ["not up in 0 s:", "1 down", "1 error"]
    _, out, _ = await shell("wait", "--timeout", "0", "--for", "synced")
    assert out.splitlines()[1:] == ["V2-9/net{3}: mode TRANSPORT", f"private/vti43: {ERROR.error}"]
    shell.daemon.screen = ALL_UP
    _, out, _ = await shell("wait", "--timeout", "0", "--for", "synced")
    assert "operations are under way" in out
    names = [f"t{number}" for number in range(9)]
    code, out, _ = await shell("wait", "--timeout", "0", "--for", "up", *names, "-o", "json")
    assert (code, len(json.loads(out)["missing"])) == (1, 9)
    _, out, _ = await shell("wait", "--timeout", "0", "--for", "up", *names)
    assert out.splitlines()[-1] == "… and 4 more"


def after(naps: int, monkeypatch: pytest.MonkeyPatch, happen: Callable[[], None]) -> list[float]:
    """Have something happen while `vtictl` sleeps for that many times."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == naps:
            happen()

    monkeypatch.setattr(time, "sleep", sleep)
    return slept


async def test_it_waits(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.daemon.answer = status(PENDING)

    def come_up() -> None:
        shell.daemon.answer = status(UP)

    slept = after(3, monkeypatch, come_up)
    assert (await shell("wait", "--for", "up", UP.tunnel))[:2] == (0, "")
    assert len(slept) == 3


async def test_it_gives_up_in_time(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.daemon.answer = status(PENDING)
    now = 100.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", sleep)
    code, out, _ = await shell("wait", "--for", "synced", "--timeout", "5", UP.tunnel)
    assert code == 1
    assert now == pytest.approx(105)
    assert "private/vti42: pending, the link is on its way" in out


def test_it_waits_for_vtid_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept = after(1, monkeypatch, lambda: None)
    words = ["wait", "--for", "up", "--socket", "/nowhere"]
    monkeypatch.setattr(time, "monotonic", lambda: 100.0 + 40 * len(slept))
    assert ctl.main(words) == 3
    assert "no such socket" in capsys.readouterr().out
    assert len(slept) == 2


@pytest.mark.parametrize("words", [("up", "--timeout", "-1"), ("up", "--timeout", "inf"), ("x",)])
def test_wrong_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(["wait", "--for", *words])
    assert ended.value.code == 64
    assert words[-1] in capsys.readouterr().err


async def test_resync(shell: Shell) -> None:
    assert (await shell("resync"))[:2] == (0, "all was as it should be\n")
    shell.daemon.resync_result = ResyncResult(operations=3, finished=False)
    code, out, _ = await shell("resync")
    assert code == 1
    assert out.startswith("3 operations were needed\n! not finished")
    assert shell.daemon.done == ["resync", "resync"]


async def test_version(shell: Shell) -> None:
    code, out, _ = await shell("version")
    assert code == 0
    assert out.splitlines()[1] == "vtid    0.1.0"
    code, out, _ = await shell("version", "-o", "json")
    assert json.loads(out)["vtid"] == "0.1.0"


def test_version_without_vtid(capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["version", "--socket", "/nowhere"]) == 3
    assert capsys.readouterr().out.startswith("vtictl  ")


async def test_names(shell: Shell) -> None:
    assert (await shell("tunnels", "--names"))[:2] == (0, "private/vti42\nvti50\nprivate/vti43\n")
