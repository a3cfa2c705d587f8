"""When the watch over a namespace looks for events, and when it lets them gather."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.kernel.test_follow import event
from vtid.kernel import observe
from vtid.kernel.observe import Watch
from vtid.model.input import Input, LinkSeen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

MANY = 400


class Watched:
    """A watch over events that no kernel sends: `ours` is readable while there are any."""

    def __init__(self) -> None:
        self.ours, self.kernel = socket.socketpair()
        self.events = deque[bytes]()
        self.told = asyncio.Queue[Input]()
        self.looks = 0
        thread: Any = object()
        workers: Any = SimpleNamespace(thread=lambda _: thread, success_at={})
        self.watch = Watch("", workers, self.told.put_nowait)
        self.watch._thread, self.watch._events, self.watch._due = thread, self.ours, False

    def send(self, event: bytes) -> None:
        self.events.append(event)
        self.kernel.send(b"!")

    def read(self, events: socket.socket) -> bytes | None:
        if self.events:
            events.recv(1)
            return self.events.popleft()
        self.looks += 1
        return None

    async def next_index(self) -> int:
        async with asyncio.timeout(20):
            seen = await self.told.get()
        assert isinstance(seen, LinkSeen)
        return seen.ifindex


@asynccontextmanager
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    found = Watched()
    monkeypatch.setattr(observe, "read_event", found.read)
    task = asyncio.create_task(found.watch._follow())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        found.ours.close()
        found.kernel.close()


async def test_one_event_is_read_at_once_and_whoever_asks_waits_for_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observe, "FIRST_REST", 1000.0)
    async with watched(monkeypatch) as one:
        one.send(event(2))
        assert await one.next_index() == 2
        one.send(event(3))
        await one.watch.catch_up()
        assert await one.next_index() == 3


async def test_what_keeps_coming_is_read_in_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched(monkeypatch) as one:
        for index in range(1, MANY + 1):
            one.send(event(index))
            await asyncio.sleep(0.001)
        assert [await one.next_index() for _ in range(MANY)] == [*range(1, MANY + 1)]
        assert one.looks < MANY / 4
