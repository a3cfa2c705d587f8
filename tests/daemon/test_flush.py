"""What a flush says is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.core.world import World
from vtid.bird.client import Bird
from vtid.daemon.flush import is_done, left
from vtid.model.input import BirdState

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("error", ["", "cannot connect to /run/bird.ctl: No such file"])
def test_a_bird_that_is_away_has_a_reason(tmp_path: Path, error: str) -> None:
    world = World().start()
    edge = Bird("private", str(tmp_path / "bird.ctl"), str(tmp_path / "vtid.conf"), print)
    assert not is_done(world.state, {"private": edge})
    world.tell(BirdState("private", connected=False, error=error))
    assert is_done(world.state, {"private": edge})
    assert list(left(world.state, {"private": edge})) == [
        f"sessions of bird private: {error or 'not connected'}"
    ]
