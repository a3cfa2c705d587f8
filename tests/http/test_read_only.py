"""The read-only socket: who may, what it shows, and what it refuses; and who asked for a change."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import struct
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.http.samples import FULL, SUMMARY, FakeDaemon, status
from tests.http.sites import site
from vtid.bird.refusal import words
from vtid.ctl import main as ctl
from vtid.http.api import BirdChange
from vtid.http.discreet import HIDDEN
from vtid.http.journal import Event
from vtid.http.listen import Credentials, credentials_of
from vtid.http.server import ReadOnly, Server, ServerError
from vtid.http.telemetry import Telemetry
from vtid.model.bgp import BgpSession, BirdBlock, Secret, TunnelFacts
from vtid.model.input import BirdRefusal, BirdState
from vtid.model.operation import PutBird
from vtid.model.status import PastOp, Trouble
from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from vtid.http.api import RecentInput

GROUP = str(os.getgid())
SECRET = "correct-horse"  # noqa: S105 - it is one for the test


def put_bird() -> PutBird:
    facts = TunnelFacts("vti42", vars=(("token", SECRET), ("area", 7)))
    session = BgpSession("a", "vti42", "fe80::1", 65001, 65002, password=Secret(SECRET))
    return PutBird(tunnel="V2-1", reason="r", block=BirdBlock("main", "V2-1", (session,), facts))


def leaky() -> FakeDaemon:
    """A daemon with a secret in each place where the configuration is quoted."""
    refused = Trouble("configuration", f"refused: {SECRET!r} is no address", 1.0)
    daemon = FakeDaemon(replace(FULL, config_error=f"{SECRET!r} is no address"))
    daemon.ops = (put_bird(),)
    quoting = f"tunnel 'V2-1': {QUOTES_VARS}own.j2:1: {SECRET!r} is no BIRD symbol"
    daemon.bird_changes = (BirdChange("main", "/x", f"+# {SECRET}\n", quoting),)
    line = BirdRefusal("/x:4:5 syntax error", f'authkey "{SECRET}";', ("V2-1",))
    lost = f"cannot connect: refused; BIRD 'second' refused /x: {words(line)}"
    daemon.answer = replace(
        daemon.answer,
        birds=(
            BirdState("main", connected=True, error=quoting),
            BirdState("second", connected=False, error=lost, refusal=line),
        ),
    )
    missing = replace(daemon.sessions[-1], missing=f"BIRD second is not connected: {lost}")
    daemon.sessions = (*daemon.sessions[:-1], missing)
    troubles = (refused, Trouble("bird second", lost, 1.0), *SUMMARY.troubles)
    daemon.screen = replace(SUMMARY, troubles=troubles)
    daemon.journal.add("error", {"event": "configuration refused", "detail": SECRET})
    daemon.journal.add("info", {"event": "tunnel up", "tunnel": "V2-1", "detail": "d"})
    return daemon


@dataclass
class Reader:
    """A client of the read-only socket."""

    session: aiohttp.ClientSession
    daemon: FakeDaemon
    telemetry: Telemetry

    async def ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        async with self.session.request(method, "http://vtid" + path) as response:
            return response.status, await response.text()


@asynccontextmanager
async def reading(directory: Path, daemon: FakeDaemon) -> AsyncIterator[Reader]:
    telemetry = Telemetry()
    paths = str(directory / "control.sock"), str(directory / "read.sock")
    server = Server(paths[0], [], daemon, telemetry, read_only=ReadOnly(paths[1], GROUP))
    await server.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(paths[1])) as session:
            yield Reader(session, daemon, telemetry)
    finally:
        await server.stop()
    assert not (directory / "read.sock").exists()


@pytest.mark.parametrize(
    "path", ["/v1/status", "/v1/summary", "/v1/tunnels", "/v1/tunnels/vti50", "/v1/names",
             "/v1/plan", "/v1/bgp", "/metrics", "/readyz", "/livez", "/"],
)  # fmt: skip
async def test_what_may_be_read(tmp_path: Path, path: str) -> None:
    async with reading(tmp_path, leaky()) as reader:
        code, text = await reader.ask(path)
    assert code == 200
    assert SECRET not in text


async def test_what_is_hidden_is_said(tmp_path: Path) -> None:
    async with reading(tmp_path, leaky()) as reader:
        found = {path: json.loads((await reader.ask(f"/v1/{path}"))[1])
                 for path in ("status", "summary", "plan", "bgp")}  # fmt: skip
    assert found["status"]["config_error"] == HIDDEN
    hidden = [one["error"] == HIDDEN for one in found["summary"]["troubles"]]
    assert hidden == [True, True, False, False]
    (bird, second), (change,) = found["status"]["birds"], found["plan"]["birds"]
    message = "/x:4:5 syntax error"
    assert second["error"] == HIDDEN
    assert second["refusal"] == {"message": message, "quoted": HIDDEN, "tunnels": ["V2-1"]}
    assert found["bgp"]["sessions"][-1]["missing"] == HIDDEN
    assert (bird["error"], change["error"], change["diff"]) == (HIDDEN, HIDDEN, HIDDEN)
    assert found["plan"]["ops"][0]["block"]["facts"]["vars"] == [
        ["token", HIDDEN],
        ["area", HIDDEN],
    ]


async def test_large_answers_are_made_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may read cannot have a thousand of them made at once."""
    daemon, under_way, most = leaky(), 0, 0

    async def recent() -> tuple[RecentInput, ...]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(100):  # turns in which another request could come in
            await asyncio.sleep(0)
        under_way -= 1
        return ()

    monkeypatch.setattr(daemon, "recent", recent)
    async with reading(tmp_path, daemon) as reader:
        found = await asyncio.gather(*(reader.ask("/v1/recent") for _ in range(8)))
    assert {status for status, _ in found} == {200}
    assert most == 1


