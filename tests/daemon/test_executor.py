"""Operations reach the right edge in the order of their stages, and each is answered once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vtid.daemon.executor import Executor, Result
from vtid.model.bgp import BirdBlock
from vtid.model.input import OpDone, OpFailed
from vtid.model.link import Clamp, Link
from vtid.model.operation import (
    AddAddress,
    CreateLink,
    DeleteBird,
    DeleteClamp,
    DeleteLink,
    Op,
    PutBird,
    SetClamp,
    SetUp,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


class Edge:
    """Takes operations, and fails those of certain kinds or tunnels."""

    def __init__(self, log: list[Op]) -> None:
        self.log = log
        self.failing: set[type[Op] | str] = set()
        self.broken = False

    async def execute(self, ops: Sequence[Op]) -> list[Result]:
        if self.broken and ops:
            raise ZeroDivisionError
        self.log.extend(ops)
        return [
            OpFailed(op, "no") if {type(op), op.tunnel} & self.failing else OpDone(op) for op in ops
        ]


class Rig:
    def __init__(self) -> None:
        self.log: list[Op] = []
        self.edge = Edge(self.log)
        self.results: list[Result] = []
        edge = self.edge
        self.executor = Executor(
            edge,  # type: ignore[arg-type]
            edge,  # type: ignore[arg-type]
            {"b": edge},  # type: ignore[dict-item]
            charon=edge.execute,
            echo=edge.execute,
            report=self.results.append,
        )

    async def run(self, *ops: Op) -> None:
        await self.executor.run(ops)
        assert sorted(map(id, ops)) == sorted(id(result.op) for result in self.results)

    def failed(self) -> list[str]:
        failures = [result for result in self.results if isinstance(result, OpFailed)]
        return [f"{result.op.tunnel} {type(result.op).__name__}" for result in failures]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def bring_up(tunnel: str) -> tuple[Op, ...]:
    link = Link("", tunnel, "vti6", "2001:db8::1", "2001:db8::2", 1, 1, 1400, f"vtid:{tunnel}")
    clamp = Clamp(1360, 1340)
    return (
        PutBird(tunnel=tunnel, reason="", block=BirdBlock("b", tunnel, ())),
        SetClamp(tunnel=tunnel, reason="", netns="", interface=tunnel, clamp=clamp),
        SetUp(tunnel=tunnel, reason="", netns="", name=tunnel),
        CreateLink(tunnel=tunnel, reason="", link=link),
    )


async def test_stages_run_in_order_for_all_tunnels(rig: Rig) -> None:
    old = DeleteLink(tunnel="c", reason="", netns="", name="c", ifindex=3)
    await rig.run(*bring_up("a"), *bring_up("b"), old)
    assert [op.stage for op in rig.log] == sorted(op.stage for op in rig.log)
    assert rig.log[0] is old
    assert rig.failed() == []


async def test_a_failure_takes_the_rest_of_its_own_tunnel_only(rig: Rig) -> None:
    rig.edge.failing = {"a"}
    await rig.run(*bring_up("a"), *bring_up("b"))
    assert rig.failed() == ["a CreateLink", "a SetUp", "a SetClamp", "a PutBird"]
    # SetUp is in the same call: there, it is for the kernel's edge to stop
    assert {type(op) for op in rig.log if op.tunnel == "a"} == {CreateLink, SetUp}


async def test_an_address_that_fails_takes_nothing_with_it(rig: Rig) -> None:
    rig.edge.failing = {AddAddress}
    address = AddAddress(tunnel="a", reason="", netns="", interface="a", address="192.0.2.1/24")
    await rig.run(address, *bring_up("a"))
    assert rig.failed() == ["a AddAddress"]


async def test_bird_follows_a_tunnel_without_its_clamp(rig: Rig) -> None:
    rig.edge.failing = {SetClamp}
    await rig.run(*bring_up("a"))
    assert rig.failed() == ["a SetClamp"]


async def test_the_rest_follows_a_clamp_that_could_not_be_removed(rig: Rig) -> None:
    rig.edge.failing = {DeleteClamp}
    old = DeleteClamp(tunnel="a", reason="", netns="", interface="a")
    await rig.run(old, DeleteBird(tunnel="a", reason="", instance="b"))
    assert rig.failed() == ["a DeleteClamp"]


async def test_a_defect_in_an_edge_leaves_nothing_unanswered(rig: Rig) -> None:
    rig.edge.broken = True
    await rig.run(*bring_up("a"))
    assert len(rig.failed()) == 4
    assert all("defect" in result.error for result in rig.results if isinstance(result, OpFailed))
