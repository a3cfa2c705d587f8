"""Which BIRDs have an edge, over reloads; no BIRD runs behind their sockets."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from vtid.bird import pace
from vtid.bird.render import HEADER, compose, render
from vtid.config.load import load
from vtid.daemon.birds import Birds
from vtid.model.bgp import BgpSession, BirdBlock
from vtid.model.input import BirdGone, BirdSnapshot, Input
from vtid.model.operation import DeleteBird

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from vtid.config.keys import Bird as BirdConfig

LIMIT = 10.0
SESSION = BgpSession("vtid_t1", "t1", "2001:db8::1", 1, 2)
TEXT = compose({"t1": render(BirdBlock("a", "t1", (SESSION,)))})


class Room:
    def __init__(self, directory: Path, tasks: asyncio.TaskGroup) -> None:
        self.directory = directory
        self.posted: list[Input] = []
        self.birds = Birds(tasks, self.posted.append)

    def configs(self, *pairs: tuple[str, str]) -> tuple[BirdConfig, ...]:
        """Configurations of these names and include files."""
        texts = (
            f'[[bird]]\nname = "{name}"\nsocket = "{self.directory}/{name}.ctl"\n'
            f'include = "{self.directory}/{include}"\n'
            for name, include in pairs
        )
        return load("".join(texts)).birds

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():  # noqa: ASYNC110 - a test
                await asyncio.sleep(0.005)


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(pace, "BACKOFF_MIN", 0.02)
    async with running(tmp_path) as one:
        yield one


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Room]:
    async with asyncio.TaskGroup() as tasks:
        room = Room(directory, tasks)
        yield room
        for one in room.birds._running.values():
            one.task.cancel()


async def test_include_that_moves(room: Room, tmp_path: Path) -> None:
    old, new = tmp_path / "old.conf", tmp_path / "new.conf"
    old.write_text(TEXT)
    room.birds.use(room.configs(("a", "old.conf")))
    await room.until(lambda: BirdSnapshot("a", ("t1",)) in room.posted)
    room.birds.use(room.configs(("a", "new.conf")))
    await room.until(lambda: room.posted.count(BirdSnapshot("a", ("t1",))) == 2)
    assert (old.read_text(), new.read_text()) == (HEADER, TEXT)


async def test_bird_that_is_renamed_keeps_its_file(room: Room, tmp_path: Path) -> None:
    file = tmp_path / "one.conf"
    file.write_text(TEXT)
    room.birds.use(room.configs(("a", "one.conf")))
    await room.until(lambda: BirdSnapshot("a", ("t1",)) in room.posted)
    room.birds.use(room.configs(("b", "one.conf")))
    await room.until(lambda: BirdSnapshot("b", ("t1",)) in room.posted)
    assert BirdGone("a") in room.posted
    assert file.read_text() == TEXT


async def test_bird_that_left_goes_when_its_file_is_empty(room: Room, tmp_path: Path) -> None:
    room.birds.release()
    room.birds.use(room.configs(("a", "one.conf"), ("b", "two.conf")))
    await room.until((tmp_path / "two.conf").exists)
    room.birds.use(room.configs(("b", "two.conf")))
    await room.until(lambda: BirdGone("a") in room.posted)
    assert BirdGone("b") not in room.posted
    room.birds.use(room.configs(("a", "one.conf"), ("b", "two.conf")))
    await room.until(lambda: room.posted.count(BirdSnapshot("a", ())) == 2)


async def test_bird_that_left_stays_until_it_has_taken_the_empty_file(
    room: Room, tmp_path: Path
) -> None:
    (tmp_path / "one.conf").write_text(TEXT)
    room.birds.release()
    room.birds.use(room.configs(("a", "one.conf")))
    await room.until(lambda: BirdSnapshot("a", ("t1",)) in room.posted)
    room.birds.use(())
    delete = DeleteBird(tunnel="t1", reason="r", instance="a")
    await room.birds.edges["a"].execute([delete])
    await room.until(lambda: (tmp_path / "one.conf").read_text() == HEADER)
    seen = len(room.posted)
    await room.until(lambda: len(room.posted) > seen + 3)
    assert BirdGone("a") not in room.posted
    room.birds.use(room.configs(("a", "one.conf")))
    assert room.posted.count(BirdSnapshot("a", ("t1",))) == 1
