"""`vtictl debug-bundle`: it has what helps, and no secret, wherever one was."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import socket
import stat
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.http.samples import FULL, SUMMARY, FakeDaemon
from vtid.bird.refusal import words
from vtid.ctl import bundle
from vtid.ctl import main as ctl
from vtid.ctl.bundle import MEMBERS
from vtid.daemon.recent import RecentInputs, written
from vtid.http.api import BirdChange
from vtid.http.server import Server
from vtid.http.telemetry import Telemetry
from vtid.model.bgp import BgpSession, BirdBlock, Secret, TunnelFacts
from vtid.model.input import BirdRefusal, BirdState, OpFailed
from vtid.model.operation import PutBird
from vtid.model.status import Trouble
from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PLANTED = "hunter2"
"""Stands in every secret, and in whatever might have one."""

HASH = "$2y$10$hunter2wpxu2ND0aCqiiZTeNQVI9T69qdV20uSMkpdlBMcv0WzSWoO0"[:60]

CONFIG = f"""
# a note: the password is {PLANTED}
[daemon]
control_socket = "SOCKET"
[vici]
socket = "NOWHERE/vici"
[metrics.tls_server_config]
cert_file = "NOWHERE/cert.pem"
key_file = "NOWHERE/key.pem"
[metrics.basic_auth_users]
prometheus = "{HASH}"
[defaults]
vars = {{ token = "{PLANTED}" }}
[defaults.bgp]
password = "{PLANTED} of all"
[[tunnel]]
connection = "site-a"
interface = "vti1"
vars = {{ community = "{PLANTED}" }}
[[tunnel.bgp]]
neighbor = "10.0.0.2"
local_as = 65001
remote_as = 65002
password = "{PLANTED} of one"
[[tunnel.bgp]]
name = "second"
neighbor = "10.0.0.3"
local_as = 65001
remote_as = 65002
password_file = "NOWHERE/bgp.password"
[[bird]]
name = "b"
socket = "/run/b.ctl"
include = "NOWHERE/bird.conf"
"""


ENTRIES = (
    f'level=info msg="tunnel up" tunnel=V2-1 detail="by https://me:{PLANTED}@example.net/"',
    f'level=warning msg="hook failed" hook=a detail="token {PLANTED} is no good"',
    f'level=error msg="control request failed" exception="ValueError: {PLANTED}"',
    f"RuntimeError: {PLANTED}",
    f"{PLANTED} of a program that wrote to our standard error",
)
"""Messages of vtid's unit in the journal."""

BY_SYSTEMD = {
    "MESSAGE": f"vtid.service: {PLANTED} of one, for whatever reason",
    "SYSLOG_IDENTIFIER": "systemd",
    "_PID": "1",
}
"""What is shown as it is, and quotes a password of the configuration."""


def journalctl(folder: Path) -> None:
    """Put a journalctl in the place of systemd's, which asks for a unit of the machine."""
    messages = (*({"MESSAGE": one} for one in ENTRIES), BY_SYSTEMD)
    entries = (json.dumps({"__REALTIME_TIMESTAMP": "1", **one}) for one in messages)
    (folder / "entries").write_text("".join(f"{one}\n" for one in entries))
    program = folder / "journalctl"
    program.write_text(f"#!/bin/sh\ncat {folder}/entries\n")
    program.chmod(0o755)


