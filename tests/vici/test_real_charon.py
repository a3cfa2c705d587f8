"""The client against real charons: two gateways in namespaces and all that happens to them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.charon import Charon, pair
from tests.vici.record import conf
from vtid.esp.algorithms import EspAlgorithms
from vtid.model.input import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeRekeyed,
    IkeUpdated,
    Input,
    SaSnapshot,
    ViciLost,
)
from vtid.model.sa import Mark
from vtid.vici.channel import Limits
from vtid.vici.client import ViciClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import TypeVar

    Wanted = TypeVar("Wanted", bound=Input)

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

WAIT = 60
"""Seconds that anything may take; software emulation is slow."""


@pytest.fixture(scope="module")
def gateways() -> Iterator[tuple[Charon, Charon]]:
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as both:
        yield both


class Follower:
    """A client and what it posted."""

    def __init__(self, charon: Charon, limits: Limits) -> None:
        self._queue = asyncio.Queue[Input]()
        self.client = ViciClient(charon.vici, self._queue.put_nowait, limits)

    async def until(self, kind: type[Wanted]) -> Wanted:
        """The next input of this kind; what comes before it is dropped."""
        async with asyncio.timeout(WAIT):
            while True:
                found = await self._queue.get()
                if isinstance(found, kind):
                    return found

    async def listed(self) -> set[str]:
        """Connection and child of every SA in the next snapshot."""
        snapshot = await self.until(SaSnapshot)
        return {f"{sa.connection}/{sa.child}" for sa in snapshot.sas}


@asynccontextmanager
async def following(charon: Charon) -> AsyncIterator[Follower]:
    limits = Limits(answer=5, alive=0.5, retry_first=0.1, retry_max=1)
    follower = Follower(charon, limits)
    task = asyncio.create_task(follower.client.run())
    try:
        yield follower
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def swanctl(charon: Charon, *arguments: str) -> None:
    await asyncio.to_thread(charon.swanctl, *arguments)


async def terminate(charon: Charon, ike: str) -> None:
    """End an IKE_SA if there is one, so that each test begins with none."""
    with suppress(RuntimeError):
        await swanctl(charon, "--terminate", "--ike", ike)


async def test_a_child_comes_is_rekeyed_and_goes(gateways: tuple[Charon, Charon]) -> None:
    a, b = gateways
    async with following(a) as one, following(b) as other:
        assert await one.listed() == await other.listed() == set()
        assert one.client.version.startswith(("5.", "6."))
        await swanctl(a, "--initiate", "--child", "net")
        up = (await one.until(ChildUp)).sa
        assert (up.connection, up.child, up.mark_in, up.mark_out) == (
            "six",
            "net",
            Mark(42),
            Mark(42),
        )
        assert (up.local_host, up.remote_host) == ("2001:db8::1", "2001:db8::2")
        assert up.esp == EspAlgorithms("AES_GCM_16", 256)
        peer = (await other.until(ChildUp)).sa
        assert (peer.local_host, peer.remote_host) == (up.remote_host, up.local_host)

        await swanctl(a, "--rekey", "--child", "net")
        rekeyed = await one.until(ChildRekeyed)
        assert rekeyed.old_unique_id == up.unique_id
        assert (rekeyed.sa.reqid, rekeyed.sa.mark_in) == (up.reqid, up.mark_in)
        assert (await other.until(ChildRekeyed)).old_unique_id == peer.unique_id

        await swanctl(b, "--rekey", "--ike", "six")
        moved = await one.until(IkeRekeyed)
        assert moved.old_unique_id == up.ike_unique_id

        async with following(a) as late:
            (found,) = (await late.until(SaSnapshot)).sas
            assert (found.unique_id, found.ike_unique_id) == (
                rekeyed.sa.unique_id,
                moved.new_unique_id,
            )

        await swanctl(b, "--terminate", "--ike", "six")
        assert await one.until(IkeDown) == IkeDown(moved.new_unique_id)
        assert await one.until(ChildDown) == ChildDown(rekeyed.sa.unique_id)
        await other.until(IkeDown)


async def test_endpoints_move(gateways: tuple[Charon, Charon]) -> None:
    """Without its IPv4 address MOBIKE takes the other family: even that can change."""
    a, b = gateways
    async with following(b) as other:
        await swanctl(a, "--initiate", "--child", "interface")
        up = (await other.until(ChildUp)).sa
        assert (up.remote_host, up.if_id_in, up.encap) == ("192.0.2.1", 7, True)
        a.ip("address", "del", "192.0.2.1/24", "dev", "eth0")
        try:
            updated = await other.until(IkeUpdated)
            assert updated == IkeUpdated(up.ike_unique_id, "2001:db8::2", "2001:db8::1")
            async with following(b) as late:
                (found,) = (await late.until(SaSnapshot)).sas
                assert (found.local_host, found.remote_host) == ("2001:db8::2", "2001:db8::1")
        finally:
            a.ip("address", "add", "192.0.2.1/24", "dev", "eth0")
            await terminate(b, "four")


async def test_charon_is_killed_and_comes_back(gateways: tuple[Charon, Charon]) -> None:
    a, b = gateways
    async with following(a) as one:
        await one.listed()
        await swanctl(a, "--initiate", "--child", "net")
        await one.until(ChildUp)
        await asyncio.to_thread(a.kill)
        assert "has ended" in (await one.until(ViciLost)).reason
        assert one.client.version == ""
        assert "nothing listens" in (await one.until(ViciLost)).reason
        await asyncio.to_thread(a.start)
        assert await one.listed() == set()
        await swanctl(a, "--initiate", "--child", "net")
        assert (await one.until(ChildUp)).sa.child == "net"
    await terminate(a, "six")
    await terminate(b, "six")


async def test_charon_stops_answering_and_recovers(gateways: tuple[Charon, Charon]) -> None:
    a, _ = gateways
    await swanctl(a, "--initiate", "--child", "net")
    async with following(a) as one:
        assert await one.listed() == {"six/net"}
        a.freeze()
        try:
            assert "it hangs or is stopped" in (await one.until(ViciLost)).reason
        finally:
            a.thaw()
        assert await one.listed() == {"six/net"}
    await terminate(a, "six")


async def test_an_orderly_end_tells_of_every_sa(gateways: tuple[Charon, Charon]) -> None:
    a, _ = gateways
    async with following(a) as one:
        await one.listed()
        await swanctl(a, "--initiate", "--child", "net")
        up = (await one.until(ChildUp)).sa
        await asyncio.to_thread(a.stop)
        assert await one.until(IkeDown) == IkeDown(up.ike_unique_id)
        await one.until(ViciLost)
        await asyncio.to_thread(a.start)
        assert await one.listed() == set()
