"""Whoever waits for what the kernel has said does not wait for what it says meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from vtid.kernel import wire as nl
from vtid.kernel.observe import Watch, marked
from vtid.model.link import LINK_GROUP

if TYPE_CHECKING:
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


def test_only_an_answer_is_a_mark() -> None:
    assert marked(nl.Request(nl.NLMSG_ERROR, 0, bytes(20)).encode(7)) == 7
    assert marked(event(7)) == 0
    assert marked(b"") == 0
