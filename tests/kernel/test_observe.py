"""Whoever waits for what the kernel has said does not wait for what it says meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.test_follow import address, route
from vtid.kernel import observe
from vtid.kernel import wire as nl
from vtid.kernel.dumps import Dump
from vtid.kernel.observe import Watch, marked
from vtid.model.input import UnderlayChanged
from vtid.model.link import LINK_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.model.input import Input


def event(ifindex: int) -> bytes:
    """Return a link of ours that is new or has changed."""
    body = (
        nl.LINK.pack(0, 0, ifindex, 0, 0)
        + nl.string(nl.IFLA_IFNAME, f"t{ifindex}")
        + nl.attribute(nl.IFLA_GROUP, nl.U32.pack(LINK_GROUP))
    )
    return nl.Request(nl.RTM_NEWLINK, 0, body).encode(0)


class Chatter:
    """Stands for an event socket of a kernel that says something more at each look."""

    def __init__(self, said: int, *, loses: bool = False) -> None:
        self.queue = deque(event(number) for number in range(1, said + 1))
        self.loses = loses
        """Whether answers do not fit into the buffer, and the kernel is silent then."""

    def send(self, data: bytes) -> None:
        (message,) = nl.split(data)
        assert message.flags == nl.NLM_F_REQUEST | nl.NLM_F_ACK
        if not self.loses:
            answer = nl.Request(nl.NLMSG_ERROR, 0, nl.S32.pack(0) + data[: nl.HEADER.size])
            self.queue.append(answer.encode(message.seq))

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[int, int]]:
        if not self.queue:
            raise BlockingIOError
        if not self.loses:
            self.queue.append(event(1000))
        return self.queue.popleft(), (0, 0)


class Quiet(Chatter):
    """The same, of a kernel that says nothing more."""

    def recvfrom(self, _size: int) -> tuple[bytes, tuple[int, int]]:
        if not self.queue:
            raise BlockingIOError
        return self.queue.popleft(), (0, 0)


def watch(events: Chatter, told: list[Input]) -> Watch:
    workers: Any = None
    found = Watch("", workers, told.append)
    vars(found).update(_events=events, _due=False)
    return found


async def test_it_waits_for_what_was_said_before_and_no_more() -> None:
    told: list[Input] = []
    one = watch(Chatter(100), told)
    async with asyncio.timeout(10):
        await one.catch_up()
        assert len(told) == 100
        await asyncio.gather(one.catch_up(), one.catch_up())
    assert 200 <= len(told) < 400


async def test_an_answer_that_is_lost_is_not_waited_for() -> None:
    told: list[Input] = []
    async with asyncio.timeout(10):
        await watch(Chatter(100, loses=True), told).catch_up()
    assert len(told) == 100


FOREIGN = 1000


@pytest.mark.parametrize(
    ("rests", "told"),
    [
        ([address(FOREIGN)], True),
        ([route(FOREIGN)], True),
        ([event(2), address(2), route(2)], False),
        ([], False),
    ],
)
async def test_what_rests_before_a_dump_tells_of_a_changed_underlay(
    monkeypatch: pytest.MonkeyPatch,
    rests: list[bytes],
    told: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(observe, "COALESCE", 0.0)

    async def call(work: Callable[..., Any], *args: object) -> object:
        return work(*args)

    async def dump(_thread: object, _work: object) -> Dump:
        return Dump([event(2)])

    inputs: list[Input] = []
    thread, events = SimpleNamespace(call=call), Quiet(0)
    workers: Any = SimpleNamespace(thread=lambda _: thread, dumps=Counter(), use=dump)
    one = Watch("", workers, inputs.append)
    vars(one).update(_thread=thread, _events=events, _due=False)
    await one.resync()
    events.queue += rests
    await one.resync()
    await asyncio.sleep(0.01)
    assert (UnderlayChanged() in inputs) is told
    assert workers.dumps[""] == 2


def test_only_an_answer_is_a_mark() -> None:
    assert marked(nl.Request(nl.NLMSG_ERROR, 0, bytes(20)).encode(7)) == 7
    assert marked(event(7)) == 0
    assert marked(b"") == 0
