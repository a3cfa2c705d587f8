"""HTTP: raw bytes for the server's two sides, and header values for what reads them.

A connection of the server costs a thousand times what a header does, so it gets fewer inputs.
"""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target
from tests.http.samples import FULL, FakeDaemon
from vtid.http.access import is_known
from vtid.http.negotiate import accepts_gzip, wants_openmetrics
from vtid.http.select import Filter, select
from vtid.http.server import Limits, Server
from vtid.http.telemetry import Telemetry
from vtid.http.users import credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from random import Random

    from tests.fuzz.target import Take

_LIMITS = Limits(head=1.0, body=1.0, send=1.0, idle=1.0)
_ANSWERS_WITHIN = 0.005
"""Seconds after which a request is taken to be incomplete, and its connection is closed."""

_HEADERS = b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n"
REQUESTS = (
    b"GET /metrics HTTP/1.1\r\n" + _HEADERS,
    b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0;q=0.5,"
    b"text/plain;q=0.2,*/*;q=0.1\r\nAccept-Encoding: gzip, deflate;q=0\r\n" + _HEADERS,
    b"GET /metrics HTTP/1.0\r\n\r\n",
    b"GET /readyz HTTP/1.1\r\n" + _HEADERS,
    b"GET /v1/tunnels?state=up,down&peer=192.0.2.*&policy=V2-1 HTTP/1.1\r\n" + _HEADERS,
    b"GET /v1/tunnels/private%2fvti42 HTTP/1.1\r\n" + _HEADERS,
    b"POST /v1/adopt?interface=private%2Fvti42&interface=vti50 HTTP/1.1\r\nContent-Length: 0\r\n"
    + _HEADERS,
    b"POST /v1/mode?mode=manual&tunnel=vti50 HTTP/1.1\r\nContent-Length: 0\r\n" + _HEADERS,
    b"POST /v1/reload HTTP/1.1\r\nContent-Length: 5\r\n" + _HEADERS + b"12345",
    b"POST /v1/flush HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
    + _HEADERS
    + b"3\r\nabc\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /v1/status HTTP/1.1\r\n" + _HEADERS,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
VALUES = (
    b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
    b"gzip;q=1.0, identity; q=0.5, *;q=0",
    b"Basic dXNlcjpwYXNzd29yZA==",
    b"gateway.example.net:9119",
    b"[2001:db8::1]:9119",
    b"[fe80::1%eth0]",
    b"localhost.",
    b"V2-[!a-z]*?",
    b"V*",
)


@contextmanager
def headers() -> Iterator[Take]:
    def take(data: bytes) -> None:
        value = data.decode("utf-8", "surrogateescape")  # as aiohttp hands it over
        accepts_gzip(value)
        wants_openmetrics(value)
        credentials(value)
        for hosts in ((), ("*.example.net", "gateway")):
            is_known(value, "127.0.0.1", frozenset({"gateway"}), hosts)
        if len(value) < 16:  # a pattern is compiled, which takes long
            select(FULL.tunnels, Filter(frozenset(), value, value))

    yield take


class _Complaints(logging.Handler):
    """Defects, as asyncio and aiohttp log them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[Server]:
    server = Server(
        str(folder / "control.sock"), ["127.0.0.1:0"], FakeDaemon(FULL), Telemetry(), _LIMITS
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextmanager
def server() -> Iterator[Take]:
    """Bytes in, and an answer that is HTTP or none; nothing that is logged."""
    complaints, root = _Complaints(), logging.getLogger()
    root.addHandler(complaints)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        loop, served = runner.get_loop(), _served(Path(folder))
        loop.set_exception_handler(lambda _, what: complaints.found.append(str(what)))
        here = runner.run(served.__aenter__())
        count = 0

        def take(data: bytes) -> None:
            nonlocal count
            count += 1
            path = str(Path(folder) / "control.sock") if count % 2 else ""
            answer = runner.run(_exchange(here, path, data))
            assert not answer or _is_good(answer), answer
            assert complaints.found == []

        yield take
        runner.run(served.__aexit__(None, None, None))
    root.removeHandler(complaints)


def _is_good(answer: bytes) -> bool:
    """Whether it is HTTP, and not that of a handler that failed."""
    return bool(re.match(rb"HTTP/\d\.\d (?!500)\d{3} ", answer))


async def _exchange(here: Server, path: str, data: bytes) -> bytes:
    connecting: Any = (
        asyncio.open_unix_connection(path) if path else asyncio.open_connection(*here.addresses[0])
    )
    reader, writer = await connecting
    answer = b""
    with suppress(ConnectionError):
        writer.write(data)
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                answer = await reader.read(1 << 16)
        except TimeoutError:
            writer.write_eof()
            answer = await reader.read(1 << 16)
    writer.close()
    return answer


def make_value(random: Random) -> bytes:
    return mutated(random, VALUES)


def make_request(random: Random) -> bytes:
    return mutated(random, REQUESTS)


TARGETS = (
    Target("http headers", 145, make_value, headers),
    Target("http server", 4, make_request, server),
)
