"""Operations reach the right edge in the order of their stages, and each is answered once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.daemon.executor import PART, Executor, Result, parts
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
    ProbeUnderlay,
    PutBird,
    SetClamp,
    SetUp,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Edge:
    """Takes operations, and fails those of certain kinds or tunnels."""

    def __init__(self, log: list[Op]) -> None:
        self.log = log
        self.failing: set[type[Op] | str] = set()
        self.broken = False
        self.slow: asyncio.Event | None = None
        """What deletions wait for."""

    async def execute(self, ops: Sequence[Op]) -> list[Result]:
        if self.broken and ops:
            raise ZeroDivisionError
        if self.slow and any(isinstance(op, DeleteLink) for op in ops):
            await self.slow.wait()
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


def lose(tunnel: str) -> tuple[Op, ...]:
    return (
        DeleteClamp(tunnel=tunnel, reason="", netns="", interface=tunnel),
        DeleteLink(tunnel=tunnel, reason="", netns="", name=tunnel, ifindex=3),
        DeleteBird(tunnel=tunnel, reason="", instance="b"),
    )


def look(tunnel: str) -> Op:
    return ProbeUnderlay(tunnel=tunnel, reason="", local="", remote="")


async def test_stages_run_in_order(rig: Rig) -> None:
    await rig.run(*bring_up("a"), *bring_up("b"), *lose("c"))
    for tunnel in "abc":
        stages = [op.stage for op in rig.log if op.tunnel == tunnel]
        assert stages == sorted(stages)
    assert rig.failed() == []


async def test_what_looks_and_what_comes_waits_for_no_deletion(rig: Rig) -> None:
    rig.edge.slow = asyncio.Event()
    run = asyncio.create_task(rig.run(*lose("c"), *bring_up("a"), look("b")))
    for _ in range(20):
        await asyncio.sleep(0)
    assert {result.op.tunnel for result in rig.results} == {"a", "b"}
    assert len(rig.results) == 5
    rig.edge.slow.set()
    await run


def make_anew(tunnel: str) -> tuple[Op, ...]:
    return (*lose(tunnel), *bring_up(tunnel))


WHATS = st.sampled_from([lose, bring_up, make_anew])


@given(st.lists(st.tuples(WHATS, st.integers(1, 2 * PART)), max_size=6))
def test_a_pass_is_divided_and_whole(
    runs: list[tuple[Callable[[str], tuple[Op, ...]], int]],
) -> None:
    """Whatever tunnels are lost, come, and are made anew: each is in one part, and none is long."""
    whats = [what for what, count in runs for _ in range(count)]
    ops = [op for at, what in enumerate(whats) for op in what(f"t{at}")]
    found = list(parts(ops))
    assert sorted(id(op) for part in found for op in part) == sorted(map(id, ops))
    tunnels = [{op.tunnel for op in part} for part in found]
    assert sum(map(len, tunnels)) == len(whats)
    assert all(len(each) <= PART for each in tunnels)


async def test_a_tunnel_that_is_made_anew_is_deleted_first(rig: Rig) -> None:
    await rig.run(*make_anew("a"), *bring_up("b"))
    order = [type(op) for op in rig.log if op.tunnel == "a"]
    assert order.index(DeleteLink) < order.index(CreateLink)
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
