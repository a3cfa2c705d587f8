"""The client against a scripted charon: order, faults, time limits and what it says of them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from tests.vici.fake_charon import CONFIRM, FakeCharon, event, frame, response
from vtid.model.input import (
    Alert,
    ChildDown,
    ChildRekeyed,
    ChildUp,
    IkeUpdated,
    Input,
    SaSnapshot,
    ViciLost,
)
from vtid.vici import client as client_module
from vtid.vici.channel import Limits, ViciError, _why
from vtid.vici.client import ALERTS_A_SECOND, ViciClient
from vtid.vici.connection import State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

QUICK = Limits(answer=0.2, part=0.2, alive=0.02, retry_first=0.01, retry_max=0.05)
PATIENT = Limits(answer=5, part=5, alive=60, retry_first=0.01, retry_max=0.05)


def sa(unique_id: int, name: str = "net") -> dict[str, Any]:
    return {
        "gw": {
            "uniqueid": 1,
            "local-host": "192.0.2.1",
            "remote-host": "192.0.2.2",
            "child-sas": {
                f"{name}-{unique_id}": {
                    "name": name,
                    "uniqueid": unique_id,
                    "state": "INSTALLED",
                    "mode": "TUNNEL",
                    "protocol": "ESP",
                    "mark-in": "2a",
                    "mark-out": "2a",
                    "encr-alg": "AES_GCM_16",
                    "encr-keysize": 256,
                    "install-time": 3,
                }
            },
        }
    }


def child_up(unique_id: int) -> bytes:
    return event("child-updown", {"up": "yes", **sa(unique_id)})


def child_down(unique_id: int) -> bytes:
    return event("child-updown", sa(unique_id))


def child_rekeyed(old: int, new: int) -> bytes:
    message = sa(new)
    (child,) = message["gw"]["child-sas"].values()
    message["gw"]["child-sas"] = {"net": {"old": {"uniqueid": old}, "new": child}}
    return event("child-rekey", message)


def moved() -> bytes:
    """An event that leaves open what a list would show."""
    ends = {"local-host": "192.0.2.7", "remote-host": "192.0.2.2"}
    return event("ike-update", {**ends, "gw": {"uniqueid": 1}})


class Inbox:
    """What a client posts, in order."""

    def __init__(self) -> None:
        self._queue = asyncio.Queue[Input]()
        self.post = self._queue.put_nowait

    async def next(self) -> Input:
        return await asyncio.wait_for(self._queue.get(), 5)

    async def lost(self) -> str:
        """The reason of the next input, which must be a loss."""
        found = await self.next()
        assert isinstance(found, ViciLost), found
        return found.reason

    async def snapshot(self) -> set[int]:
        """The unique IDs of the next input, which must be a snapshot."""
        found = await self.next()
        assert isinstance(found, SaSnapshot), found
        return {sa.unique_id for sa in found.sas}


@asynccontextmanager
async def following(
    path: Path | str, limits: Limits = PATIENT
) -> AsyncIterator[tuple[ViciClient, Inbox]]:
    """A client that runs while the context lasts."""
    inbox = Inbox()
    client = ViciClient(str(path), inbox.post, limits)
    task = asyncio.create_task(client.run())
    try:
        yield client, inbox
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def charon(tmp_path: Path) -> AsyncIterator[FakeCharon]:
    async with FakeCharon.at(tmp_path / "vici") as fake:
        yield fake


async def test_registers_before_it_lists(charon: FakeCharon) -> None:
    charon.sas = [sa(1), sa(2)]
    async with following(charon.path) as (client, inbox):
        assert await inbox.snapshot() == {1, 2}
        assert client.version == "5.9.8"
        charon.send(child_up(3) + child_down(1))
        assert isinstance(await inbox.next(), ChildUp)
        assert await inbox.next() == ChildDown(1)
    assert charon.asked == [
        *(
            "version",
            "child-updown",
            "child-rekey",
            "ike-updown",
            "ike-rekey",
            "ike-update",
            "alert",
        ),
        *("list-sa", "list-sas"),
    ]
    assert client.version == ""


async def test_events_during_the_listing_follow_the_snapshot(charon: FakeCharon) -> None:
    async def listing(fake: FakeCharon) -> None:
        fake.send(child_down(9) + event("list-sa", sa(1)) + child_down(1))
        fake.send(event("list-sa", sa(2)) + response() + child_down(2))

    charon.handlers["list-sas"] = listing
    async with following(charon.path) as (_, inbox):
        assert await inbox.snapshot() == {1, 2}
        assert [await inbox.next() for _ in range(3)] == [
            ChildDown(9),
            ChildDown(1),
            ChildDown(2),
        ]


async def test_an_event_before_its_confirmation_is_not_lost(charon: FakeCharon) -> None:
    async def confirm(fake: FakeCharon) -> None:
        fake.send(child_down(7) + frame(bytes([CONFIRM])))

    charon.handlers["child-rekey"] = confirm
    async with following(charon.path) as (_, inbox):
        assert await inbox.next() == ChildDown(7)
        assert await inbox.snapshot() == set()


async def test_a_slow_charon_is_waited_for(charon: FakeCharon) -> None:
    async def drip(fake: FakeCharon) -> None:
        for byte in event("list-sa", sa(1)) + response():
            fake.send(bytes([byte]))
            await asyncio.sleep(0)

    charon.handlers["list-sas"] = drip
    async with following(charon.path) as (_, inbox):
        assert await inbox.snapshot() == {1}


async def test_a_long_listing_may_take_longer_than_one_limit(charon: FakeCharon) -> None:
    async def parts(fake: FakeCharon) -> None:
        for i in range(6):
            fake.send(event("list-sa", sa(i)))
            await asyncio.sleep(QUICK.part / 2)
        fake.send(response())

    charon.handlers["list-sas"] = parts
    async with following(charon.path, QUICK) as (_, inbox):
        assert await inbox.snapshot() == set(range(6))


async def say(fake: FakeCharon, data: bytes) -> None:
    fake.send(data)
    fake.hang_up()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (response(version="5.9.8")[:-3], "closed the connection inside a packet"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak VICI: a packet of 1213486160 bytes"),
        (bytes(4), "does not speak VICI: a packet of 0 bytes"),
        (frame(b"\x01\x09garbage"), "does not speak VICI"),
        (frame(bytes([CONFIRM])), "does not answer 'version'"),
        (b"", "has ended or is restarting"),
    ],
    ids=["truncated", "http", "zeros", "garbage", "confirmation", "closed"],
)
async def test_faults_are_told_and_tried_again(charon: FakeCharon, data: bytes, words: str) -> None:
    charon.handlers["version"] = lambda fake: say(fake, data)
    async with following(charon.path) as (_, inbox):
        reason = await inbox.lost()
        assert charon.path in reason
        assert words in reason
        del charon.handlers["version"]
        assert await inbox.snapshot() == set()


async def test_a_listing_that_breaks_off_is_no_snapshot(charon: FakeCharon) -> None:
    charon.handlers["list-sas"] = lambda fake: say(fake, event("list-sa", sa(1)))
    charon.sas = [sa(2)]
    async with following(charon.path) as (_, inbox):
        assert "has ended" in await inbox.lost()
        del charon.handlers["list-sas"]
        assert await inbox.snapshot() == {2}


async def silence(_fake: FakeCharon) -> None:
    """Answer nothing, as a stopped charon does."""


@pytest.mark.parametrize("command", ["version", "ike-updown", "list-sas"])
async def test_silence_ends_in_a_loss(charon: FakeCharon, command: str) -> None:
    charon.handlers[command] = silence
    async with following(charon.path, QUICK) as (_, inbox):
        assert f"did not answer '{command}' within 0.2 s: it hangs" in await inbox.lost()
        del charon.handlers[command]
        assert await inbox.snapshot() == set()


async def test_a_charon_that_hangs_later_is_noticed(charon: FakeCharon) -> None:
    async with following(charon.path, QUICK) as (client, inbox):
        assert await inbox.snapshot() == set()
        charon.handlers["version"] = silence
        assert "did not answer 'version'" in await inbox.lost()
        assert client.version == ""


async def test_the_same_trouble_again_is_no_news(charon: FakeCharon) -> None:
    charon.handlers["version"] = lambda fake: say(fake, b"")
    async with following(charon.path) as (_, inbox):
        assert "has ended" in await inbox.lost()
        await charon.connected(4)
        del charon.handlers["version"]
        assert await inbox.snapshot() == set()
        charon.hang_up()
        assert "has ended" in await inbox.lost()


async def test_an_absent_socket_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "vici"
    async with following(path) as (_, inbox):
        reason = await inbox.lost()
        assert f"VICI socket {path} is absent" in reason
        assert "charon.plugins.vici.socket" in reason
        async with FakeCharon.at(path):
            assert await inbox.snapshot() == set()


async def test_a_socket_nobody_listens_at_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "vici"))
    async with following(tmp_path / "vici") as (_, inbox):
        assert "nothing listens on it: start strongSwan" in await inbox.lost()


def test_permission_denied_names_the_way_out() -> None:
    assert "strongswan.service.d" in _why("/run/x", PermissionError(13, "Permission denied"))


async def test_two_rekeys_of_one_sa_leave_open_which_of_them_stays(charon: FakeCharon) -> None:
    limits = Limits(answer=5, part=5, alive=60, settle=0.01)
    charon.sas = [sa(1)]
    async with following(charon.path, limits) as (_, inbox):
        assert await inbox.snapshot() == {1}
        charon.sas = [sa(3)]
        charon.send(child_rekeyed(1, 2))
        assert isinstance(await inbox.next(), ChildRekeyed)
        assert charon.asked.count("list-sas") == 1
        charon.send(child_rekeyed(1, 3))
        assert isinstance(await inbox.next(), ChildRekeyed)
        assert await inbox.snapshot() == {3}


async def test_of_rekeyed_sas_the_last_ones_are_remembered(
    charon: FakeCharon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtid.vici.client.RECENT", 2)
    limits = Limits(answer=5, part=5, alive=60, settle=0.01)
    async with following(charon.path, limits) as (_, inbox):
        await inbox.snapshot()
        for old, crosses in (1, False), (2, False), (1, True), (3, False), (1, True), (2, False):
            charon.send(child_rekeyed(old, 9))
            assert isinstance(await inbox.next(), ChildRekeyed)
            if crosses:
                assert await inbox.snapshot() == set()
        assert charon.asked.count("list-sas") == 3


async def test_moved_endpoints_leave_open_whether_udp_carries_esp(charon: FakeCharon) -> None:
    limits = Limits(answer=5, part=5, alive=60, settle=0.01)
    async with following(charon.path, limits) as (_, inbox):
        await inbox.snapshot()
        charon.send(moved())
        assert isinstance(await inbox.next(), IkeUpdated)
        assert await inbox.snapshot() == set()


async def test_a_resync_returns_with_a_list_that_began_after_it(charon: FakeCharon) -> None:
    limits = Limits(answer=5, part=5, alive=60, settle=0.01)
    charon.sas = [sa(1)]
    async with following(charon.path, limits) as (client, inbox):
        await client.resync()  # not connected yet: nothing to wait for
        assert await inbox.snapshot() == {1}
        charon.sas = [sa(2)]
        await asyncio.wait_for(client.resync(), 5)
        assert await inbox.snapshot() == {2}


async def test_a_resync_does_not_wait_for_what_is_unclear_and_leaves_it_so(
    charon: FakeCharon,
) -> None:
    limits = Limits(answer=5, part=5, alive=60, settle=60)
    async with following(charon.path, limits) as (client, inbox):
        await inbox.snapshot()
        charon.send(moved())
        assert isinstance(await inbox.next(), IkeUpdated)
        for _ in range(2):
            await asyncio.wait_for(client.resync(), 5)
            await inbox.snapshot()
            for _turn in range(10):
                await asyncio.sleep(0)
            assert client._state is State.SETTLING


async def test_a_resync_does_not_wait_longer_for_a_list_that_takes_long(
    charon: FakeCharon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "LISTING_SHARE", 1e6)
    limits = Limits(answer=5, part=5, alive=60, settle=0)
    async with following(charon.path, limits) as (client, inbox):
        await inbox.snapshot()
        await asyncio.wait_for(client.resync(), 5)
        assert client.listings == 2


async def test_a_list_that_is_under_way_is_too_old_for_a_resync(charon: FakeCharon) -> None:
    limits = Limits(answer=5, part=5, alive=60, settle=0.01)
    asked, released = asyncio.Event(), asyncio.Event()

    async def late(fake: FakeCharon) -> None:
        asked.set()
        await released.wait()
        fake.handlers.clear()
        fake.send(event("list-sa", sa(1)) + response())

    async with following(charon.path, limits) as (client, inbox):
        assert await inbox.snapshot() == set()
        charon.handlers["list-sas"] = late
        first = asyncio.create_task(client.resync())
        await asked.wait()
        second = asyncio.create_task(client.resync())
        charon.sas = [sa(2)]
        released.set()
        await asyncio.wait_for(first, 5)
        assert not second.done()
        await asyncio.wait_for(second, 5)
        assert (await inbox.snapshot(), await inbox.snapshot()) == ({1}, {2})


async def test_a_resync_ends_with_the_connection(charon: FakeCharon) -> None:
    limits = Limits(answer=5, part=5, alive=60, settle=60, retry_first=0.01, retry_max=0.05)
    async with following(charon.path, limits) as (client, inbox):
        await inbox.snapshot()
        waits = asyncio.create_task(client.resync())
        await asyncio.sleep(0)
        charon.hang_up()
        await inbox.lost()
        await asyncio.wait_for(waits, 5)


async def test_snapshots_are_taken_again(charon: FakeCharon) -> None:
    again = Limits(answer=5, part=5, alive=0.01, snapshot=0.02)
    async with following(charon.path, again) as (_, inbox):
        assert await inbox.snapshot() == set()
        charon.sas = [sa(4)]
        while await inbox.snapshot() != {4}:
            pass
    assert charon.connections == 1
    assert charon.asked.count("child-updown") == 1


async def test_a_charon_without_ike_update_is_followed(charon: FakeCharon) -> None:
    charon.unknown_events = {"ike-update"}
    with capture_logs() as logs:
        async with following(charon.path) as (_, inbox):
            assert await inbox.snapshot() == set()
    (warning,) = (entry["detail"] for entry in logs if entry["log_level"] == "warning")
    assert (
        f"charon 5.9.8 at {charon.path} has no event ike-update; vtid relies on list-sas" in warning
    )


async def test_a_charon_without_child_events_is_not(charon: FakeCharon) -> None:
    charon.unknown_events = {"child-rekey"}
    async with following(charon.path) as (_, inbox):
        assert "has no event child-rekey: vtid needs a newer" in await inbox.lost()


async def test_what_cannot_be_used_is_logged_once(charon: FakeCharon) -> None:
    bad = sa(5)
    bad["gw"]["remote-host"] = "%any"
    charon.sas = [sa(1), bad]
    with capture_logs() as logs:
        async with following(charon.path) as (_, inbox):
            assert await inbox.snapshot() == {1}
            charon.send(event("child-updown", {"up": "yes", **bad}) * 3 + child_down(1))
            assert await inbox.next() == ChildDown(1)
    warnings = [entry["detail"] for entry in logs if entry["log_level"] == "warning"]
    assert warnings == [
        "list-sa: gw/net-5: remote-host is no address: '%any'",
        "child-updown: gw: remote-host is no address: '%any'",
    ]


async def test_commands_can_be_run(charon: FakeCharon) -> None:
    async def stats(fake: FakeCharon) -> None:
        fake.send(child_down(1) + response(uptime={"running": "3 seconds"}))

    charon.handlers["stats"] = stats
    async with following(charon.path) as (client, inbox):
        with pytest.raises(ViciError, match="not connected"):
            await client.request("stats")
        await inbox.snapshot()
        assert await client.request("stats") == {"uptime": {"running": b"3 seconds"}}
        with pytest.raises(ViciError, match="has no command 'dance'"):
            await client.request("dance")
        with pytest.raises(ViciError, match="too long"):
            await client.request("x" * 300)
        assert await inbox.next() == ChildDown(1)


async def test_a_command_without_answer_costs_only_itself(charon: FakeCharon) -> None:
    late = asyncio.Event()

    async def hesitate(fake: FakeCharon) -> None:
        await late.wait()
        fake.send(response(late="yes"))

    charon.handlers["slow"] = hesitate
    limits = Limits(answer=0.2, part=5, alive=60)
    async with following(charon.path, limits) as (client, inbox):
        await inbox.snapshot()
        with pytest.raises(ViciError, match="did not answer 'slow'"):
            await client.request("slow")
        late.set()
        assert (await client.request("version"))["version"] == b"5.9.8"


async def test_who_waits_is_told_of_the_loss(charon: FakeCharon) -> None:
    async def hang_up(fake: FakeCharon) -> None:
        fake.hang_up()

    charon.handlers["stats"] = hang_up
    async with following(charon.path) as (client, inbox):
        await inbox.snapshot()
        with pytest.raises(ViciError, match="has ended"):
            await client.request("stats")


async def test_cancelling_closes_the_connection(charon: FakeCharon) -> None:
    async with following(charon.path) as (_, inbox):
        await inbox.snapshot()
    await asyncio.wait_for(charon.closed.wait(), 5)


def test_attempts_are_further_and_further_apart() -> None:
    limits = Limits()
    for attempt, longest in enumerate([0.25, 0.5, 1, 2, 4, 8, 10, 10]):
        delays = [limits.delay(attempt) for _ in range(50)]
        assert longest / 2 <= min(delays) < max(delays) <= longest
    assert limits.delay(10_000) <= limits.retry_max


async def test_a_flood_of_alerts_is_dropped_and_other_events_are_not(charon: FakeCharon) -> None:
    async with following(charon.path) as (_, inbox):
        await inbox.snapshot()
        flood = event("alert", {"type": "invalid-ike-spi"}) * (20 * ALERTS_A_SECOND)
        charon.send(flood + child_down(1))
        alerts = 0
        while isinstance(await inbox.next(), Alert):
            alerts += 1
        assert ALERTS_A_SECOND <= alerts <= 3 * ALERTS_A_SECOND  # the second may end meanwhile


async def test_a_charon_without_alerts_is_followed_without_a_word(charon: FakeCharon) -> None:
    charon.unknown_events = {"alert"}
    with capture_logs() as logs:
        async with following(charon.path) as (_, inbox):
            await inbox.snapshot()
    assert [each["event"] for each in logs if "lacks" in each["event"]] == []
