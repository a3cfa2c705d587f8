"""What `vtictl plan` asks of the daemon: nothing is done, and the loop is never held for long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.bench.bench_core import world_of
from vtid import turns
from vtid.bird.client import Bird
from vtid.bird.render import HEADER
from vtid.config.load import load
from vtid.daemon.daemon import Daemon
from vtid.daemon.plan import changes_of_birds
from vtid.http.api import BirdChange, Plan
from vtid.model.bgp import BgpSession, BirdBlock, Secret, TunnelFacts
from vtid.model.input import LinkGone
from vtid.model.operation import DeleteBird, PutBird

if TYPE_CHECKING:
    from pathlib import Path

ON: dict[str, str] = {"tunnel": "vti1", "reason": "up"}


def put(password: str, instance: str = "main") -> PutBird:
    session = BgpSession("a", "vti1", "10.0.0.2", 1, 2, password=Secret(password))
    return PutBird(**ON, block=BirdBlock(instance, "vti1", (session,), TunnelFacts("vti1")))


def bird(path: Path, template: str = "bgp") -> Bird:
    return Bird("main", str(path / "ctl"), str(path / "main.conf"), lambda _: None, template)


async def test_the_difference_that_operations_make_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "main.conf").write_text(HEADER)
    edges = {"main": bird(tmp_path)}
    (change,) = await changes_of_birds(edges, [put("hunter2")])
    assert (change.instance, change.path) == ("main", str(tmp_path / "main.conf"))
    assert '\n+# vtid begin "vti1"\n' in change.diff
    assert 'password "…"' in change.diff
    assert "hunter2" not in change.diff
    assert (tmp_path / "main.conf").read_text() == HEADER


async def test_a_block_that_goes(tmp_path: Path) -> None:
    edge = bird(tmp_path)
    await edge.execute([put("x")])
    (tmp_path / "main.conf").write_text((await edge.preview())[2])
    (change,) = await changes_of_birds({"main": edge}, [DeleteBird(**ON, instance="main")])
    assert '\n-# vtid begin "vti1"\n' in change.diff


async def test_only_birds_with_operations_are_looked_at(tmp_path: Path) -> None:
    assert await changes_of_birds({"main": bird(tmp_path)}, [put("x", "gone")]) == ()


@pytest.mark.parametrize("template", ["bgp", "/nowhere/own.j2"])
async def test_what_cannot_be_said_is_one_line(tmp_path: Path, template: str) -> None:
    (tmp_path / "main.conf").write_text("of another program" if template == "bgp" else HEADER)
    (change,) = await changes_of_birds({"main": bird(tmp_path, template)}, [put("x")])
    assert change == BirdChange("main", error=change.error)
    assert "main.conf is" in change.error or "/nowhere/own.j2" in change.error


async def test_many_tunnels_are_planned_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(30)
    daemon = Daemon(load(""), tmp_path / "vtid.toml")
    object.__setattr__(daemon.operator, "state", world.state)
    assert await daemon.operator.plan() == Plan()
    for netns, index in list(world.links):
        world.state.apply(LinkGone(netns, index), world.now)
    monkeypatch.setattr(turns, "LONGEST", 0.0)
    told = asyncio.create_task(daemon.operator.plan())
    rounds = 0
    while not told.done():
        await asyncio.sleep(0)
        rounds += 1
    assert (await told).ops == world.state.preview(world.now)
    assert rounds >= 30
