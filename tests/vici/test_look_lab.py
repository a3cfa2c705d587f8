"""A look at a real charon: its threads, and the certificate that it has a key for."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import astuple
from typing import TYPE_CHECKING

import pytest

from tests.charon import Charon, pair
from tests.vici.record import conf
from tests.vici.test_certificates import GATEWAY, KEY, NAMELESS
from vtid.vici.channel import Channel, Limits, ViciError
from vtid.vici.listing import listing
from vtid.vici.look import look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.vici.codec import Request

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]


@pytest.fixture
def charon() -> Iterator[Charon]:
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (one, _):
        yield one


def _pem(kind: str, der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {kind}-----\n{body}-----END {kind}-----\n"


async def _load(socket: str) -> None:
    """Load two certificates, and the key of one of them."""
    link = await Channel.open(socket, Limits(), lambda _name, _message: None)
    reading = asyncio.create_task(link.read())
    for der in (GATEWAY, NAMELESS):
        text = _pem("CERTIFICATE", der)
        answer = await link.request("load-cert", {"type": "X509", "flag": "NONE", "data": text})
        assert answer["success"] == b"yes", answer
    answer = await link.request("load-key", {"type": "any", "data": _pem("EC PRIVATE KEY", KEY)})
    assert answer["success"] == b"yes", answer
    pool: Request = {"addrs": "10.77.0.0/28"}
    answer = await link.request("load-pool", {"road": pool})
    assert answer["success"] == b"yes", answer
    reading.cancel()
    link.close("loaded")


async def test_threads_and_own_certificates(charon: Charon) -> None:
    await _load(charon.vici)
    facts = await look(charon.vici)
    stats = facts.stats
    assert stats.workers
    assert stats.workers_idle
    assert sum(count for _, count in stats.active) + stats.workers_idle == stats.workers
    assert stats.started_at
    assert abs(time.time() - stats.started_at) < 600
    assert (stats.ike_sas, stats.half_open) == (0, 0)
    assert [one.name for one in facts.certificates] == ["gw-a.example.net"]
    ((name, *counts),) = (astuple(pool) for pool in facts.pools)
    assert (name, counts) == ("road", [14, 0, 0])


async def test_connections_with_their_children(charon: Charon) -> None:
    facts = await look(charon.vici)
    found = await listing(charon.vici)
    assert facts.connections == len(found.connections) > 0
    assert set(facts.children) == {child for one in found.connections for child in one.names}
    assert facts.children


async def test_a_charon_that_is_away_is_told(charon: Charon) -> None:
    with pytest.raises(ViciError, match="is absent"):
        await look(f"{charon.vici}.none")
