"""Kernel: watch namespaces, execute operations, read counters. An edge.

Rules of this file:

* On the event loop; requests and dumps run in the namespaces' threads.
* A namespace in trouble fails its own operations and no others.
* The result of an operation comes after the inputs about its effects.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from vtid.kernel.apply import Worker
from vtid.kernel.combine import Combined
from vtid.kernel.dumps import read_stats
from vtid.kernel.observe import TROUBLES, Watch
from vtid.kernel.stats import read_xfrm_stat
from vtid.kernel.workers import Workers
from vtid.model.input import OpFailed
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    AdoptLink,
    CreateLink,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    SetLink,
    SetUp,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from vtid.kernel.apply import Answer
    from vtid.model.counts import LinkCounters
    from vtid.model.input import Input, OpDone, UnderlaySeen
    from vtid.model.link import Link
    from vtid.model.operation import Op, ProbeUnderlay
    from vtid.netns import Namespaces, NetnsThread


Line: TypeAlias = "Combined[Op, tuple[NetnsThread, Answer], OpDone | OpFailed]"
"""The calls for one namespace: those that come while its thread works become one."""


class Kernel:
    """rtnetlink in all namespaces; `post` takes the inputs, on the event loop.

    `left` is told of each namespace that is not followed any more: gone, replaced, or in trouble.
    """

    def __init__(
        self,
        namespaces: Namespaces,
        post: Callable[[Input], None],
        left: Callable[[str], None] = lambda _netns: None,
    ) -> None:
        self._workers = Workers(namespaces)
        self._post = post
        self._left = left
        self._watches: dict[str, Watch] = {}
        self._passing: list[str] = []
        self._raised: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
        self._lines: dict[str, Line] = {}

    @property
    def writes(self) -> int:
        """Requests sent so far that change something in the kernel."""
        return self._workers.writes

    @property
    def dumps(self) -> Mapping[str, int]:
        """Listings of all links so far, by namespace."""
        return self._workers.dumps

    @property
    def overruns(self) -> Mapping[str, int]:
        """Times that the kernel dropped events because too many waited, by namespace."""
        return {netns: self._workers.overruns[netns] for netns in self._workers.dumps}

    @property
    def success_at(self) -> Mapping[str, float]:
        """Unix time at which each namespace was followed last, by its name."""
        return self._workers.success_at

    def raised(self, netns: str) -> set[tuple[int, int]]:
        """Indexes of links in a namespace whose MTU is raised for a probe, with that MTU."""
        return self._raised[netns]

    async def watch(self, netns: str) -> None:
        """Post what happens to links of ours in a namespace, until cancelled.

        A `LinkSnapshot` first, and again whenever events were lost; `NetnsLost` when the namespace
        cannot be watched. In vtid's own namespace (""), `UnderlayChanged` as well.
        """
        passing = () if netns else self._passing
        watch = self._watches[netns] = Watch(
            netns, self._workers, self._post, passing, self._raised[netns]
        )
        try:
            await watch.run(self._left)
        finally:
            if self._watches.get(netns) is watch:
                del self._watches[netns]

    async def resync(self, netns: str) -> None:
        """Dump again, for changes by others without an event: alias, settings, keys of a link down.

        Does nothing for a namespace that is not watched.
        """
        if netns in self._watches:
            await self._watches[netns].resync()

    async def execute(self, ops: Sequence[Op]) -> list[OpDone | OpFailed]:
        """Carry out operations: in order within a namespace, namespaces side by side.

        Results are in the order of `ops`. Their effects have been posted before this returns.
        """
        places: dict[str, list[int]] = {}
        for place, op in enumerate(ops):
            places.setdefault(_netns(op), []).append(place)
        parts = await asyncio.gather(
            *(self._execute_in(netns, [ops[at] for at in mine]) for netns, mine in places.items())
        )
        results = {
            place: result
            for mine, part in zip(places.values(), parts, strict=True)
            for place, result in zip(mine, part, strict=True)
        }
        return [results[place] for place in range(len(ops))]

    async def look_up(self, ops: Sequence[ProbeUnderlay]) -> list[UnderlaySeen]:
        """Look up paths for whoever asks, and post nothing; empty where that cannot be done."""
        with suppress(*TROUBLES):
            return await self._workers.use(
                self._workers.thread(""), lambda worker: worker.look_up(ops)
            )
        return []

    async def counters(self, netns: str) -> dict[int, LinkCounters]:
        """Counters of our links in a namespace by interface index; empty where not watched.

        Raises `NetnsError` where the namespace cannot be entered.
        """
        watch = self._watches.get(netns)
        if watch is None:
            return {}
        ours = watch.ours

        def read(worker: Worker) -> dict[int, LinkCounters]:
            stats = read_stats(worker.dump_stats())
            return {ifindex: counters for ifindex, counters in stats if ifindex in ours}

        return await self._workers.use(self._workers.thread(netns), read)

    async def learnt(self) -> dict[str, frozenset[int]]:
        """Path MTUs that the kernel learnt in vtid's own namespace, by peer.

        Raises OSError or `Refused` where it does not list them.
        """
        return await self._workers.use(self._workers.thread(""), Worker.learnt)

    async def xfrm_stat(self, netns: str) -> dict[str, int]:
        """Packets that IPsec dropped in a namespace, by the reason.

        Raises `NetnsError` where the namespace cannot be entered, OSError where it cannot be read.
        """
        return read_xfrm_stat(
            await self._workers.use(self._workers.thread(netns), Worker.xfrm_stat)
        )

    async def _execute_in(self, netns: str, ops: Sequence[Op]) -> Sequence[OpDone | OpFailed]:
        if netns not in self._lines:
            self._lines[netns] = Combined(partial(self._work, netns), partial(self._finish, netns))
        try:
            return await self._lines[netns].run(ops)
        except TROUBLES as error:
            return [OpFailed(op=op, error=str(error)) for op in ops]

    async def _work(self, netns: str, ops: Sequence[Op]) -> tuple[NetnsThread, Answer]:
        thread = self._workers.thread(netns)
        async with self._passage(netns, ops):
            return thread, await self._workers.use(thread, lambda worker: worker.run(ops))

    async def _finish(
        self, netns: str, done: tuple[NetnsThread, Answer]
    ) -> Sequence[OpDone | OpFailed]:
        thread, answer = done
        await self._echo(netns, thread, answer)
        for place in answer.taken:
            answer.results[place] = await self._explain(answer.results[place])
        return answer.results

    async def _echo(self, netns: str, thread: NetnsThread, answer: Answer) -> None:
        """Post what the kernel says of what was done: events, then answers about silent changes."""
        for seen in (*answer.seen, *answer.known):
            self._post(seen)
        watch = self._watches.get(netns)
        if watch is None:
            return
        if answer.touched:
            await thread.call(watch.ask(thread, answer.touched))
        await watch.catch_up()

    @asynccontextmanager
    async def _passage(self, netns: str, ops: Sequence[Op]) -> AsyncIterator[None]:
        """Make the watch over vtid's own namespace ignore links on their way to another."""
        names = [op.link.name for op in ops if netns and isinstance(op, CreateLink)]
        self._passing.extend(names)
        try:
            yield
            if names and "" in self._watches:
                await self._watches[""].catch_up()
        finally:
            for name in names:
                self._passing.remove(name)

    async def _explain(self, result: OpDone | OpFailed) -> OpDone | OpFailed:
        """Name the link that has the outer addresses, or the name, of one that was refused."""
        op = result.op
        if not isinstance(result, OpFailed) or not isinstance(op, CreateLink | SetLink):
            return result
        for netns in dict.fromkeys((op.link.netns, "", *self._watches)):
            with suppress(*TROUBLES):
                words = await self._workers.use(
                    self._workers.thread(netns), partial(_holder, op.link, netns)
                )
                if words:
                    return OpFailed(op=op, error=f"{result.error}: {words}")
        return result


def _holder(link: Link, netns: str, worker: Worker) -> str:
    return worker.holder(link, netns)


def _netns(op: Op) -> str:
    """Namespace an operation is carried out in; that of the outer addresses for a probe."""
    match op:
        case CreateLink(link=link) | AdoptLink(link=link) | SetLink(link=link):
            return link.netns
        case DeleteLink() | SetUp() | AddAddress() | DeleteAddress() | AddRoute() | DeleteRoute():
            return op.netns
        case _:
            return ""
