"""`/v1/events`: server-sent events from a real server."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from asyncio.subprocess import DEVNULL
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.http.samples import FULL, UP, FakeDaemon, status
from tests.http.sites import site
from vtid.ctl.stream import Message, parsed
from vtid.http import events as module
from vtid.http import server
from vtid.http.admission import Limits
from vtid.http.journal import Journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from tests.http.sites import Site

URL = "http://vtid/v1/events"


class Reader:
    """Reads the messages of an answer, also when they come in pieces."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self) -> Message:
        lines: list[str] = []
        async with asyncio.timeout(20):
            while not lines or lines[-1]:
                line = await self.response.content.readline()
                if not line:
                    raise EOFError
                lines.append(line.decode().rstrip("\n"))
        (message,) = parsed(lines)
        return message

    async def event(self) -> Any:
        return json.loads((await self.next()).data)


@asynccontextmanager
async def following(here: Site, query: str = "", last_id: str = "") -> AsyncIterator[Reader]:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with here.control.get(URL + query, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Reader(response)


def add(here: Site, *names: str, **facts: object) -> None:
    for name in names:
        here.daemon.journal.add("info", {"event": name, **facts})


async def test_what_happens_comes_as_it_happens(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        add(here, "before")
        async with following(here) as reader:
            opening = await reader.next()
            assert opening == Message(here.daemon.journal.id_of(1)), "a place to go on from"
            add(here, "tunnel up", tunnel="V2-1")
            message = await reader.next()
            event = json.loads(message.data)
            assert (event["event"], event["tunnel"]) == ("tunnel up", "V2-1")
            assert message.id == event["id"] == here.daemon.journal.id_of(2)
            add(here, "tunnel down", tunnel="V2-1")
            assert (await reader.event())["event"] == "tunnel down"


@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_client_goes_on_where_it_was(tmp_path: Path, way: str) -> None:
    async with site(tmp_path) as here:
        add(here, *"abc")
        seen = here.daemon.journal.id_of(1)
        query, header = ("", seen) if way == "header" else (f"?since={seen}", "")
        async with following(here, query, header) as reader:
            await reader.next()
            assert [(await reader.event())["event"] for _ in "bc"] == ["b", "c"]


async def test_the_header_counts_more_for_it_is_the_later_one(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        add(here, *"abc")
        ids = here.daemon.journal.id_of
        async with following(here, f"?since={ids(1)}", ids(2)) as reader:
            await reader.next()
            assert (await reader.event())["event"] == "c"


async def test_all_that_is_kept(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        add(here, *"abc")
        async with following(here, "?since=all") as reader:
            await reader.next()
            assert [(await reader.event())["event"] for _ in "abc"] == ["a", "b", "c"]


async def test_a_gap_is_told(tmp_path: Path) -> None:
    daemon = FakeDaemon(FULL)
    daemon.journal = Journal(kept=2)
    async with site(tmp_path, daemon) as here:
        add(here, *"abcde")
        async with following(here, f"?since={daemon.journal.id_of(1)}") as reader:
            await reader.next()
            gap = await reader.next()
            assert (gap.type, gap.id) == ("gap", daemon.journal.id_of(3))
            assert json.loads(gap.data) == {"event": "gap", "reason": "expired", "missed": 2}
            assert [(await reader.event())["event"] for _ in "de"] == ["d", "e"]
        async with following(here, "?since=all") as reader:
            await reader.next()
            assert (await reader.event())["event"] == "d", "no gap: nothing older was asked for"


async def test_another_run_is_told(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        add(here, *"ab")
        async with following(here, f"?since={Journal().id_of(1)}") as reader:
            await reader.next()
            gap = await reader.next()
            assert json.loads(gap.data) == {"event": "gap", "reason": "restarted", "missed": None}
            assert [(await reader.event())["event"] for _ in "ab"] == ["a", "b"]


async def test_only_some_tunnels_by_label_or_interface(tmp_path: Path) -> None:
    daemon = FakeDaemon(status(replace(UP, tunnel="V2-1")))
    async with (
        site(tmp_path, daemon) as here,
        following(here, "?tunnel=private/vti42&tunnel=not-yet") as reader,
    ):
        await reader.next()
        add(here, "VICI lost")
        for name in ("V2-2", "V2-1", "not-yet"):
            add(here, "tunnel up", tunnel=name)
        assert [(await reader.event())["tunnel"] for _ in "ab"] == ["V2-1", "not-yet"]


async def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        code, answer = await here.ask("/v1/events?since=yesterday")
    assert code == 400
    assert "'yesterday' is no ID of an event: give the `id` of one" in answer["error"]


async def test_silence_is_broken_by_the_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.01)
    async with site(tmp_path) as here, following(here, "?tunnel=x") as reader:
        add(here, "a", tunnel="y")
        while (await reader.next()) != Message(here.daemon.journal.id_of(1)):
            pass


async def test_only_get(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.control.head(URL) as response:
        assert response.status == 405


async def until_open(here: Site, count: int) -> None:
    """Wait until the server has that many streams."""
    async with asyncio.timeout(20):
        while len(here.daemon.journal._wakers) != count:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)


async def test_a_stop_waits_for_no_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SHUTDOWN_TIMEOUT", 120.0)
    async with site(tmp_path) as here, following(here) as reader:
        await reader.next()
        async with asyncio.timeout(60):
            await here.server.stop()
            await reader.response.content.read()  # its end


async def test_a_client_that_goes_leaves_nothing_behind(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        for _ in range(3):
            async with following(here) as reader:
                await reader.next()
                assert len(here.daemon.journal._wakers) == 1
            await until_open(here, 0)


def unread(path: Path) -> socket.socket:
    """Connect as one that asks for events and reads none."""
    client = socket.socket(socket.AF_UNIX)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(str(path))
    client.sendall(b"GET /v1/events HTTP/1.1\r\nHost: vtid\r\n\r\n")
    return client


async def test_a_client_that_does_not_read_holds_nobody_up_and_has_to_go(tmp_path: Path) -> None:
    async with (
        site(tmp_path, limits=Limits(send=0.3)) as here,
        following(here) as reader,
    ):
        await reader.next()
        with unread(tmp_path / "control.sock"):
            await until_open(here, 2)
            for number in range(3000):
                add(here, str(number), detail="x" * 500)
                if number % 100 == 99:
                    last = [await reader.event() for _ in range(100)][-1]
                    assert last["event"] == str(number)
            await until_open(here, 1)
        assert here.telemetry.registry.get_sample_value(
            "vtid_http_refused_total", {"listener": "control", "reason": "send"}
        )


async def test_who_talks_into_a_stream_has_to_go(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        with unread(tmp_path / "control.sock") as client:
            await until_open(here, 1)
            client.sendall(b"GET /livez HTTP/1.1\r\n\r\n" * 100)
            await until_open(here, 0)


async def test_streams_keep_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with site(tmp_path, limits=Limits(total=4, share=16, reserve=0)) as here:
        clients = [unread(path) for _ in range(4)]
        await until_open(here, 4)
        command = (sys.executable, "-m", "vtid.ctl.main", "--socket", str(path), "ready")
        vtictl = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL)
        assert await vtictl.wait() == 0, "another process, and all places were taken"
        await until_open(here, 3)
        for client in clients:
            client.close()
