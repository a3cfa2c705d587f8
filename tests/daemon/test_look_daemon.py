"""What the doctor asks the vtid that runs."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.http.samples import FULL, FakeDaemon
from vtid.daemon.hook_files import User
from vtid.daemon.look_daemon import proven, user
from vtid.daemon.looks import UnseenError
from vtid.http.server import Server
from vtid.http.telemetry import Telemetry
from vtid.model.bounds import Bound, MtuBound

BOUNDS = (MtuBound(Bound.CIPHERS, 1446, 1500), MtuBound(Bound.PROVEN, 1300))


async def test_what_probes_proved_is_told_by_namespace_and_interface(tmp_path: Path) -> None:
    first, *others = FULL.tunnels
    tunnels = (replace(first, netns="n", interface="v", mtu_bounds=BOUNDS), *others)
    control = str(tmp_path / "s")
    server = Server(control, [], FakeDaemon(replace(FULL, tunnels=tunnels)), Telemetry())
    await server.start()
    try:
        assert (await asyncio.to_thread(proven, control))["n", "v"] == 1300
    finally:
        await server.stop()


def test_a_socket_that_nobody_listens_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnseenError, match="none listens on"):
        proven(str(tmp_path / "none"))


async def test_a_stranger_on_the_socket_is_told(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"hello\n")
        writer.close()

    control = str(tmp_path / "s")
    async with await asyncio.start_unix_server(answer, control):
        with pytest.raises(UnseenError, match="is not vtid"):
            await asyncio.to_thread(proven, control)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ("503 Service Unavailable", '{"error": "vtid stops"}', "answers 503 .*: vtid stops"),
        ("500 Internal Server Error", "[]", "answers 500 .*: Internal Server Error"),
    ],
)
async def test_an_answer_that_is_an_error_is_told(
    tmp_path: Path, status: str, body: str, told: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        writer.close()

    control = str(tmp_path / "s")
    async with await asyncio.start_unix_server(answer, control):
        with pytest.raises(UnseenError, match=told):
            await asyncio.to_thread(proven, control)


def test_a_socket_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtid.daemon.look_daemon._ANSWER_TIMEOUT", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(UnseenError, match="timed out"):
            proven(str(tmp_path / "s"))


def test_the_user_is_that_of_the_process_that_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listens:
        listens.bind(str(tmp_path / "s"))
        listens.listen()
        found = user(str(tmp_path / "s"), Path("/"))
    assert found == User(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))
