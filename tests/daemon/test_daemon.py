"""The daemon's own tasks, where edges and namespaces come and go under them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from vtid.config.load import load
from vtid.core.state import State
from vtid.daemon import daemon, notify
from vtid.daemon.daemon import Daemon
from vtid.http.api import ResyncResult
from vtid.model.input import OpDone, ViciLost
from vtid.model.operation import SetUp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@pytest.fixture
async def idle(tmp_path: Path) -> Daemon:
    """A daemon that does not run."""
    return Daemon(load(""), tmp_path / "vtid.toml")


async def test_a_reload_may_add_a_namespace_to_a_full_pass(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    enough = asyncio.Event()

    async def resync(netns: str) -> None:
        asked.append(netns)
        idle._watched.add(f"new-{len(asked)}")
        if len(asked) == 5:
            enough.set()

    idle._watched.update(("", "private"))
    monkeypatch.setattr(idle._kernel, "resync", resync)
    monkeypatch.setattr(daemon, "FULL_PASS_INTERVAL", 0)
    looking = asyncio.create_task(idle._look_around())
    seen = asyncio.create_task(enough.wait())
    await asyncio.wait({looking, seen}, return_when=asyncio.FIRST_COMPLETED)
    assert not looking.done()
    looking.cancel()


async def test_a_reload_while_vtid_starts_does_not_make_it_ready(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(notify, "notify", told.append)
    refused = await idle.reload()
    assert (refused.ok, told) == (False, [])
    assert idle._readiness.tick_off(ViciLost("absent"))
    await idle.reload()
    assert [line.split("=")[0] for line in told] == ["RELOADING", "READY"]


async def test_bird_waits_for_the_first_operations_but_not_for_ever(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, now = True, 100.0
    monkeypatch.setattr(State, "settled", True)
    monkeypatch.setattr(State, "is_busy", lambda _: busy)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    idle._release_birds()
    now += daemon.RELEASE_LIMIT - 0.1
    idle._release_birds()
    assert not idle._birds_released
    now += 0.2
    idle._release_birds()
    assert idle._birds_released


async def test_bird_is_released_as_soon_as_nothing_is_under_way(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle._release_birds()
    assert not idle._birds_released
    monkeypatch.setattr(State, "settled", True)
    idle._release_birds()
    assert idle._birds_released


async def test_what_is_left_over_elsewhere_is_a_problem_until_it_is_gone(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ["namespace 'old' has 1 interface", "namespace 'older' has 2"]

    async def leftovers(watched: frozenset[str]) -> tuple[str, ...]:
        return tuple(line for line in found if "private" not in watched or "older" not in line)

    monkeypatch.setattr(daemon, "leftovers", leftovers)
    with capture_logs() as logs:
        await idle._look_for_leftovers()
        await idle._look_for_leftovers()
    assert [entry["detail"] for entry in logs] == found
    assert idle.status().problems == tuple(found)
    idle._watched.add("private")
    await idle._look_for_leftovers()
    assert idle.status().problems == (found[0],)


async def test_a_resync_reads_everything_again_and_tells_what_followed(
    idle: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noting(name: str) -> Callable[..., Awaitable[None]]:
        async def resync(*words: str) -> None:
            asked.append(" ".join((name, *words)))

        return resync

    idle._watched.update(("", "private"))
    for name, edge in (("kernel", idle._kernel), ("nft", idle._nft), ("charon", idle._charon)):
        monkeypatch.setattr(edge, "resync", noting(name))
    working = asyncio.create_task(idle.resync())
    await idle._woken.wait()
    assert [type(event).__name__ for _, event in idle._inbox] == ["UnderlayChanged", "FullPassDue"]
    op = SetUp(tunnel="vti1", reason="", netns="", name="vti1")
    idle._account(OpDone(op))
    idle._account(OpDone(op, changed=False))
    await asyncio.sleep(0)
    assert not working.done()
    looping = asyncio.create_task(idle._loop())
    assert await working == ResyncResult(operations=1, finished=True)
    looping.cancel()
    assert sorted(asked) == ["charon", "kernel ", "kernel private", "nft ", "nft private"]
