"""What an operator hears of an interface that was to become vtid's own."""

from __future__ import annotations

import pytest

from tests.core.test_adoption import NAME, script
from tests.core.world import World, sa
from vtid.daemon.adopt import adopt_result
from vtid.http.api import AdoptResult
from vtid.model.input import AdoptAsked, ModeAsked, SaSnapshot
from vtid.model.mode import Mode


def answer(world: World, *names: str) -> AdoptResult:
    world.tell(AdoptAsked(names))
    return adopt_result(world.state, names, finished=True)


@pytest.mark.parametrize("names", [(), (NAME,), ("V2-1",)])
def test_what_is_adopted(names: tuple[str, ...]) -> None:
    world = script(World()).start([sa(1)])
    assert answer(world, *names) == AdoptResult((NAME,), (), finished=True)


def test_what_differs() -> None:
    world = script(World(), kind="dummy").start([sa(1)])
    refused = f"{NAME}: kind dummy instead of vti6"
    assert answer(world) == AdoptResult((), (refused,), finished=True)


def test_what_nothing_wants() -> None:
    world = World().start()
    (refused,) = answer(world, "vti9").refused
    assert refused.startswith("vti9: no CHILD_SA wants an interface of that name now")


def test_what_is_paused() -> None:
    world = script(World()).start([sa(1)])
    world.tell(ModeAsked(Mode.PAUSED))
    assert answer(world, NAME).refused == (
        f"{NAME}: paused by the operator: `vtictl resume` it first",
    )


def test_what_is_ours_already() -> None:
    world = World().start([sa(1)])
    assert answer(world, NAME).refused == (f"{NAME}: it is vtid's own already",)
    assert answer(world) == AdoptResult((), (), finished=True)


def test_what_waits_for_its_sa() -> None:
    world = script(World()).start([sa(1)])
    world.tell(SaSnapshot(()))
    (refused,) = answer(world, NAME).refused
    assert refused.startswith(f"{NAME}: ")
    assert world.strangers, "what is held for a moment is not adopted"
