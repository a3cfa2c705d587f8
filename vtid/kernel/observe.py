"""Observe: from the events of one namespace to inputs, in the kernel's order. An edge.

Rules of this file:

* It runs on the event loop and never blocks it: dumps run in the namespace's thread, and events
  that have arrived are read some at a time.
* The first event is read at once. While more keep coming, they are left to gather between two
  looks: a wake-up for each message of a storm costs more than reading it. Whoever waits for what
  the kernel said of his own doing reads at once (`catch_up`).
* One socket carries events and the answers about links we changed (`ask`), so inputs are in the
  kernel's order. There is no event for a changed alias, or for new keys of a link that is down.
* Events that rest before a dump are worthless, but for what they say of the underlay.
* Whoever waits for what the kernel has said waits for that alone, and not until it is silent: an
  empty request marks the place in the queue, because its answer comes behind what is there.

    open ─▶ dump ─▶ LinkSnapshot ─▶ events ─▶ inputs
     ▲        ▲                       │ ENOBUFS, stale
     │        └───────────────────────┤
     └── NetnsLost, back-off ◀────────┘ namespace deleted, or made anew
"""

from __future__ import annotations

import asyncio
import errno
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.apply import Worker
from vtid.kernel.follow import Follower
from vtid.kernel.sockets import (
    AT_ONCE,
    LINK_EVENTS,
    ROUTE_EVENTS,
    SETTING_EVENTS,
    Refused,
    open_events,
    read_event,
)
from vtid.model.input import NetnsLost, UnderlayChanged
from vtid.netns import NetnsError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection, Iterable

    from vtid.kernel.workers import Workers
    from vtid.model.input import Input
    from vtid.netns import NetnsThread

FIRST_RETRY = 0.25
LAST_RETRY = 5.0
"""Seconds until a lost namespace is looked for again: doubling from the first to the last."""

LOOK = 1.0
"""Seconds between looks whether a quiet namespace still is the one of its name."""

FIRST_REST = 0.005
LONGEST_REST = 0.1
"""Seconds between two looks while events keep coming: doubling from the first to the last.

The socket's buffer holds what comes in the longest.
"""

COALESCE = 0.2
"""Seconds to wait for further route changes before `UnderlayChanged` is posted."""

FIRST_MARK = 1
"""Number of the questions of `ask`; those of marks are higher."""

SLICE = 64
"""Datagrams read before other tasks get their turn: about half a millisecond of work."""

TROUBLES = (NetnsError, Refused, OSError, nl.MessageError)
"""What can happen to a namespace while it is watched."""


