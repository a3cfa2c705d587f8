"""`vtid` as a process, with nothing there that it could connect to. Needs no privilege."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.http.html import ELEMENTS, Reader
from vtid.__main__ import EX_CONFIG
from vtid.ctl import main as ctl
from vtid.ctl.client import ask, request
from vtid.ctl.stream import messages

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = """
[daemon]
control_socket = "{folder}/control.sock"
metrics = []
[vici]
socket = "{folder}/charon.vici"
[[tunnel]]
connection = "V2-1"
interface = "vti3"
netns = "vtid-test-missing"
[[bird]]
name = "private"
socket = "{folder}/bird.ctl"
include = "{folder}/vtid.conf"
"""

TIMEOUT = 20

PKI = Path(__file__).parent / "http/pki"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "vtid.toml"
    file.write_text(GOOD.format(folder=tmp_path))
    return file


@contextmanager
def running(config: Path) -> Iterator[tuple[subprocess.Popen[str], socket.socket]]:
    """A vtid that has said READY=1, and the socket on which it says so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(config.parent / "notify"))
        manager.settimeout(TIMEOUT)
        env = {**os.environ, "NOTIFY_SOCKET": str(config.parent / "notify")}
        command = [sys.executable, "-m", "vtid", "--config", str(config)]
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as vtid:
            try:
                wait_for(manager, "READY=1")
                yield vtid, manager
            finally:
                vtid.kill()


def wait_for(manager: socket.socket, wanted: str) -> None:
    while wanted not in manager.recv(4096).decode().splitlines():
        pass


