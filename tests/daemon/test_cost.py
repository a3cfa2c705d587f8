"""What the daemon's own accounting costs, beside what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from tests.counting import bytecodes
from vtid.config.load import load
from vtid.daemon.daemon import Daemon
from vtid.daemon.levels import LEVELS
from vtid.model.input import OpDone
from vtid.model.levels import Level, Subsystem
from vtid.model.operation import SetUp
from vtid.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DONE = OpDone(SetUp(tunnel="gone", reason="up", netns="", name="gone"))


@pytest.fixture
async def daemon(tmp_path: Path) -> Daemon:
    """A daemon that does not run, and knows no tunnel."""
    return Daemon(load(""), tmp_path / "vtid.toml")


@pytest.fixture(autouse=True)
def _levels() -> Iterator[None]:
    LEVELS.configure(Level.INFO)
    yield
    LEVELS.configure(Level.INFO)


async def test_an_answered_operation_costs_little(daemon: Daemon) -> None:
    daemon._account(DONE)
    with bytecodes() as counter:
        daemon._account(DONE)
    assert counter.count <= 145


async def test_an_input_costs_little_beside_what_it_changes(daemon: Daemon) -> None:
    async def cost(inputs: int) -> int:
        for _ in range(inputs):
            daemon.post(DONE)
        with bytecodes() as counter:
            await daemon._take_inputs(0.0, Turn())
        return counter.count

    assert await cost(33) - await cost(1) <= 32 * 315


@pytest.mark.parametrize(("level", "lines"), [(Level.DEBUG, 1), (Level.INFO, 0)])
async def test_an_operation_is_logged_for_those_who_hear_it(
    daemon: Daemon, level: Level, lines: int
) -> None:
    LEVELS.set((Subsystem.KERNEL,), level)
    with capture_logs() as logs:
        daemon._account(DONE)
    assert [line["event"] for line in logs] == ["operation"] * lines
