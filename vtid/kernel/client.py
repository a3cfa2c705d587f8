"""Kernel: watch namespaces, execute operations, read counters. An edge.

Rules of this file:

* On the event loop; requests and dumps run in the namespaces' threads.
* A namespace in trouble fails its own operations and no others.
* The result of an operation comes after the inputs about its effects.
* What only adds goes ahead of what waits to be deleted or changed. What of it fails, because keys,
  addresses or a route are still there, is tried again behind that, and only then explained.
* Nobody asks for a tunnel's operations before the last ones are answered: those do not overtake.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from vtid.combine import Combined, Lane
from vtid.kernel.apply import OpTaken, Worker
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
    ProbeUnderlay,
    SetLink,
    SetUp,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from vtid.kernel.apply import Answer
    from vtid.model.counts import LinkCounters
    from vtid.model.input import Input, OpDone, UnderlaySeen
    from vtid.model.link import Link
    from vtid.model.operation import Op
    from vtid.netns import Namespaces, NetnsThread


Line: TypeAlias = "Combined[Op, tuple[NetnsThread, Answer], OpDone | OpFailed]"
"""The calls for one namespace: those that come while its thread works become pieces."""

ADDS = frozenset({CreateLink, AddAddress, SetUp, AddRoute})
"""What only adds, unless it sets a link down; what is to go may still be in its way."""


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
        self._ordered = self._settled = 0
        """Calls that keep their order, in all namespaces: that came so far, that are answered."""

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
        """Carry out operations: those of a tunnel in order, namespaces side by side.

        What only adds may overtake earlier calls. Results are in the order of `ops`. Their effects
        have been posted before this returns.
        """
        places: dict[str, list[int]] = {}
        for place, op in enumerate(ops):
            places.setdefault(_netns(op), []).append(place)
        if len(places) == 1:
            return list(await self._execute_in(next(iter(places)), ops))
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
        line, lane = self._lines[netns], _lane(ops)
        ordered = lane is Lane.ORDERED
        self._ordered += ordered
        try:
            results = await (self._ahead(line, ops) if lane is Lane.NEW else _run(line, ops, lane))
        finally:
            self._settled += ordered
        if OpTaken in set(map(type, results)):
            return await self._explained(netns, results)
        return results

    async def _ahead(self, line: Line, ops: Sequence[Op]) -> Sequence[OpDone | OpFailed]:
        """Carry out what only adds ahead of what waits in order; again behind it what fails.

        What has its outer addresses may be about to go in any namespace.
        """
        settled = self._settled
        results = await _run(line, ops, Lane.NEW)
        failed = [place for place, each in enumerate(results) if isinstance(each, OpFailed)]
        if not failed or self._ordered == settled:
            return results
        others = [each for each in self._lines.values() if each is not line and not each.idle]
        await asyncio.gather(*(_run(each, (), Lane.ORDERED) for each in others))
        again = await _run(line, [ops[place] for place in failed], Lane.ORDERED)
        found = dict(enumerate(results)) | dict(zip(failed, again, strict=True))
        return list(found.values())

    async def _work(self, netns: str, ops: Sequence[Op]) -> tuple[NetnsThread, Answer]:
        thread = self._workers.thread(netns)
        work = self._workers.use(thread, lambda worker: worker.run(ops))
        if not netns:
            return thread, await work
        async with self._passage([op.link.name for op in ops if isinstance(op, CreateLink)]):
            return thread, await work

    async def _finish(
        self, netns: str, done: tuple[NetnsThread, Answer]
    ) -> Sequence[OpDone | OpFailed]:
        thread, answer = done
        await self._echo(netns, thread, answer)
        return answer.results

    async def _echo(self, netns: str, thread: NetnsThread, answer: Answer) -> None:
        """Post what the kernel says of what was done: events, then answers about silent changes."""
        for seen in (*answer.seen, *answer.known):
            self._post(seen)
        watch = self._watches.get(netns)
        if watch is None or answer.only_looked:
            return
        if answer.touched:
            await thread.call(watch.ask(thread, answer.touched))
        await watch.catch_up()

    @asynccontextmanager
    async def _passage(self, names: Sequence[str]) -> AsyncIterator[None]:
        """Make the watch over vtid's own namespace ignore links on their way to another."""
        self._passing.extend(names)
        try:
            yield
            if names and "" in self._watches:
                await self._watches[""].catch_up()
        finally:
            for name in names:
                self._passing.remove(name)

    async def _explained(
        self, netns: str, results: Sequence[OpDone | OpFailed]
    ) -> Sequence[OpDone | OpFailed]:
        """Name what has the outer addresses, or the name, of each link that was refused for it."""
        taken = {at: one for at, one in enumerate(results) if isinstance(one, OpTaken)}
        links = [one.link for one in taken.values()]
        words = [""] * len(links)
        for where in dict.fromkeys((netns, "", *self._watches)):
            if all(words):
                break
            with suppress(*TROUBLES):
                thread = self._workers.thread(where)
                more = await self._workers.use(thread, partial(_holders, links, where))
                words = [known or new for known, new in zip(words, more, strict=True)]
        found: dict[int, OpDone | OpFailed] = dict(enumerate(results))
        for (at, one), known in zip(taken.items(), words, strict=True):
            found[at] = OpFailed(one.op, f"{one.error}: {known}" if known else one.error)
        return list(found.values())


async def _run(line: Line, ops: Sequence[Op], lane: Lane) -> Sequence[OpDone | OpFailed]:
    """Carry out operations in a lane; trouble fails all of them."""
    try:
        return await line.run(ops, lane)
    except TROUBLES as error:
        return [OpFailed(op=op, error=str(error)) for op in ops]


def _holders(links: Sequence[Link], netns: str, worker: Worker) -> list[str]:
    return worker.holders(links, netns)


def _netns(op: Op) -> str:
    """Namespace an operation is carried out in; that of the outer addresses for a probe."""
    match op:
        case CreateLink(link=link) | AdoptLink(link=link) | SetLink(link=link):
            return link.netns
        case DeleteLink() | SetUp() | AddAddress() | DeleteAddress() | AddRoute() | DeleteRoute():
            return op.netns
        case _:
            return ""


def _lane(ops: Sequence[Op]) -> Lane:
    """Where operations wait: what deletes or changes something keeps its order."""
    kinds = set(map(type, ops))
    if kinds <= {ProbeUnderlay}:
        return Lane.LOOKS
    down = any(not op.up for op in ops if isinstance(op, SetUp))
    return Lane.NEW if kinds <= ADDS and not down else Lane.ORDERED