def vtictl(config: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    status = ctl.main([*words, "--socket", str(config.parent / "control.sock"), "-o", "json"])
    return status, json.loads(capsys.readouterr().out)


def status_of(config: Path) -> dict[str, Any]:
    return ask(str(config.parent / "control.sock"), "GET", "/v1/status")


def stop(vtid: subprocess.Popen[str]) -> str:
    vtid.send_signal(signal.SIGTERM)
    _, errors = vtid.communicate(timeout=TIMEOUT)
    assert vtid.returncode == 0
    return errors


def test_each_absence_is_told_with_its_way_out_and_vtid_is_ready(config: Path) -> None:
    with running(config) as (vtid, _):
        answer = status_of(config)
        errors = stop(vtid)
    assert answer["ready"] is True
    assert "start strongSwan" in answer["vici_error"]
    assert ["vtid-test-missing", namespace_error(answer)] in answer["namespaces"]
    assert "ip netns add vtid-test-missing" in namespace_error(answer)
    (bird,) = answer["birds"]
    assert "start BIRD" in bird["error"]
    assert errors.count("start strongSwan") == 1, "one place tells it"
    assert "Traceback" not in errors


def test_the_page_of_a_real_vtid_says_what_is_wrong(config: Path) -> None:
    with running(config):
        code, text = request(str(config.parent / "control.sock"), "GET", "/")
    read = Reader(text)
    assert code == 200
    assert set(read.tags) <= ELEMENTS
    for words in ("✕ not connected", "start strongSwan", "ip netns add vtid-test-missing"):
        assert words in read.text
    assert "vtid-test-missing/vti3 ✕ down V2-1" in read.text


def namespace_error(answer: dict[str, Any]) -> str:
    return str(dict(answer["namespaces"])["vtid-test-missing"])


def test_a_bad_configuration_is_refused_at_reload_and_the_old_one_stays(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(config) as (vtid, manager):
        config.write_text(config.read_text() + '\nfoo = "bar"\n')
        status, answer = vtictl(config, capsys, "reload")
        assert status == 1
        assert not answer["ok"]
        assert "foo" in answer["errors"][0]
        answer = status_of(config)
        assert "foo" in answer["config_error"]
        assert [tunnel["interface"] for tunnel in answer["tunnels"]] == ["vti3"]
        config.write_text(GOOD.format(folder=config.parent).replace("vti3", "vti4"))
        vtid.send_signal(signal.SIGHUP)
        wait_for(manager, "READY=1")
        wait_for(manager, "READY=1")
        answer = status_of(config)
        assert answer["config_error"] == ""
        assert [tunnel["interface"] for tunnel in answer["tunnels"]] == ["vti4"]
        _, answer = vtictl(config, capsys, "reload")
        assert (answer["ok"], answer["finished"], answer["changes"]) == (True, True, [])
        assert stop(vtid)


def events(path: Path, last: str) -> list[dict[str, Any]]:
    """All events that a vtid has, up to the first of a name."""
    found: list[dict[str, Any]] = []
    for message in messages(str(path), "/v1/events?since=all", ""):
        if message.data:
            found.append(json.loads(message.data))
        if found and found[-1]["event"] == last:
            break
    return found


def test_who_follows_events_gets_what_the_log_leaves_out(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, group = config.parent, os.getgid()
    lines = f'log_level = "error"\nread_only_socket = "{folder}/r"\nread_only_group = "{group}"'
    config.write_text(config.read_text().replace("[daemon]", f"[daemon]\n{lines}"))
    with running(config) as (vtid, _):
        vtictl(config, capsys, "pause", "--all")
        told = events(folder / "control.sock", "mode")
        config.write_text(config.read_text() + "\n[[tunnel]]\nconnection = 's3cret\x7f'\n")
        assert vtictl(config, capsys, "reload")[0] == 1
        (refused,) = events(folder / "control.sock", "configuration refused")[-1:]
        (hidden,) = events(folder / "r", "configuration refused")[-1:]
        errors = stop(vtid)
    by_name = {one["event"]: one for one in told}
    assert by_name.keys() >= {"VICI lost", "ready", "control request", "mode"}
    who = {name: by_name["control request"][name] for name in ("uid", "gid", "pid")}
    assert who == {"uid": os.getuid(), "gid": os.getgid(), "pid": os.getpid()}
    assert "detail" in refused
    assert hidden == {name: refused[name] for name in ("id", "at", "level", "event")}
    assert "level=info" not in errors


def test_tls_that_comes_with_a_reload_works_although_a_start_leaves_it_out(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = config.read_text().replace("metrics = []", f'metrics = ["127.0.0.1:{port}"]')
    config.write_text(text)
    context = ssl.create_default_context(cafile=str(PKI / "ca.pem"))
    context.check_hostname = False
    url = f"127.0.0.1:{port}/livez"
    with running(config) as (vtid, _):
        maps = Path(f"/proc/{vtid.pid}/maps")
        assert urllib.request.urlopen(f"http://{url}", timeout=TIMEOUT).read() == b"ok\n"
        assert "/libssl" not in maps.read_text()
        files = f'cert_file = "{PKI}/server.pem"\nkey_file = "{PKI}/server.key"\n'
        config.write_text(f"{text}[metrics.tls_server_config]\n{files}")
        assert vtictl(config, capsys, "reload")[0] == 0
        for _ in range(2):
            secured = urllib.request.urlopen(f"https://{url}", timeout=TIMEOUT, context=context)
            assert secured.read() == b"ok\n"
        assert "/libssl" in maps.read_text()
        with pytest.raises(OSError):  # noqa: PT011 - or an error of urllib, which is one
            urllib.request.urlopen(f"http://{url}", timeout=TIMEOUT)


def test_a_second_vtid_on_the_same_socket_says_so(config: Path) -> None:
    with running(config) as (vtid, _):
        second = run("--config", str(config))
        assert second.returncode == 1
        assert "control.sock" in second.stderr
        assert vtid.poll() is None


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vtid", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def test_check_tells_every_error_with_its_line(config: Path) -> None:
    assert run("--check", "--config", str(config)).returncode == 0
    config.write_text('[[tunnel]]\ninterface = "vti3"\nmtu = 12\nfoo = 1\n')
    checked = run("--check", "--config", str(config))
    assert checked.returncode == 1
    assert {line.split(": ")[1] for line in checked.stderr.splitlines()} >= {
        "tunnel[0].mtu",
        "tunnel[0].foo",
        "tunnel[0].connection",
    }
    assert f"{config}:3: tunnel[0].mtu" in checked.stderr


def test_a_start_without_a_good_configuration_is_not_worth_a_second_try(config: Path) -> None:
    assert run("--config", str(config.parent / "none.toml")).returncode == EX_CONFIG
    config.write_text("[")
    refused = run("--config", str(config))
    assert refused.returncode == EX_CONFIG
    assert f"{config}:1" in refused.stderr


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("vtid.__main__", {"aiohttp", "jinja2", "pyroute2", "structlog"}),
        ("vtid.daemon.daemon", {"jinja2", "pyroute2", "vtid.http.page"}),
        ("vtid.ctl.main", {"asyncio", "dataclasses", "http.client"}),
    ],
)
def test_what_takes_long_to_import_is_imported_when_it_is_needed(
    module: str, without: set[str]
) -> None:
    assert not without & loaded(f"import {module}")


def test_the_daemon_leaves_out_what_its_libraries_would_load_beside() -> None:
    begin = """from vtid.daemon import slim
with slim.left_out(): import vtid.daemon.daemon"""
    parts = {"aiohttp.client", "aiohttp.connector", "prometheus_client.exposition", "rich.console"}
    assert not (parts | {"ssl", "_ssl", "_hashlib", "frozenlist._frozenlist"}) & loaded(begin)
    # who asks for one of them afterwards gets it
    assert loaded(begin + "\nimport ssl") >= {"ssl", "_ssl"}


def test_the_daemon_starts_where_python_has_no_sha_but_that_of_openssl() -> None:
    """As Red Hat builds Python (`--with-builtin-hashlib-hashes`)."""
    begin = """sys.modules |= dict.fromkeys(("_sha1", "_sha2", "_sha256", "_sha512", "_sha3"))
from vtid.daemon import slim
with slim.left_out(): import vtid.daemon.daemon"""
    assert loaded(begin) >= {"vtid.daemon.daemon", "_hashlib"}


def loaded(script: str) -> set[str]:
    """The modules that Python has after some lines."""
    lines = f"import sys\n{script}\nprint(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", lines], check=True, text=True, stdout=subprocess.PIPE
    )
    return set(ran.stdout.split())
