"""Slow, half-open, greedy and numerous clients against a real server: what they get, and others."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.http.samples import FULL, UP, FakeDaemon, status
from tests.http.sites import samples, site
from vtid.http import server
from vtid.http.admission import Limits, Reason
from vtid.http.exchange import BODY_MAX, CONFIG_MAX
from vtid.http.guard import Connection
from vtid.http.telemetry import CONTROL, METRICS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.http.sites import Site

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

HALF = b"GET /metrics HTTP/1.1\r\nHost: "
WHOLE = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LONG = Limits(head=600, body=600, send=600, idle=600)
"""Times that no test takes: what happens, happens for another reason."""


def counted(here: Site, reason: Reason, listener: str = METRICS) -> float:
    return float(here.telemetry._refused.labels(listener, reason)._value.get())


def connections(here: Site, listener: str = METRICS) -> float:
    return float(here.telemetry._connections.labels(listener)._value.get())


async def until(here: Site, reason: Reason, count: int = 1, listener: str = METRICS) -> None:
    """Wait until connections have ended for a reason; there is no event for it."""
    async with asyncio.timeout(60):
        while counted(here, reason, listener) < count:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


async def until_empty(here: Site) -> None:
    """Wait until there is no connection; there is no event for it."""
    async with asyncio.timeout(60):
        while connections(here):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.005)


async def connect(here: Site, source: str = "127.0.0.1", first: bytes = HALF) -> Stream:
    host, port = here.server.addresses[0]
    reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0))
    writer.write(first)
    return reader, writer


async def ended(stream: Stream) -> bool:
    """Whether the server has ended a connection, without a word."""
    async with asyncio.timeout(60):
        with suppress(ConnectionError):
            return await stream[0].read() == b""
    return True


async def scrape(here: Site, source: str) -> dict[str, float]:
    """Scrape from an address, as Prometheus does."""
    head = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    reader, writer = await connect(here, source, head)
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 200 OK"), answer
    return samples(answer.partition("\r\n\r\n")[2])


@asynccontextmanager
async def held(here: Site, *sources: str, first: bytes = HALF) -> AsyncIterator[list[Stream]]:
    """Hold half-open connections."""
    streams = [await connect(here, source, first) for source in sources]
    yield streams
    for _, writer in streams:
        writer.close()


# --- places --------------------------------------------------------------------------------------


async def test_one_address_cannot_keep_others_out(tmp_path: Path) -> None:
    limits = replace(LONG, total=8, share=3, reserve=2)
    async with site(tmp_path, limits=limits) as here, held(here, *["127.0.0.1"] * 3):
        assert await ended(await connect(here))
        series = await scrape(here, "127.0.0.2")
        assert series["vtid_vici_up"] == 1
        assert counted(here, Reason.SHARE) == 1


async def test_any_number_of_addresses_cannot_keep_another_out(tmp_path: Path) -> None:
    limits = replace(LONG, total=8, share=3, reserve=2)
    sources = [f"127.0.1.{number}" for number in range(1, 9)]
    async with site(tmp_path, limits=limits) as here, held(here, *sources) as streams:
        await scrape(here, "127.0.0.2")
        assert await ended(streams[0])
        assert counted(here, Reason.DISPLACED) == 1
        assert counted(here, Reason.FULL) == 0


@pytest.mark.parametrize(("name", "stays"), [(b"localhost", True), (b"evil.example", False)])
async def test_who_took_a_good_answer_is_no_stranger(
    tmp_path: Path,
    name: bytes,
    stays: bool,  # noqa: FBT001
) -> None:
    """Strangers displace the one that reads its answer, not the one that they wait for longer."""
    limits = replace(LONG, total=2, share=1, reserve=1)
    rest = name + b"\r\nConnection: close\r\n\r\n"
    async with site(tmp_path, FakeDaemon(MANY), limits) as here:
        first, writer = await connect(here, "127.0.0.2", HALF + rest)
        assert (await first.read()).startswith(b"HTTP/1.1 200" if stays else b"HTTP/1.1 421")
        writer.close()
        await until_empty(here)
        async with held(here, "127.0.0.2") as (again,), unread(here, "127.0.0.3"):
            async with held(here, "127.0.0.4"):
                await until(here, Reason.DISPLACED)
            if stays:
                again[1].write(b"localhost\r\n\r\n")
                assert await again[0].readline() == b"HTTP/1.1 200 OK\r\n"
            else:
                assert await ended(again)


async def test_a_place_is_free_again_when_its_connection_ends(tmp_path: Path) -> None:
    limits = replace(LONG, total=2, share=1, reserve=0)
    async with site(tmp_path, limits=limits) as here:
        for _ in range(5):
            reader, writer = await connect(here, first=WHOLE)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.close()
            await until_empty(here)
        assert counted(here, Reason.SHARE) == 0


async def test_a_process_cannot_keep_vtictl_out(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    limits = replace(LONG, total=4, share=3, reserve=1)
    async with site(tmp_path, limits=limits) as here:
        streams = [await asyncio.open_unix_connection(path) for _ in range(4)]
        assert await ended(streams[3])
        command = [sys.executable, "-m", "vtid.ctl.main", "ready", "--socket", path]
        vtictl = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await vtictl.communicate()
        assert (vtictl.returncode, said.splitlines()[0]) == (0, b"ready")
        assert counted(here, Reason.SHARE, CONTROL) == 1
        for _, writer in streams:
            writer.close()


@pytest.fixture
def _many_files() -> Iterator[None]:
    """Allow what both ends of a thousand connections take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
