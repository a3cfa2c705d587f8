"""`vtictl` against a real server on a real Unix socket."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ctl.shell import GOLDEN, HOSTILE, Shell, vtictl
from tests.http.samples import (
    SUMMARY,
    UP,
    status,
)
from vtid.ctl import client
from vtid.ctl import main as ctl
from vtid.http.api import FlushResult, ReloadResult
from vtid.model.status import Trouble, TunnelState

# --- ready, and what a peer says --------------------------------------------------------------


async def test_ready(shell: Shell) -> None:
    code, out, _ = await shell("ready")
    assert (code, out.splitlines()[0]) == (0, "ready")
    shell.daemon.answer = status(ready=False, waiting_for=("charon's VICI socket",))
    code, out, _ = await shell("ready")
    assert (code, out.splitlines()[0]) == (1, "not ready")
    assert "charon's VICI socket" in out
    code, out, _ = await shell("ready", "-o", "json")
    assert (code, json.loads(out)["ready"]) == (1, False)


@pytest.mark.parametrize(
    "command",
    [
        ("tunnels",),
        ("tunnels", "--wide"),
        ("status",),
        ("show", UP.tunnel),
        *(("tunnels", "-o", form) for form in ("json", "yaml")),
    ],
)
async def test_a_peer_cannot_speak_to_the_terminal(shell: Shell, command: tuple[str, ...]) -> None:
    peer = replace(UP.sas[0], remote_id=HOSTILE, remote_ts=(HOSTILE,), connection=HOSTILE)
    peer = replace(peer, esp=replace(peer.esp, encr=HOSTILE))
    shell.daemon.answer = status(
        replace(UP, state=TunnelState.ERROR, sas=(peer,), reason=HOSTILE, error=HOSTILE)
    )
    shell.daemon.screen = replace(SUMMARY, troubles=(Trouble(HOSTILE, HOSTILE, 1.0),))
    _, out, _ = await shell(*command)
    assert "evil" in out
    assert all(char.isprintable() or char == "\n" for char in out)
    assert "\n! all is well" not in out


# --- show ----------------------------------------------------------------------------------------


async def test_show(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1630.0)
    code, out, _ = await shell("show", "private/vti42")
    assert code == 0
    assert out == (GOLDEN / "vtictl-show.txt").read_text("utf-8")


async def test_show_says_what_fits_into_the_sa(shell: Shell) -> None:
    shell.daemon.answer = status(replace(UP, path_mtu=1246))
    _, out, _ = await shell("show", "private/vti42")
    assert "mtu       1446 bytes, of which 1246 fit into the SA\n" in out


async def test_show_trouble(shell: Shell) -> None:
    code, out, _ = await shell("show", "private/vti43")
    assert code == 1
    assert "error     interface vti43 belongs to another program" in out
    assert "failures  4 since the last success" in out
    assert "BGP       vtid_vti43 2001:db8:ff::3: BIRD has no such session" in out
    assert "interface vti43 in namespace private, absent" in out


def test_show_wants_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(["show", ""])
    assert ended.value.code == 64
    assert "an empty name: `vtictl tunnels` lists the tunnels" in capsys.readouterr().err


async def test_show_as_json(shell: Shell) -> None:
    _, out, _ = await shell("show", "vti50", "-o", "json")
    assert json.loads(out)["reason"] == "no CHILD_SA"


async def test_show_what_is_not_there(shell: Shell) -> None:
    code, out, err = await shell("show", "a?b#c\x1b")
    assert (code, out) == (1, "")
    assert err == "vtictl: no tunnel 'a?b#c\\x1b': `vtictl tunnels` lists them\n"


# --- reload, flush, metrics ----------------------------------------------------------------


async def test_reload(shell: Shell) -> None:
    shell.daemon.reload_result = ReloadResult(
        ok=True,
        warnings=("[daemon] takes a restart",),
        changes=("[[tunnel]] A/* added",),
        operations=7,
    )
    code, out, _ = await shell("reload")
    assert code == 0
    assert out.splitlines() == [
        "configuration loaded, it differs in",
        "  [[tunnel]] A/* added",
        "7 operations followed",
        "warning: [daemon] takes a restart",
    ]


async def test_a_reload_without_a_change(shell: Shell) -> None:
    assert (await shell("reload"))[:2] == (
        0,
        "configuration loaded, nothing differs\n0 operations followed\n",
    )


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (ReloadResult(ok=True, problems=("vti1: taken",)), "! vti1: taken"),
        (ReloadResult(ok=True, finished=False), "! not finished yet"),
        (ReloadResult(ok=True, changes=("x",) * 25, finished=False), "  … and 5 more"),
    ],
)
async def test_a_reload_that_did_not_go_well(shell: Shell, result: ReloadResult, told: str) -> None:
    shell.daemon.reload_result = result
    code, out, _ = await shell("reload")
    assert code == 1
    assert f"\n{told}" in out


async def test_reload_refused(shell: Shell) -> None:
    shell.daemon.reload_result = ReloadResult(ok=False, errors=("a:3: no", "a:9: neither"))
    code, out, _ = await shell("reload")
    assert code == 1
    assert out.splitlines()[1:] == ["a:3: no", "a:9: neither"]
    code, out, _ = await shell("reload", "-o", "json")
    assert code == 1
    assert json.loads(out)["errors"] == ["a:3: no", "a:9: neither"]


@pytest.mark.parametrize("answer", ["", "no\n", "y\n"])
async def test_flush_asks(shell: Shell, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code, out, err = await shell("flush")
    assert (code, out) == (1, "")
    assert "nothing was removed" in err
    assert shell.daemon.done == []


async def test_flush(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    code, out, _ = await shell("flush")
    assert (code, out) == (0, "3 interfaces removed; `vtictl reload` brings them back\n")
    shell.daemon.flush_result = FlushResult(1, ("V2-1: vti3: Operation not permitted",))
    code, out, _ = await shell("flush", "--yes")
    assert code == 1
    assert "! not removed: V2-1: vti3: Operation not permitted\n" in out
    code, out, _ = await shell("flush", "--yes", "-o", "json")
    assert (code, json.loads(out)["removed"]) == (1, 1)
    assert shell.daemon.done == ["flush", "flush", "flush"]


async def test_metrics(shell: Shell) -> None:
    code, out, _ = await shell("metrics")
    assert code == 0
    assert 'vtid_tunnel_up{tunnel="private/vti42"} 1\n' in out


# --- when there is no daemon ---------------------------------------------------------------------


def test_no_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vtictl("status", "--socket", f"{tmp_path}/s") == 3
    assert f"{tmp_path}/s: there is no such socket: is vtid running?" in capsys.readouterr().err


def test_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/s")
    assert vtictl("reload", "--socket", f"{tmp_path}/s") == 3
    assert "vtid is not running" in capsys.readouterr().err


def test_other_refusals() -> None:
    assert "run vtictl as root" in client.unreachable("/s", PermissionError(13, "denied"))
    assert "no answer in 60 s" in client.unreachable("/s", TimeoutError())


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-hello\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]"]
)
def test_another_program_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        assert vtictl("status", "--socket", f"{tmp_path}/s") == 3
        thread.join()
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1


def test_the_socket_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VTID_SOCKET", "/nowhere/s")
    assert vtictl("status") == 3
    assert "/nowhere/s" in capsys.readouterr().err


def test_wrong_usage_is_64() -> None:
    with pytest.raises(SystemExit) as caught:
        vtictl("show")
    assert caught.value.code == 64


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, vtid.ctl.remote; print(*sys.modules)"
    root = Path(__file__).parents[2]
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    ).stdout.split()
    heavy = {"http.client", "socket", "asyncio", "aiohttp", "structlog", "dataclasses"}
    assert heavy.isdisjoint(loaded)