@pytest.fixture
async def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeDaemon]:
    """A daemon that has passwords to put into BIRD, and files and variables with secrets."""
    text = CONFIG.replace("SOCKET", str(tmp_path / "s")).replace("NOWHERE", str(tmp_path))
    (tmp_path / "vtid.toml").write_text(text)
    for name in ("key.pem", "cert.pem", "bird.conf", "swanctl.conf"):
        (tmp_path / name).write_text(f'password "{PLANTED}";\n')
    (tmp_path / "bgp.password").write_text(f"{PLANTED} of a file\n")
    monkeypatch.setenv("VTID_TOKEN", PLANTED)
    (tmp_path / "bin").mkdir()
    journalctl(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    session = BgpSession(
        name="a",
        interface="vti1",
        neighbor="10.0.0.2",
        local_as=1,
        remote_as=2,
        password=Secret(PLANTED),
    )
    quoted = f"{PLANTED!r} is no address"
    rendering = f"tunnel 'vti1': {QUOTES_VARS}own.j2:1: {quoted}"
    refused = BirdRefusal("/x:3:1 syntax error", f"community {PLANTED}", ("vti1",))
    birds = (
        BirdState("b", connected=True, error=rendering),
        BirdState("c", connected=False, error=words(refused), refusal=refused),
    )
    daemon = FakeDaemon(replace(FULL, config_error=quoted, birds=birds))
    daemon.screen = replace(
        SUMMARY,
        troubles=(
            Trouble("configuration", quoted, 1.0),
            Trouble("bird c", words(refused), 1.0),
        ),
    )
    missing = f"BIRD c is not connected: {words(refused)}"
    daemon.sessions = (replace(daemon.sessions[-1], missing=missing),)
    facts = TunnelFacts(interface="vti1", vars=(("token", PLANTED),))
    block = BirdBlock("b", "vti1", (session,), facts)
    daemon.ops = (PutBird(tunnel="vti1", reason="up", block=block),)
    daemon.bird_changes = (BirdChange("b", "/x", f"+# community {PLANTED}\n", rendering),)
    lost = OpFailed(PutBird(tunnel="vti1", reason="up", block=block), f"{QUOTES_VARS} {PLANTED}")
    recent = RecentInputs()
    recent.took([lost])
    daemon.inputs = written(recent.kept())
    for event in ("hook failed", "tunnel up"):
        text = f"curl https://me:{PLANTED}@example.net/"
        daemon.journal.add("warning", {"event": event, "tunnel": "vti1", "detail": text})
    server = Server(str(tmp_path / "s"), [], daemon, Telemetry())
    await server.start()
    yield daemon
    await server.stop()


async def vtictl(*argv: str) -> int:
    return await asyncio.to_thread(ctl.main, argv)


def read(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        found = {}
        for member in archive:
            file = archive.extractfile(member)
            assert file
            found[member.name.removeprefix("vtid-debug/")] = file.read().decode()
    return found


async def test_no_secret_is_in_it(gateway: FakeDaemon, tmp_path: Path) -> None:
    assert gateway.ops
    path = tmp_path / "out.tar.gz"
    config, control = str(tmp_path / "vtid.toml"), str(tmp_path / "s")
    assert await vtictl("debug-bundle", str(path), "--config", config, "--socket", control) == 0
    found = read(path)
    assert [name for name, text in found.items() if PLANTED in text] == []
    missing = [line.partition(":")[0] for line in found["missing.txt"].splitlines()]
    assert missing == ["sas.json", "bird-b.txt"], "there is neither charon nor BIRD"
    # and what helps is
    told = found["log.txt"].splitlines()
    assert len(told) == len(ENTRIES) + 1
    assert told[-1].endswith("systemd: vtid.service: …, for whatever reason")
    assert "tunnel up" in told[0]
    assert "hook failed" in told[1]
    recent = json.loads(found["recent.json"])
    assert recent["inputs"][0]["input"] == "OpFailed"
    assert [json.loads(one)["event"] for one in recent["events"]] == ["hook failed", "tunnel up"]
    (session,) = json.loads(found["bgp.json"])["sessions"]
    why = "/x:3:1 syntax error (tunnel 'vti1'; all others go on)"
    assert session["missing"] == f"BIRD c is not connected: {why}; {QUOTES_VARS}…"
    assert re.search(r"^\d+: lo kind device mtu \d+ state", found["links.txt"], re.MULTILINE)
    described = json.loads(found["description.json"])
    assert described["config"]["tunnel"][0]["connection"] == "site-a"
    assert described["config"]["tunnel"][0]["bgp"][1]["password_file"].endswith("bgp.password")
    assert described["config"]["tunnel"][0]["vars"] == ["community", "token"]
    assert "python" in described["versions"]
    status = json.loads(found["status.json"])
    assert status["tunnels"]
    assert status["birds"][0]["error"] == f"tunnel 'vti1': {QUOTES_VARS}…"
    assert "PutBird" in found["plan.json"]
    assert status["birds"][1]["refusal"]["message"] == "/x:3:1 syntax error"
    assert "vtid_tunnel_up" in found["metrics.txt"]
    assert 'vtid_bird_refusal_info{bird="c",message="/x:3:1 syntax error"}' in found["metrics.txt"]
    assert json.loads(found["doctor.json"])["findings"][0]["id"] == "charon-unreachable"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_bad_configuration_is_not_quoted(tmp_path: Path) -> None:
    path, config = tmp_path / "out.tar.gz", tmp_path / "vtid.toml"
    config.write_text(f'[[tunnel]]\nconnection = "a"\ninterface = "vti1"\nmtu = "{PLANTED}"\n')
    argv = ("--config", str(config), "--socket", str(tmp_path / "none"))
    assert await vtictl("debug-bundle", str(path), *argv) == 0
    found = read(path)
    assert [name for name, text in found.items() if PLANTED in text] == []
    problems = json.loads(found["description.json"])["config_problems"]
    assert problems == [f"{config}, line 4: tunnel[0].mtu"]
    missing = found["missing.txt"].splitlines()
    assert missing[0].startswith("doctor.json: vtid --doctor ended with status")
    assert [line.partition(":")[0] for line in missing if "cannot reach vtid" in line] == [*MEMBERS]


async def test_what_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither processes that look at charon and BIRD, nor a daemon whose loop is held."""
    monkeypatch.setattr(bundle, "PROCESS_LIMIT", 0.001)
    monkeypatch.setattr(bundle, "ANSWER_LIMIT", 0.1)
    monkeypatch.setattr(bundle, "AGAIN_LIMIT", 0.01)
    path, config = tmp_path / "out.tar.gz", tmp_path / "vtid.toml"
    config.write_text("")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        argv = ("--config", str(config), "--socket", str(tmp_path / "s"))
        assert await vtictl("debug-bundle", str(path), *argv) == 0
    missing = read(path)["missing.txt"].splitlines()
    assert [line.partition(":")[0] for line in missing[3:]] == [*MEMBERS]
    assert all("did not end in 0 s" in line for line in missing[:3])
    assert all("no answer in 0 s" in line for line in missing[3:])


def test_what_is_too_long_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MEMBER_MAX", 10)
    monkeypatch.setattr(bundle, "ALL_MAX", 25)
    missing: list[str] = []
    texts = [("log.txt", "0123456789abc"), ("a.txt", "0123456789abc"), ("b.txt", "0123456789")]
    found = dict(bundle._bounded(iter(texts), missing))
    assert found == {"log.txt": "3456789abc", "a.txt": "0123456789", "b.txt": "01234"}
    assert missing == [
        "log.txt: only 10 of 13 characters",
        "a.txt: only 10 of 13 characters",
        "b.txt: only 5 of 10 characters",
    ]


async def test_a_file_that_is_there_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.tar.gz"
    path.write_text("mine")
    argv = ("--config", str(tmp_path / "none"), "--socket", str(tmp_path / "none"))
    assert await vtictl("debug-bundle", str(path), *argv) == 1
    assert path.read_text() == "mine"
    assert "File exists" in capsys.readouterr().err


def test_half_an_archive_is_not_left(tmp_path: Path) -> None:
    path, limits = tmp_path / "out.tar.gz", resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that it is an error
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            bundle.write(str(path), {"a.txt": os.urandom(50_000).hex()}, 1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not path.exists()
