"""Birds: which BIRD edges run, and what a reload does to them. An edge.

Rules of this file:

* A BIRD that left the configuration goes on until its file has no sessions, and is then forgotten.
* Two edges never have one file at a time: the new one starts when the old one has ended.
* A BIRD whose `include` changed takes its sessions along: in one push, they are in the new file and
  the old one is empty.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.bird.client import Bird
from vtid.model.input import BirdGone, Input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vtid.config.keys import Bird as BirdConfig


@dataclass(frozen=True, slots=True)
class _Running:
    config: BirdConfig
    bird: Bird
    task: asyncio.Task[None]


class Birds:
    """All edges to BIRDs; their tasks belong to `tasks`."""

    def __init__(self, tasks: asyncio.TaskGroup, post: Callable[[Input], None]) -> None:
        self.edges: dict[str, Bird] = {}
        """By name, for operations; an edge that has ended accepts them without effect."""
        self._tasks = tasks
        self._post = post
        self._running: dict[str, _Running] = {}
        self._released = False

    def use(self, configs: Iterable[BirdConfig]) -> None:
        """Run the edges that the configuration names."""
        wanted = {config.name: config for config in configs}
        for name, running in list(self._running.items()):
            if name not in wanted:
                self._let_go(running, {config.include for config in wanted.values()})
        for config in wanted.values():
            self._start(config)

    @property
    def running(self) -> dict[str, Bird]:
        """The edges that have not ended, by name."""
        there = self._running.items()
        return {name: one.bird for name, one in there if not one.task.done()}

    def release(self) -> None:
        """Allow pushes: configuration, SAs and links are all known."""
        self._released = True
        for bird in self.edges.values():
            bird.release()

    def _let_go(self, running: _Running, taken: set[str]) -> None:
        """Let an edge empty its file, unless another BIRD has that file from now on."""
        if running.config.include not in taken:
            running.bird.retire()
            return
        running.task.cancel()
        self._post(BirdGone(running.config.name))

    def _start(self, config: BirdConfig) -> None:
        before = self._running.get(config.name)
        if before and before.config == config and before.bird.recall():
            before.bird.reload()
            return
        former = before.config.include if before else ""
        bird = Bird(
            config.name,
            config.socket,
            config.include,
            self._post,
            config.template,
            former if former != config.include else "",
        )
        others = [
            one.task for one in self._running.values() if one.config.include == config.include
        ]
        if before:
            before.task.cancel()
            others.append(before.task)
        task = self._tasks.create_task(_run_after(others, bird))
        self._running[config.name] = _Running(config, bird, task)
        self.edges[config.name] = bird
        if self._released:
            bird.release()


async def _run_after(others: list[asyncio.Task[None]], bird: Bird) -> None:
    """Run an edge as soon as those that had its file have ended."""
    if others:
        await asyncio.wait(others)
    await bird.run()
