"""`/` over real sockets: whom it answers, with which headers, and what it costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.http.samples import FULL, SUMMARY, FakeDaemon
from tests.http.sites import Site, site
from vtid.http import front
from vtid.http.access import Access
from vtid.http.front import Front
from vtid.http.page import csp
from vtid.model.status import Trouble

if TYPE_CHECKING:
    from pathlib import Path

    from vtid.model.listing import Listing, Wanted


def with_page(here: Site, **access: object) -> Site:
    here.server.use(Access(page=True, **access))  # type: ignore[arg-type]
    return here


async def test_the_page_has_to_be_asked_for_on_the_network(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        code, text = await here.get("/")
        assert (code, "gw-b" in text, "page = true" in text) == (200, False, True)
        code, text = await with_page(here).get("/")
        assert (code, "gw-b" in text) == (200, True)
        here.server.use(Access())
        assert "gw-b" not in (await here.get("/"))[1]


async def test_the_control_socket_has_it(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.control.get("http://vtid/?text=v2-3") as response:
        text = await response.text()
        assert response.status == 200
    assert "private/vti43</th>" in text
    assert "private/vti42</th>" not in text


async def test_headers(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.public.get(with_page(here).url) as response:
        await response.read()
        headers = response.headers
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"] == csp()
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Server"] == "vtid"


async def test_it_may_be_plain(tmp_path: Path) -> None:
    async with site(tmp_path) as here, aiohttp.ClientSession(auto_decompress=False) as client:
        headers = {"Accept-Encoding": "identity"}
        async with client.get(with_page(here).url, headers=headers) as response:
            assert "Content-Encoding" not in response.headers
            assert (await response.read()).startswith(b"<!doctype html>")


async def test_who_may_not_read_the_metrics_may_not_read_it(tmp_path: Path) -> None:
    hashed = "$2y$04$abcdefghijklmnopqrstuuDHGnbFbVpVoPNLLdcvHFZNsYVA8yBPq"
    async with site(tmp_path) as here:
        with_page(here, users=(("a", hashed),))
        assert (await here.get("/"))[0] == 401
        with_page(here)
        headers = {"Host": "evil.example"}
        async with here.public.get(here.url + "/", headers=headers) as response:
            assert response.status == 421


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v1/names", {}, 200),
        ("/v1/names", {"Host": "localhost:8080"}, 200),
        ("/v1/names", {"Host": "127.0.0.1:8080", "Sec-Fetch-Site": "none"}, 200),
        ("/v1/names", {"Host": "localhost", "Origin": "https://evil.example"}, 403),
        ("/v1/names", {"Host": "localhost", "Origin": "null"}, 403),
        ("/v1/names", {"Host": "localhost", "Sec-Fetch-Site": "cross-site"}, 403),
        ("/v1/names", {"Host": "evil.example"}, 403),
        ("/", {"Host": "localhost:8080", "Sec-Fetch-Site": "cross-site"}, 200),  # by a link
        ("/", {"Host": "[::1]:8080"}, 200),
        ("/", {"Host": "evil.example:8080"}, 403),
        ("/metrics", {"Host": "evil.example."}, 403),
    ],
)
async def test_a_forwarded_control_socket_takes_no_orders_from_web_pages(
    tmp_path: Path, path: str, headers: dict[str, str], code: int
) -> None:
    async with site(tmp_path) as here:
        async with here.control.get(f"http://vtid{path}", headers=headers) as response:
            assert response.status == code
        async with here.control.post("http://vtid/v1/flush", headers=headers) as response:
            may = code == 200 and not headers.get("Sec-Fetch-Site", "").startswith("cross")
            assert response.status == (200 if may else 403)
        assert here.daemon.done == ["flush"] * may


@pytest.mark.parametrize("query", ["state=upp", "page=x", "refresh=1", "text=" + "x" * 300])
async def test_what_there_is_not_is_a_bad_request_in_plain_text(tmp_path: Path, query: str) -> None:
    async with site(tmp_path) as here:
        async with here.public.get(f"{with_page(here).url}/?{query}") as response:
            assert response.status == 400
            assert response.content_type == "text/plain"
        async with here.control.get(f"http://vtid/?{query}") as response:
            assert response.status == 400


class Slow(FakeDaemon):
    """A daemon that lists tunnels when it is told to."""

    def __init__(self) -> None:
        super().__init__(FULL)
        self.go = asyncio.Event()
        self.at_once = self.most = 0

    async def listing(self, wanted: Wanted) -> Listing:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.go.wait()
        self.at_once -= 1
        return await super().listing(wanted)


async def test_one_page_at_a_time_and_not_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "_QUEUE", 3)
    daemon = Slow()
    one = Front(daemon)

    def ask() -> asyncio.Task[web.Response]:
        return asyncio.create_task(one.answer(make_mocked_request("GET", "/")))

    asked = [ask() for _ in range(4)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(web.HTTPServiceUnavailable) as caught:
        await done.pop()
    assert caught.value.headers["Retry-After"]
    daemon.go.set()
    assert [answer.status for answer in await asyncio.gather(*asked[:3])] == [200] * 3
    assert daemon.most == 1
    assert (await ask()).status == 200


async def test_a_page_that_fails_leaves_no_place_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "_QUEUE", 1)

    class Broken(FakeDaemon):
        async def listing(self, wanted: Wanted) -> Listing:
            raise RuntimeError(wanted)

    one = Front(Broken(FULL))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            await one.answer(make_mocked_request("GET", "/"))


async def test_on_the_network_it_quotes_no_configuration(tmp_path: Path) -> None:
    daemon = FakeDaemon(FULL)
    quoted = Trouble("configuration", "refused: 'hunter2' is no address", 1.0)
    daemon.screen = replace(SUMMARY, troubles=(quoted,))
    async with site(tmp_path, daemon) as here:
        code, text = await with_page(here).get("/")
    assert (code, "not shown here" in text, "hunter2" in text) == (200, True, False)
