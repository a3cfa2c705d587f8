"""MSS clamping in every namespace: runs operations, and notices changes by other programs.

Rules of this file:

* Everything that talks to nftables runs in the namespace's thread for it; the loop only waits for
  the event socket. The content of events is ignored: each one is a reason to ask whether the
  ruleset is still the one that vtid knows.
* What waits for the thread of a namespace becomes pieces (`combine.py`), each of them one
  transaction, or one for each operation where that is refused.
* After a change by another program (`nft flush ruleset`, a firewall's reload) the table is read
  again and posted as a snapshot; restoring it is the core's decision.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import structlog

from vtid.combine import Combined
from vtid.model.input import ClampSnapshot, Input, OpDone, OpFailed
from vtid.model.levels import Subsystem
from vtid.model.operation import DeleteClamp, Op, SetClamp
from vtid.netns import Namespaces, NetnsError, NetnsThread
from vtid.nft.counters import Growth
from vtid.nft.library import NftError, open_events
from vtid.nft.ruleset import RulesetError
from vtid.nft.table import Table

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

log = structlog.get_logger(Subsystem.NFT)

COALESCE = 0.1
"""Seconds in which transactions are taken together before the ruleset is read again."""

LOOK_AGAIN = 10.0
"""Seconds without an event after which the namespace itself is looked at."""

RETRY = 5.0
"""Seconds until a namespace that could not be watched is tried again."""

EVENT_BUFFER = 65536

Answer: TypeAlias = tuple[list[OpDone | OpFailed], int]
"""Results, and how many transactions wrote something."""


class Nft:
    """The tables `inet vtid`, one in each namespace that needs it."""

    def __init__(self, namespaces: Namespaces, post: Callable[[Input], None]) -> None:
        self._namespaces = namespaces
        self._post = post
        self._lines: dict[str, Combined[Op, Answer, OpDone | OpFailed]] = {}
        self.transactions = 0
        """Transactions that wrote something, in all namespaces."""
        self.up: dict[str, bool] = {}
        """Whether the ruleset of a namespace can be watched, by its name."""
        self.success_at: dict[str, float] = {}
        """Unix time at which nftables answered last, by namespace."""
        self.clamped: dict[str, Growth] = {}
        """Packets that were clamped, by namespace."""

    async def execute(self, ops: Sequence[Op]) -> list[OpDone | OpFailed]:
        """Run SetClamp and DeleteClamp, namespaces side by side; never raises for a peer."""
        by_netns: dict[str, list[Op]] = {}
        for op in ops:
            by_netns.setdefault(_netns(op), []).append(op)
        batches = [self._execute_in(netns, batch) for netns, batch in by_netns.items()]
        return [result for batch in await asyncio.gather(*batches) for result in batch]

    async def _execute_in(self, netns: str, ops: list[Op]) -> Sequence[OpDone | OpFailed]:
        if netns not in self._lines:
            self._lines[netns] = Combined(partial(self._work, netns), self._finish)
        try:
            return await self._lines[netns].run(ops)
        except (NetnsError, NftError, RulesetError) as error:
            return [OpFailed(op, str(error)) for op in ops]

    async def _work(self, netns: str, ops: Sequence[Op]) -> Answer:
        return await self._namespaces.thread(netns).use(Table, Table.execute, ops)

    async def _finish(self, answer: Answer) -> Sequence[OpDone | OpFailed]:
        results, transactions = answer
        self.transactions += transactions
        return results

    async def watch(self, netns: str) -> None:
        """Post a snapshot at first and after each change by another program, until cancelled."""
        told = ""
        while True:
            try:
                await self._follow(netns)
                told = ""
            except NetnsError:
                pass  # the kernel edge reports it, with the way out
            except (NftError, RulesetError) as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("nftables unavailable", netns=netns, error=told)
                    self._post(ClampSnapshot(netns, ()))
            self.up[netns] = False
            await asyncio.sleep(RETRY)

    async def resync(self, netns: str) -> None:
        """List the elements of a namespace again and post them, if they can be listed."""
        with suppress(NetnsError, NftError, RulesetError):  # watch() tells why not
            thread = self._namespaces.thread(netns)
            self._post(ClampSnapshot(netns, await thread.use(Table, Table.snapshot)))

    async def count(self, netns: str) -> None:
        """Read how many packets were clamped; leave it as it was where that cannot be read."""
        with suppress(NetnsError, NftError):
            packets = await self._namespaces.thread(netns).use(Table, Table.clamped)
            self.clamped.setdefault(netns, Growth()).read(packets)

    async def _follow(self, netns: str) -> None:
        """Watch one namespace until it is replaced."""
        thread = self._namespaces.thread(netns)
        events = await thread.call(open_events)
        try:
            self._post(ClampSnapshot(netns, await thread.use(Table, Table.snapshot)))
            self._answered(netns)
            while True:
                await _transaction(events)
                if self._namespaces.thread(netns) is not thread:
                    return
                await self._tell_news(netns, thread)
                self._answered(netns)
        finally:
            events.close()

    def _answered(self, netns: str) -> None:
        self.up[netns], self.success_at[netns] = True, time.time()

    async def _tell_news(self, netns: str, thread: NetnsThread) -> None:
        clamps = await thread.use(Table, Table.news)
        if clamps is not None:
            self._post(ClampSnapshot(netns, clamps))


def _netns(op: Op) -> str:
    if isinstance(op, SetClamp | DeleteClamp):
        return op.netns
    raise TypeError(f"not an operation of nftables': {op}")


async def _transaction(events: socket.socket) -> None:
    """Wait for a transaction, and a moment longer for those that follow it at once."""
    loop = asyncio.get_running_loop()
    with suppress(TimeoutError, OSError):  # ENOBUFS: more events than fit, so there were some
        async with asyncio.timeout(LOOK_AGAIN):
            await loop.sock_recv(events, EVENT_BUFFER)
            await asyncio.sleep(COALESCE)
    with suppress(OSError):  # EAGAIN: all are read
        while events.recv(EVENT_BUFFER):
            pass