async def test_a_thousand_clients_do_not_hold_up_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two turns of any other task, the loop takes a bounded number of connections."""
    count = 1000
    accepted, most_at_once, most_held = 0, 0, 0.0
    connection_made = Connection.connection_made

    def note(self: Connection, transport: asyncio.BaseTransport) -> None:
        nonlocal accepted
        accepted += 1
        connection_made(self, transport)

    async def tunnels(here: Site) -> None:
        """Take turns as the daemon's loop does, and see what happened between them."""
        nonlocal most_at_once, most_held
        before = accepted
        while True:
            await asyncio.sleep(0)
            most_at_once, before = max(most_at_once, accepted - before), accepted
            most_held = max(most_held, connections(here))

    monkeypatch.setattr(Connection, "connection_made", note)
    async with site(tmp_path, limits=LONG) as here:
        watch = asyncio.create_task(tunnels(here))
        sources = [f"127.0.{number % 9 + 1}.{number % 200 + 1}" for number in range(count)]
        streams = await asyncio.gather(*(connect(here, source) for source in sources))
        async with asyncio.timeout(60):
            while accepted < count:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.005)
        series = await scrape(here, "127.0.0.2")
        watch.cancel()
        for _, writer in streams:
            writer.close()
    assert series["vtid_vici_up"] == 1
    assert accepted == count + 1
    assert most_held <= LONG.total
    assert most_at_once <= 2 * server._ACCEPTED_AT_ONCE  # between two turns, the loop looks twice


# --- times ---------------------------------------------------------------------------------------

TRICKLE = replace(LONG, head=0.5)


async def test_a_silent_client_is_not_waited_for(tmp_path: Path) -> None:
    async with site(tmp_path, limits=TRICKLE) as here:
        assert await ended(await connect(here, first=b""))
        assert counted(here, Reason.HEAD) == 1


async def test_a_trickle_of_bytes_gains_no_time(tmp_path: Path) -> None:
    async with site(tmp_path, limits=TRICKLE) as here:
        stream = await connect(here)
        end = asyncio.create_task(ended(stream))
        while not end.done():
            stream[1].write(b"a")
            await asyncio.sleep(0.01)
        assert await end
        assert counted(here, Reason.HEAD) == 1


async def test_a_later_request_has_the_same_time(tmp_path: Path) -> None:
    async with site(tmp_path, limits=TRICKLE) as here:
        reader, writer = await connect(here, first=WHOLE)
        await reader.readuntil(b"ok\n")
        writer.write(HALF)
        await until(here, Reason.HEAD)
        assert await ended((reader, writer))


async def test_an_idle_connection_is_kept_for_a_while(tmp_path: Path) -> None:
    async with site(tmp_path, limits=replace(LONG, head=0.5, idle=0.2)) as here:
        reader, writer = await connect(here, first=WHOLE)
        await reader.readuntil(b"ok\n")
        assert await ended((reader, writer))
        assert (counted(here, Reason.IDLE), counted(here, Reason.HEAD)) == (1, 0)


@pytest.mark.parametrize("listener", [METRICS, CONTROL])
async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, listener: str) -> None:
    head = b"POST /v1/flush HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n1234"
    async with site(tmp_path, limits=replace(LONG, body=0.05)) as here:
        if listener == CONTROL:
            stream = await asyncio.open_unix_connection(tmp_path / "control.sock")
            stream[1].write(head)
        else:
            stream = await connect(here, first=head)
        assert await ended(stream)
        assert counted(here, Reason.BODY, listener) == 1
        assert here.daemon.done == []


MANY = status(*(replace(UP, tunnel=f"private/vti{number}") for number in range(1000)))
"""More than the buffers of a connection hold."""


