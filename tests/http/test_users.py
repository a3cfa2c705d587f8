"""Basic authentication: who gets in, and what guessing costs whom."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import pytest

from tests.http.sites import site
from vtid.http import users
from vtid.http.access import Access
from vtid.http.admission import Reason
from vtid.http.server import ServerError
from vtid.http.users import Users, credentials

if TYPE_CHECKING:
    from pathlib import Path

# of "secret", by htpasswd (apache2-utils) and by the bcrypt of Python
HASHES = {
    "apache": "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "python": "$2b$04$ABCDEFGHIJKLMNOPQRSTUux/yVoHLb2P5.QxxfIdIyVUJvRQqUe5S",
}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (basic("a", "b"), (b"a", b"b")),
        (basic("a", "b:c"), (b"a", b"b:c")),
        (basic("a", ""), (b"a", b"")),
        (basic("ä", "ö"), ("ä".encode(), "ö".encode())),
        ("basic " + base64.b64encode(b"a:b").decode(), (b"a", b"b")),
        ("", None),
        ("Basic", None),
        ("Basic !!!", None),
        ("Basic " + base64.b64encode(b"ab").decode(), None),
        ("Basic " + base64.b64encode(b"a:b\0c").decode(), None),
        ("Bearer " + base64.b64encode(b"a:b").decode(), None),
        ("Basic \xe4", None),
    ],
)
def test_credentials(header: str, found: tuple[bytes, bytes] | None) -> None:
    assert credentials(header) == found


@pytest.mark.parametrize("user", HASHES)
async def test_a_user_with_the_password_gets_in(user: str) -> None:
    known = Users(HASHES)
    assert await known.may_pass(basic(user, "secret"))
    assert not await known.may_pass(basic(user, "Secret"))
    assert not await known.may_pass(basic(user, ""))
    assert not await known.may_pass(basic(user, HASHES[user]))
    assert not await known.may_pass(basic("nobody", "secret"))
    assert not await known.may_pass("")


async def test_a_password_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Users(HASHES)
    hashed: list[bytes] = []
    crypt = users._crypt

    def note(password: bytes, setting: bytes) -> bytes:
        hashed.append(password)
        return crypt(password, setting)

    monkeypatch.setattr(users, "_crypt", note)
    for _ in range(3):
        assert await known.may_pass(basic("apache", "secret"))
    assert hashed == [b"secret"]
    assert not await known.may_pass(basic("nobody", "secret"))
    assert hashed == [b"secret", b"secret"]  # so that it takes as long


async def test_guesses_wait_for_each_other_and_a_scrape_for_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = Users(HASHES)
    assert await known.may_pass(basic("apache", "secret"))
    at_once = most = 0
    free = asyncio.Event()

    async def hold(*_: object) -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await free.wait()
        at_once -= 1
        return b""

    monkeypatch.setattr(asyncio, "to_thread", hold)
    guesses = [asyncio.create_task(known.may_pass(basic("apache", str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    assert await known.may_pass(basic("apache", "secret"))
    free.set()
    assert not any(await asyncio.gather(*guesses))
    assert most == 1


async def test_a_system_without_bcrypt_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_crypt", lambda _password, _setting: b"*0")
    with pytest.raises(ServerError, match="lacks bcrypt"):
        Users(HASHES)
    Users({})  # which needs none
    monkeypatch.undo()
    monkeypatch.setattr(users, "LIBRARIES", ("libnowhere.so.1",))
    users._library.cache_clear()
    with pytest.raises(ServerError, match=r"libnowhere.so.1 is missing: install"):
        Users(HASHES)
    users._library.cache_clear()


async def test_metrics_are_for_users_and_the_control_socket_is_not(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        here.server.use(Access(users=tuple(HASHES.items())))
        for path in ("/metrics", "/", "/nothing"):
            async with here.public.get(here.url + path) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith('Basic realm="vtid"')
        assert here.telemetry._refused.labels("metrics", Reason.AUTH)._value.get() == 3
        headers = {"Authorization": basic("python", "secret")}
        async with here.public.get(here.url + "/metrics", headers=headers) as response:
            assert response.status == 200
        assert (await here.ask("/v1/status"))[0] == 200
