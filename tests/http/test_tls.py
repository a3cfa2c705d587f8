"""TLS on the metrics addresses, with real handshakes."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.http.sites import Site, samples, site
from tests.http.test_guard import LONG, connect, counted, ended, held, until_empty
from vtid.http import tls
from vtid.http.access import Access, Tls
from vtid.http.admission import Reason
from vtid.http.server import ServerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtid.http.admission import Limits

PKI = Path(__file__).parent / "pki"
PAIR = Tls(str(PKI / "server.pem"), str(PKI / "server.key"))
MUTUAL = replace(PAIR, client_ca_file=str(PKI / "ca.pem"))


@asynccontextmanager
async def secure(
    directory: Path, files: Tls = PAIR, limits: Limits | None = None
) -> AsyncIterator[Site]:
    async with site(directory, limits=limits) as here:
        here.server.use(Access(tls=files))
        yield here


def client(*, certificate: str = "") -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(PKI / "ca.pem"))
    if certificate:
        made.load_cert_chain(PKI / f"{certificate}.pem", PKI / f"{certificate}.key")
    return made


async def livez(here: Site, context: ssl.SSLContext) -> str:
    """Ask over a connection of its own, and return the name in the server's certificate."""
    host, port = here.server.addresses[0]
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    name = writer.get_extra_info("peercert")["subject"][0][0][1]
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    assert answer.endswith(b"ok\n"), answer
    writer.close()
    return str(name)


async def test_a_scrape_over_tls(tmp_path: Path) -> None:
    async with secure(tmp_path) as here:
        url = here.url.replace("http:", "https:") + "/metrics"
        for _ in range(2):
            async with here.public.get(url, ssl=client()) as response:
                assert samples(await response.text())["vtid_vici_up"] == 1


async def test_what_comes_with_the_end_of_the_handshake_is_not_lost(tmp_path: Path) -> None:
    """A client of TLS 1.3 may send its last message and the request in one packet."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    machine = client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with secure(tmp_path) as here:
        reader, writer = await asyncio.open_connection(*here.server.addresses[0])
        while True:
            try:
                machine.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
        machine.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        writer.write(outgoing.read())
        incoming.write(await reader.read())
        answer = b""
        while b"ok\n" not in answer:
            answer += machine.read()
        writer.close()


async def test_a_client_without_tls_gets_nothing(tmp_path: Path) -> None:
    async with secure(tmp_path) as here:
        reader, writer = await connect(here, first=b"GET /metrics HTTP/1.1\r\n\r\n")
        with suppress(ConnectionError):
            assert not (await reader.read()).startswith(b"HTTP")
        writer.close()
        assert counted(here, Reason.TLS) == 1
        assert await livez(here, client()) == "server"
        await until_empty(here)


async def test_a_handshake_has_a_place_and_a_time(tmp_path: Path) -> None:
    """Half-open handshakes are half-open connections."""
    limits = replace(LONG, total=4, share=2, reserve=1)
    sources = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]
    async with secure(tmp_path, limits=limits) as here, held(here, *sources, first=b"\x16"):
        await livez(here, client())
        assert counted(here, Reason.DISPLACED) == 1


async def test_a_handshake_that_does_not_end_is_not_waited_for(tmp_path: Path) -> None:
    async with secure(tmp_path, limits=replace(LONG, head=0.5)) as here:
        assert await ended(await connect(here, first=b"\x16"))
        assert (counted(here, Reason.HEAD), counted(here, Reason.TLS)) == (1, 0)
        await until_empty(here)


async def test_clients_need_a_certificate(tmp_path: Path) -> None:
    async with secure(tmp_path, MUTUAL) as here:
        assert await livez(here, client(certificate="client")) == "server"
        url = here.url.replace("http:", "https:") + "/livez"
        with pytest.raises(aiohttp.ClientError):
            await here.public.get(url, ssl=client())
        here.server.use(Access(tls=replace(MUTUAL, client_auth_type="VerifyClientCertIfGiven")))
        assert await livez(here, client()) == "server"


async def test_an_old_version_is_refused(tmp_path: Path) -> None:
    old = client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with secure(tmp_path) as here:
        assert await livez(here, old) == "server"
        here.server.use(Access(tls=replace(PAIR, min_version="TLS13")))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await livez(here, old)


async def test_a_renewed_certificate_is_read_at_a_reload(tmp_path: Path) -> None:
    files = Tls(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))

    def install(name: str) -> None:
        shutil.copy(PKI / f"{name}.pem", files.cert_file)
        shutil.copy(PKI / f"{name}.key", files.key_file)

    install("server")
    async with secure(tmp_path, files) as here:
        assert await livez(here, client()) == "server"
        install("renewed")
        here.server.use(Access(tls=files))
        assert await livez(here, client()) == "renewed"
        missing = replace(files, cert_file=files.cert_file + ".missing")
        with pytest.raises(ServerError, match=r"cert_file: cannot read .*missing: No such file"):
            here.server.use(Access(tls=missing))
        assert await livez(here, client()) == "renewed"
        here.server.use(Access())
        assert (await here.get("/livez"))[0] == 200


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (replace(PAIR, key_file=str(PKI / "renewed.key")), "KEY_VALUES_MISMATCH"),
        (replace(PAIR, key_file=str(PKI / "locked.key")), "unencrypted private key"),
        (replace(PAIR, cert_file=str(PKI / "write.sh")), "are no certificate"),
        (replace(PAIR, client_ca_file=str(PKI / "write.sh")), "has no certificates in PEM"),
        (replace(PAIR, client_ca_file="/nowhere"), "client_ca_file: cannot read /nowhere"),
    ],
)
def test_bad_files(files: Tls, says: str) -> None:
    with pytest.raises(ServerError, match=says):
        tls.context(files)