@asynccontextmanager
async def unread(here: Site, source: str) -> AsyncIterator[None]:
    """Scrape, and take the first bytes of the answer only."""
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)  # noqa: FBT003
        client.bind((source, 0))
        await loop.sock_connect(client, here.server.addresses[0])
        await loop.sock_sendall(client, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert await loop.sock_recv(client, 8) == b"HTTP/1.1"
        yield


async def test_a_client_that_does_not_read_is_left(tmp_path: Path) -> None:
    async with site(tmp_path, FakeDaemon(MANY), replace(LONG, send=0.1)) as here:
        async with unread(here, "127.0.0.1"):
            await until(here, Reason.SEND)
        assert (await here.get("/livez"))[0] == 200


async def test_a_client_that_does_not_read_can_be_displaced(tmp_path: Path) -> None:
    limits = replace(LONG, total=1, share=1, reserve=1)
    async with site(tmp_path, FakeDaemon(MANY), limits) as here, unread(here, "127.0.0.1"):
        await scrape(here, "127.0.0.2")
        assert counted(here, Reason.DISPLACED) == 1


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", ["Content-Length: 99999999999", "Transfer-Encoding: chunked"])
async def test_a_large_body_is_refused_unread(tmp_path: Path, length: str) -> None:
    head = f"POST /v1/reload HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}\r\n\r\n".encode()
    async with site(tmp_path, limits=LONG) as here:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
        writer.write(head + b"%x\r\n" % (1 << 30) + b"0" * (BODY_MAX + 1))
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        assert counted(here, Reason.SIZE, CONTROL) == 1
        assert here.daemon.done == []


async def test_a_small_body_is_nothing_special(tmp_path: Path) -> None:
    async with site(tmp_path, limits=LONG) as here:
        url = "http://vtid/v1/reload"
        async with here.control.post(url, data=b"0" * (BODY_MAX - 1)) as response:
            assert response.status == 200
        assert here.daemon.done == ["reload"]


async def test_a_configuration_may_be_large_and_not_too_large(tmp_path: Path) -> None:
    async with site(tmp_path, limits=LONG) as here:
        for size in (2 * BODY_MAX, CONFIG_MAX):
            async with here.control.post("http://vtid/v1/plan", data=b"#" * size) as response:
                assert response.status == 200
        head = f"POST /v1/plan HTTP/1.1\r\nHost: a\r\nContent-Length: {CONFIG_MAX + 1}\r\n\r\n"
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
        writer.write(head.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()
        assert len(here.daemon.done) == 2


async def test_no_configuration_comes_by_the_metrics_addresses(tmp_path: Path) -> None:
    head = f"POST /v1/plan HTTP/1.1\r\nHost: localhost\r\nContent-Length: {BODY_MAX + 1}\r\n\r\n"
    async with site(tmp_path, limits=LONG) as here:
        reader, writer = await connect(here, first=head.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        writer.close()


@pytest.mark.parametrize(
    ("head", "is_answered"),
    [
        (b"GET /" + b"a" * 10_000, True),
        (b"GET / HTTP/1.1\r\nHost: " + b"a" * 10_000, True),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000, False),
        (b"\r\n\r\nGET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000, False),
        (b"GET /" + b"a" * 1_000_000, False),
    ],
    ids=["line", "field", "fields", "after blank lines", "huge"],
)
async def test_a_large_head_is_refused_before_its_end(
    tmp_path: Path,
    head: bytes,
    is_answered: bool,  # noqa: FBT001
) -> None:
    async with site(tmp_path, limits=LONG) as here:
        stream = await connect(here, first=head)
        if is_answered:
            assert b" 400 Bad Request" in await stream[0].readline()
        else:
            assert await ended(stream)
            assert counted(here, Reason.SIZE) == 1
        stream[1].close()


async def test_a_head_in_pieces_and_requests_in_one_piece(tmp_path: Path) -> None:
    """What is counted as a head is forgotten with its end."""
    async with site(tmp_path, limits=LONG) as here:
        reader, writer = await connect(here, first=b"")
        for _ in range(3):
            for piece in (
                b"GET /livez HTTP/1.1\r\nHost: localhost\r\n",
                b"A: " + b"a" * 8000,
                b"\r\n\r\n",
            ):
                writer.write(piece)
                await writer.drain()
            await reader.readuntil(b"ok\n")
        writer.write(WHOLE * 10)
        for _ in range(10):
            await reader.readuntil(b"ok\n")
        writer.close()
        assert counted(here, Reason.SIZE) == 0


async def test_a_client_that_hangs_up_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heads = [HALF, WHOLE, b"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"]
    async with site(tmp_path, FakeDaemon(FULL), LONG) as here:
        for head in heads:
            _, writer = await connect(here, first=head)
            await writer.drain()
            writer.transport.abort()
        await until_empty(here)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
