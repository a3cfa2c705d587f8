"""Rehearse: what a reload with another configuration would do, without doing it. An edge.

Rules of this file:

* The loop is held for as long as `State.memory` takes; all else runs in worker threads.
* One rehearsal at a time: each has a state of its own in memory.
* Paths to peers that are new are looked up in the kernel, which changes nothing there.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.bird.quote import RenderError
from vtid.config.changes import changes
from vtid.config.documents import Source
from vtid.config.load import ConfigError
from vtid.core.rehearsal import Rehearsal
from vtid.daemon import config_file
from vtid.daemon.bird_files import change_anew, changes_of_birds
from vtid.daemon.reload import describe, left_out, usable
from vtid.http.api import Plan
from vtid.model.operation import ProbeUnderlay
from vtid.printable import escape
from vtid.turns import no_collections

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence

    from vtid.bird.client import Bird
    from vtid.config.keys import Bird as BirdConfig
    from vtid.config.keys import Config
    from vtid.config.keys import Daemon as DaemonConfig
    from vtid.core.memory import Memory
    from vtid.core.state import State
    from vtid.http.api import BirdChange
    from vtid.model.bgp import BirdBlock
    from vtid.model.input import UnderlaySeen
    from vtid.model.operation import Op

    LookUp = Callable[[Sequence[ProbeUnderlay]], Awaitable[list[UnderlaySeen]]]


_FILE = re.compile(r"^\x00file: (.+)\n", re.MULTILINE)
"""Begins another file of a configuration, which stands in `conf.d`."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a rehearsal found."""

    ops: tuple[Op, ...]
    blocks: dict[str, tuple[BirdBlock, ...]]
    """All blocks of the BIRDs whose files are written anew."""


class Rehearser:
    """Plans for configurations that are not in use.

    `config` returns `[daemon]` of the start and the configuration in use; `whole` waits until no
    input is half filed.
    """

    def __init__(
        self,
        state: State,
        config: Callable[[], tuple[DaemonConfig, Config]],
        look_up: LookUp,
        edges: Mapping[str, Bird],
        whole: Callable[[], Awaitable[None]],
    ) -> None:
        self._state = state
        self._config = config
        self._look_up = look_up
        self._edges = edges
        self._whole = whole
        self._lock = asyncio.Lock()

    async def plan(self, text: str, name: str) -> Plan:
        """Return what a reload would do if the file, called `name`, had this text."""
        async with self._lock:
            with no_collections():
                return await self._plan(text, name)

    async def _plan(self, text: str, name: str) -> Plan:
        try:
            found = await asyncio.to_thread(lambda: usable(config_file.parse(_sources(text, name))))
        except (ConfigError, RenderError) as error:
            return Plan(ok=False, errors=describe(error, name))
        config = found.config
        await self._whole()
        (started, before), memory = self._config(), self._state.memory()
        anew = tuple(_anew(before, config))
        done = await self._rehearse(memory, before, config, [bird.name for bird in anew])
        return Plan(
            ops=done.ops,
            birds=await self._birds(done, anew, {bird.template for bird in before.birds}),
            warnings=(
                *found.warnings,
                *left_out(started, config),
                *await asyncio.to_thread(lambda: [*_warnings(memory, before, config)]),
            ),
            changes=await asyncio.to_thread(changes, before, config),
        )

    async def _rehearse(
        self, memory: Memory, before: Config, config: Config, anew: Sequence[str]
    ) -> _Outcome:
        now = time.monotonic()

        def begin() -> tuple[Rehearsal, tuple[Op, ...]]:
            rehearsal = Rehearsal(memory, before, now)
            return rehearsal, rehearsal.use(config)

        rehearsal, ops = await asyncio.to_thread(begin)
        lookups = [op for op in ops if isinstance(op, ProbeUnderlay)]
        if lookups and (seen := await self._look_up(lookups)):
            known = tuple(op for op in ops if not isinstance(op, ProbeUnderlay))
            ops = known + await asyncio.to_thread(rehearsal.saw, seen, lookups)
        blocks = await asyncio.to_thread(lambda: {one: rehearsal.blocks(one) for one in anew})
        return _Outcome(ops, blocks)

    async def _birds(
        self, done: _Outcome, anew: Sequence[BirdConfig], in_use: Collection[str]
    ) -> tuple[BirdChange, ...]:
        others = {name: edge for name, edge in self._edges.items() if name not in done.blocks}
        written = [await change_anew(bird, done.blocks[bird.name], in_use) for bird in anew]
        return (*await changes_of_birds(others, done.ops), *written)


def _sources(text: str, name: str) -> list[Source]:
    """Return the files that a text consists of."""
    first, *others = _FILE.split(text)
    names, texts = others[::2], others[1::2]
    return [
        Source(part, escape(file))
        for file, part in zip((name, *names), (first, *texts), strict=True)
    ]


def _anew(before: Config, config: Config) -> Iterator[BirdConfig]:
    """Yield the BIRDs whose files are written anew: another file, or made by another template."""
    known = {bird.name: (bird.include, bird.template) for bird in before.birds}
    for bird in config.birds:
        if known.get(bird.name) != (bird.include, bird.template):
            yield bird


def _warnings(memory: Memory, before: Config, config: Config) -> Iterator[str]:
    """Yield what else the operator should know of what is planned."""
    watched = {*memory.namespaces, *memory.netns_errors}
    for netns in sorted({tunnel.netns for tunnel in config.policies} - watched - {""}):
        yield f"namespace {netns} is not watched yet: the plan takes it for empty"
    if memory.sas is None:
        yield "charon has not listed its SAs yet: tunnels are planned without them"
    if config.vici != before.vici:
        yield "[vici] changed: vtid connects to charon anew, which may have other SAs"
    started = {one.connection for one in config.policies if one.initiate}
    started -= {one.connection for one in before.policies if one.initiate}
    up = {sa.connection for sa in memory.sas or ()}
    for connection in sorted(started - up):
        yield f"charon will be asked to initiate {connection}"
