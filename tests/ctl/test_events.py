"""`vtictl events` as a process of its own, against a real server that comes and goes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.http.samples import FULL, FakeDaemon
from vtid.ctl import main as ctl
from vtid.ctl.events import line
from vtid.http.journal import Journal
from vtid.http.server import Server
from vtid.http.telemetry import Telemetry

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path


_VTICTL = """
import signal, sys
from vtid.ctl.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
"""A shell starts what is in its background with SIGINT ignored; an operator's is not."""


@asynccontextmanager
async def serving(path: Path, daemon: FakeDaemon) -> AsyncIterator[None]:
    server = Server(str(path), [], daemon, Telemetry())
    await server.start()
    try:
        yield
    finally:
        await server.stop()


@asynccontextmanager
async def vtictl(path: Path, daemon: FakeDaemon, *words: str) -> AsyncIterator[Process]:
    """`vtictl events`, once it follows."""
    command = (sys.executable, "-c", _VTICTL, "events", "--socket", str(path), *words)
    environment = os.environ | {"TZ": "UTC"}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=PIPE, env=environment
    )
    try:
        await until_followed(daemon)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_followed(daemon: FakeDaemon) -> None:
    async with asyncio.timeout(60):
        while not daemon.journal._wakers:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)


async def said(process: Process, *, error: bool = False) -> str:
    stream = process.stderr if error else process.stdout
    assert stream
    async with asyncio.timeout(60):
        return (await stream.readline()).decode().rstrip("\n")


async def test_lines_for_people(tmp_path: Path) -> None:
    daemon, path = FakeDaemon(FULL), tmp_path / "s"
    async with serving(path, daemon), vtictl(path, daemon) as process:
        record = {"event": "tunnel up", "tunnel": "V2-1", "peer": "192.0.2.2", "detail": "it is"}
        daemon.journal.add("info", record)
        at = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        assert re.fullmatch(rf"{at}  V2-1 \(192\.0\.2\.2\): tunnel up: it is", await said(process))


async def test_json_lines_resume_over_a_restart_of_the_server(tmp_path: Path) -> None:
    daemon, path = FakeDaemon(FULL), tmp_path / "s"
    async with serving(path, daemon):
        daemon.journal.add("info", {"event": "a"})
        first = vtictl(path, daemon, "--json", "--since", "all")
        process = await first.__aenter__()
        assert json.loads(await said(process))["event"] == "a"
    assert f"on {path}; trying again until it is back" in await said(process, error=True)
    daemon.journal.add("info", {"event": "b"})
    async with serving(path, daemon):
        event = json.loads(await said(process))
        assert (event["event"], event["id"]) == ("b", daemon.journal.id_of(2))
    again = FakeDaemon(FULL)
    again.journal.add("info", {"event": "c"})
    async with serving(path, again):
        gap = {"schema_version": 1, "event": "gap", "reason": "restarted", "missed": None}
        assert json.loads(await said(process)) == gap
        assert json.loads(await said(process))["event"] == "c"
    await first.__aexit__(None, None, None)


async def test_an_interrupt_is_no_trouble(tmp_path: Path) -> None:
    daemon, path = FakeDaemon(FULL), tmp_path / "s"
    async with serving(path, daemon), vtictl(path, daemon) as process:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(60):
            out, error = await process.communicate()
        assert (process.returncode, out, error) == (128 + signal.SIGINT, b"", b"")


async def test_a_gap_in_words(tmp_path: Path) -> None:
    daemon, path = FakeDaemon(FULL), tmp_path / "s"
    daemon.journal = Journal(kept=1)
    for name in "abcd":
        daemon.journal.add("info", {"event": name})
    async with (
        serving(path, daemon),
        vtictl(path, daemon, "--since", daemon.journal.id_of(1)) as process,
    ):
        expected = "-- 2 events are missing: vtid has the latest only"
        assert await said(process) == expected


async def test_a_tunnel_that_is_not_there_may_come(tmp_path: Path) -> None:
    daemon, path = FakeDaemon(FULL), tmp_path / "s"
    async with serving(path, daemon), vtictl(path, daemon, "--json", "vti50", "later") as process:
        words = "vtictl: no tunnel 'later': `vtictl tunnels` lists them; waiting for it"
        assert await said(process, error=True) == words
        daemon.journal.add("info", {"event": "a"})
        daemon.journal.add("debug", {"event": "b", "tunnel": "later"})
        assert json.loads(await said(process))["event"] == "b"


async def test_what_a_peer_says_steers_no_terminal(tmp_path: Path) -> None:
    daemon, path = FakeDaemon(FULL), tmp_path / "s"
    async with serving(path, daemon), vtictl(path, daemon) as process:
        hostile = "\x1b]0;owned\x07\n\u202e\x9b2J"
        daemon.journal.add("warning", {"event": hostile, "tunnel": hostile, "detail": hostile})
        text = await said(process)
        assert text.isprintable()
        assert text.count(r"\x1b]0;owned\x07\n\u202e\x9b2J") == 3


async def test_where_there_is_no_vtid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["events", "--socket", str(tmp_path / "s")]) == 3
    assert "is vtid running?" in capsys.readouterr().err


async def test_an_id_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s"
    async with serving(path, FakeDaemon(FULL)):
        command = ["events", "--socket", str(path), "--since", "yesterday"]
        assert await asyncio.to_thread(ctl.main, command) == 1
    assert "'yesterday' is no ID of an event" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        ctl.main(["events", "--since", "a\r\nHost: b"])


def test_a_line_has_all_that_an_event_has() -> None:
    event = {"id": "x-1", "at": 0, "level": "error", "event": "e", "bird": "main", "error": "no"}
    spans = line(event)
    assert not isinstance(spans, str)
    assert "".join(text for text, _ in spans).endswith("  vtid: e: bird=main error=no")
    assert ("e", "red") in spans
