"""By which names a metrics address may be called, on a loopback address and on others."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from tests.http.sites import site
from vtid.http.access import Access, is_known
from vtid.http.admission import Reason

if TYPE_CHECKING:
    from pathlib import Path

OWN = frozenset({"gw-a"})
LISTED = ("gw-a.example.net", "*.mon.example.net")


@pytest.mark.parametrize(
    ("host", "reached", "hosts", "is_good"),
    [
        ("127.0.0.1:14814", "127.0.0.1", (), True),
        ("[::1]:14814", "::1", (), True),
        ("[::1]", "::1", (), True),
        ("localhost:14814", "127.0.0.1", (), True),
        ("a.localhost", "127.0.0.1", (), True),
        ("GW-A:14814", "127.0.0.1", (), True),
        ("gw-a.", "127.0.0.1", (), True),
        ("", "127.0.0.1", (), True),
        ("evil.example:14814", "127.0.0.1", (), False),
        ("evil.example", "::1", (), False),
        ("evil.example", "::ffff:127.0.0.1", (), False),
        ("localhost.evil.example", "127.0.0.1", (), False),
        ("gw-a.evil.example", "127.0.0.1", (), False),
        ("notlocalhost", "127.0.0.1", (), False),
        ("gw-a.example.net", "192.0.2.1", (), True),
        ("gw-a.example.net", "fe80::1%eth0", (), True),
        ("gw-a.example.net", "192.0.2.1", LISTED, True),
        ("Gw-A.Example.Net.:14814", "127.0.0.1", LISTED, True),
        ("x.y.mon.example.net", "192.0.2.1", LISTED, True),
        ("mon.example.net", "192.0.2.1", LISTED, False),
        ("evilmon.example.net", "192.0.2.1", LISTED, False),
        ("evil.example", "192.0.2.1", LISTED, False),
        ("192.0.2.1", "192.0.2.1", LISTED, True),
        ("evil.example", "127.0.0.1", ("*",), True),
    ],
)
def test_names(host: str, reached: str, hosts: tuple[str, ...], is_good: bool) -> None:  # noqa: FBT001
    assert is_known(host, reached, OWN, hosts) is is_good


async def test_a_page_whose_name_leads_here_reads_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        headers = {"Host": "evil.example:14814"}
        for path in ("/metrics", "/", "/readyz", "/nothing"):
            async with here.public.get(here.url + path, headers=headers) as response:
                assert response.status == 421
                assert "`hosts` of [metrics]" in await response.text()
        reasons = here.telemetry._refused.labels("metrics", Reason.HOST)
        assert reasons._value.get() == 4
        here.server.use(Access(hosts=("evil.example",)))
        async with here.public.get(here.url + "/metrics", headers=headers) as response:
            assert response.status == 200


async def test_of_two_names_both_have_to_be_known(tmp_path: Path) -> None:
    head = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    async with site(tmp_path) as here:
        reader, writer = await asyncio.open_connection(*here.server.addresses[0])
        writer.write(head)
        assert (await reader.readline()).split()[1] in {b"400", b"421"}
        writer.close()


@pytest.mark.parametrize("name", ["anything", "localhost:1", "127.0.0.1", os.uname().nodename])
async def test_the_control_socket_has_any_name_that_is_no_site(tmp_path: Path, name: str) -> None:
    async with site(tmp_path) as here:
        headers = {"Host": name}
        async with here.control.get("http://vtid/v1/status", headers=headers) as response:
            assert response.status == 200