class Watch:
    """The watch over one namespace. `passing` and `raised`: see `Follower`."""

    def __init__(
        self,
        netns: str,
        workers: Workers,
        post: Callable[[Input], None],
        passing: Collection[str] = (),
        raised: set[tuple[int, int]] | None = None,
    ) -> None:
        self._netns = netns
        self._workers = workers
        self._post = post
        self._passing = passing
        self._raised = raised
        self._lock = asyncio.Lock()
        self._thread: NetnsThread | None = None
        self._events: socket.socket | None = None
        self._follower = Follower(netns)
        self._due = True
        self._mark = self._reached = FIRST_MARK
        self._announcing: asyncio.TimerHandle | None = None

    @property
    def ours(self) -> frozenset[int]:
        """Indexes of the links of ours."""
        return frozenset(self._follower.ours)

    async def run(self, left: Callable[[str], None]) -> None:
        """Watch until cancelled; `left` is told whenever the namespace is no longer followed."""
        retry, lost = FIRST_RETRY, ""
        while True:
            try:
                await self._open()
                retry, lost = FIRST_RETRY, ""
                await self._follow()
            except TROUBLES as error:
                if str(error) != lost:
                    lost = str(error)
                    self._post(NetnsLost(netns=self._netns, reason=lost))
            finally:
                self._close()
                left(self._netns)
            await asyncio.sleep(retry)
            retry = min(retry * 2, LAST_RETRY)

    async def resync(self) -> None:
        """Dump now; where that fails, as soon as it is possible."""
        self._due = True
        await self.catch_up()

    async def catch_up(self) -> None:
        """Post what the kernel has said up to now."""
        with suppress(*TROUBLES):  # the run itself meets them again and tells
            await self._catch_up()

    def ask(self, thread: NetnsThread, ifindexes: Iterable[int]) -> Callable[[], None]:
        """Return the work, for that thread, of asking for links; `catch_up` posts the answers."""
        events = self._events if thread is self._thread else None

        def send() -> None:
            if events is None:
                return
            with suppress(OSError):  # closed meanwhile: the next snapshot tells
                questions = [asks.get_link(ifindex).encode(FIRST_MARK) for ifindex in ifindexes]
                for at in range(0, len(questions), AT_ONCE):
                    events.send(b"".join(questions[at : at + AT_ONCE]))

        return send

    async def _open(self) -> None:
        thread = self._workers.thread(self._netns)
        groups = LINK_EVENTS | SETTING_EVENTS | ROUTE_EVENTS
        # the underlay is in vtid's own; elsewhere a BIRD may have a full table
        self._events = await thread.call(open_events, groups, only_our_routes=bool(self._netns))
        self._thread = thread
        nsid = await self._workers.use(thread, Worker.own_nsid) if self._netns else None
        self._follower = Follower(self._netns, nsid, self._passing, self._raised)
        self._due = True
        await self._catch_up()

    def _close(self) -> None:
        if self._announcing:
            self._announcing.cancel()
            self._announcing = None
        if self._events:
            self._events.close()
        self._events = self._thread = None

    async def _follow(self) -> None:
        rest, loop = FIRST_REST, asyncio.get_running_loop()
        while self._workers.thread(self._netns) is self._thread:
            self._workers.success_at[self._netns] = time.time()
            idle_since = loop.time()
            await self._readable()
            came_at_once = loop.time() - idle_since < rest
            await self._catch_up()
            rest = min(2 * rest, LONGEST_REST) if came_at_once else FIRST_REST
            await asyncio.sleep(rest)

    async def _readable(self) -> None:
        """Wait for an event, or until it is time to look after the namespace."""
        loop, events = asyncio.get_running_loop(), self._events
        assert events  # noqa: S101 - open as long as it is followed
        arrived = asyncio.Event()
        loop.add_reader(events, arrived.set)
        try:
            async with asyncio.timeout(LOOK):
                await arrived.wait()
        except TimeoutError:
            return
        finally:
            loop.remove_reader(events)

    async def _catch_up(self) -> None:
        mark = self._set_mark()
        async with self._lock:
            await self._drain(mark)
            while self._events and (self._due or self._follower.doubtful):
                await self._ask_again()
                await self._drain(self._set_mark())
        self._announce()

    def _set_mark(self) -> int:
        """Have the kernel answer behind what it has said up to now; return the answer's number.

        The kernel takes no lock for a request without content.
        """
        self._mark += 1
        if self._events:
            with suppress(OSError):  # then everything is read
                self._events.send(asks.MARK.encode(self._mark))
        return self._mark

    async def _ask_again(self) -> None:
        """Ask for what the events did not tell."""
        thread = self._thread
        if self._due or thread is None:
            await self._dump()
        else:
            await thread.call(self.ask(thread, self._follower.take_doubtful()))

    async def _drain(self, mark: int) -> None:
        """Feed what has arrived before a mark, some at a time; an overrun makes a dump due."""
        count = 0
        while self._events and not self._due and self._reached < mark:
            try:
                datagram = read_event(self._events)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._workers.overruns[self._netns] += 1
                self._due = self._follower.underlay_changed = True
                return
            if datagram is None:
                return
            self._reached = max(self._reached, marked(datagram))
            for each in self._follower.feed(datagram):
                self._post(each)
            self._due |= self._follower.stale
            count += 1
            if count % SLICE == 0:
                await asyncio.sleep(0)

    async def _dump(self) -> None:
        thread, events = self._thread, self._events
        if thread is None or events is None:
            return
        # nobody else feeds the follower meanwhile: see the lock
        await thread.call(_discard, events, self._follower)
        dump = await self._workers.use(thread, Worker.dump)
        if self._events is not events:
            return
        snapshot = await asyncio.to_thread(self._follower.snapshot, dump)
        if self._events is not events:
            return
        self._due = False
        self._workers.dumps[self._netns] += 1
        self._post(snapshot)

    def _announce(self) -> None:
        """Post `UnderlayChanged` soon, and once for all changes until then."""
        if self._netns or self._announcing or not self._follower.underlay_changed:
            return

        def announce() -> None:
            self._announcing = None
            self._follower.underlay_changed = False
            self._post(UnderlayChanged())

        self._announcing = asyncio.get_running_loop().call_later(COALESCE, announce)


def marked(datagram: bytes) -> int:
    """Return the number of the mark that a datagram is the answer to, 0 for any other."""
    if len(datagram) < nl.HEADER.size:
        return 0
    _, kind, _, number, _ = nl.HEADER.unpack_from(datagram)
    return number if kind == nl.NLMSG_ERROR else 0


def _discard(events: socket.socket, follower: Follower) -> None:
    """Empty the socket: after an overrun the kernel queues nothing until it is empty.

    A dump tells all that was in it, but for changes of the underlay.
    """
    while True:
        try:
            datagram = read_event(events)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            follower.underlay_changed = True
            continue
        if datagram is None:
            return
        if not follower.underlay_changed:
            follower.feed(datagram)