async def test_events_are_written_by_a_worker_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of them take several turns of the event loop."""
    daemon, loop = leaky(), threading.get_ident()
    daemon.journal.add("info", {"event": "reloaded"})

    def public(event: Event) -> str:
        assert threading.get_ident() != loop
        return event.data

    monkeypatch.setattr(Event, "public", property(public))
    async with reading(tmp_path, daemon) as reader:
        status, found = await reader.ask("/v1/recent")
    assert status == 200
    assert "reloaded" in str(found)


async def test_where_nothing_is_wrong_nothing_is_hidden(tmp_path: Path) -> None:
    async with reading(tmp_path, FakeDaemon(status())) as reader:
        assert json.loads((await reader.ask("/v1/status"))[1])["config_error"] == ""


async def test_events_are_shown_without_what_quotes_the_configuration(tmp_path: Path) -> None:
    async with (
        reading(tmp_path, leaky()) as reader,
        reader.session.get("http://vtid/v1/events?since=all") as response,
    ):
        events: list[Any] = []
        while len(events) < 2:
            line = (await response.content.readline()).decode()
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
    assert events[0].keys() == {"id", "at", "level", "event"}
    assert events[1]["detail"] == "d"


@pytest.mark.parametrize("path", ["/v1/reload", "/v1/flush", "/v1/resync", "/v1/mode?mode=paused"])
async def test_nothing_is_changed(tmp_path: Path, path: str) -> None:
    with capture_logs() as logs:
        async with reading(tmp_path, leaky()) as reader:
            code, text = await reader.ask(path, "POST")
            assert code == 403
            control = tmp_path / "control.sock"
            way_out = f"use {control}, as root or as a member of its group"
            assert json.loads(text) == {"error": f"this socket changes nothing: {way_out}"}
            assert (await reader.ask(path))[0] == 405
            assert reader.daemon.done == []
    assert logs == [], "who may only read does not fill the log"


async def test_files_for_bird_may_have_secrets(tmp_path: Path) -> None:
    async with reading(tmp_path, leaky()) as reader:
        for query in ("", "?passwords=yes"):
            code, text = await reader.ask(f"/v1/bird/files{query}")
            assert code == 403
            assert "this socket shows nothing that may be secret: use " in text
        assert reader.daemon.done == []


async def test_vtictl_says_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTID_SOCKET", str(tmp_path / "read.sock"))
    async with reading(tmp_path, FakeDaemon(FULL)):
        assert await asyncio.to_thread(ctl.main, ["tunnels"]) == 1
        assert "vti50" in capsys.readouterr().out
        assert await asyncio.to_thread(ctl.main, ["reload"]) == 1
        assert "this socket changes nothing: use" in capsys.readouterr().err


async def test_its_connections_are_counted_apart(tmp_path: Path) -> None:
    async with reading(tmp_path, FakeDaemon(FULL)) as reader:
        await reader.ask("/livez")
        series = 'vtid_http_connections{listener="read-only"} 1.0'
        assert series in reader.telemetry.expose().decode()


# --- the group -----------------------------------------------------------------------------------


async def test_the_group_is_let_in_by_an_acl(tmp_path: Path) -> None:
    async with reading(tmp_path, FakeDaemon(FULL)):
        path = tmp_path / "read.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        packed = os.getxattr(path, "system.posix_acl_access")
        entries = list(struct.iter_unpack("<HHI", packed[4:]))
        assert (0x08, 0o6, os.getgid()) in entries
        assert (0x20, 0, 0xFFFFFFFF) in entries


async def test_a_group_that_is_not_there(tmp_path: Path) -> None:
    read_only = ReadOnly(str(tmp_path / "r"), "no-such")
    server = Server(str(tmp_path / "c"), [], FakeDaemon(FULL), Telemetry(), read_only=read_only)
    with pytest.raises(ServerError) as caught:
        await server.start()
    assert str(caught.value) == (
        "[daemon] read_only_group: there is no group no-such: `groupadd --system no-such` makes it"
    )
    assert not {"c", "r"} & set(os.listdir(tmp_path))  # noqa: PTH208 - no generator, no loop


async def test_a_place_that_is_taken_is_named_by_its_key(tmp_path: Path) -> None:
    taken = tmp_path / "r"
    taken.touch()
    read_only = ReadOnly(str(taken), GROUP)
    server = Server(str(tmp_path / "c"), [], FakeDaemon(FULL), Telemetry(), read_only=read_only)
    with pytest.raises(ServerError, match=r"\[daemon\] read_only_socket: .* is in the way"):
        await server.start()
    assert not (tmp_path / "c").exists()


# --- who asked for a change ----------------------------------------------------------------------


async def test_who_asks_for_a_change_is_logged_before_it_is_made(tmp_path: Path) -> None:
    class Telling(FakeDaemon):
        async def set_mode(self, *args: Any) -> Any:
            assert [one["event"] for one in logs] == ["control request"]
            return await super().set_mode(*args)

    with capture_logs() as logs:
        async with site(tmp_path, Telling(FULL)) as here:
            await here.ask("/v1/mode?mode=paused&tunnel=vti50", "POST")
            assert here.daemon.done == ["paused vti50"]
            for path in ("/v1/status", "/v1/reload"):
                await here.ask(path)
            await here.ask("/v1/no-such", "POST")
    assert logs == [
        {
            "event": "control request",
            "log_level": "info",
            "method": "POST",
            "path": "/v1/mode?mode=paused&tunnel=vti50",
            "uid": os.getuid(),
            "gid": os.getgid(),
            "pid": os.getpid(),
        }
    ]


def test_credentials_are_those_of_the_other_process() -> None:
    class Transport:
        def __init__(self, one: socket.socket) -> None:
            self.one = one

        def get_extra_info(self, _name: str) -> socket.socket:
            return self.one

    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs, socket.socket() as tcp:
        who = credentials_of(Transport(ours))  # type: ignore[arg-type]
        assert who == Credentials(os.getpid(), os.getuid(), os.getgid())
        assert credentials_of(Transport(tcp)) is None  # type: ignore[arg-type]


async def test_a_large_body_is_not_read(tmp_path: Path) -> None:
    """Only the control socket takes a configuration."""
    async with reading(tmp_path, leaky()) as here:
        for path in ("/v1/plan", "/v1/reload"):
            async with here.session.post("http://vtid" + path, data=b"#" * 100_000) as response:
                assert response.status == 413


async def test_what_a_template_quotes_is_not_shown(tmp_path: Path) -> None:
    quoted = f"tunnel 'a': BIRD configuration: '/t.j2':1: '{SECRET}' is no IP address"
    daemon = leaky()
    one = replace(daemon.answer.tunnels[0], error=quoted)
    daemon.answer = replace(daemon.answer, tunnels=(one, *daemon.answer.tunnels[1:]))
    daemon.history = (PastOp(1.0, "PutBird", "main", "failed", "up", quoted),)
    async with reading(tmp_path, daemon) as here:
        for path in ("/v1/status", "/v1/tunnels", f"/v1/tunnels/{one.tunnel}", "/"):
            status_, text = await here.ask(path)
            assert (status_, SECRET in text) == (200, False), path
