"""What only adds goes ahead of what deletes; where they collide, the deletion still comes first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from vtid.combine import MOST
from vtid.kernel.apply import Answer
from vtid.kernel.client import Kernel
from vtid.model.input import OpDone, OpFailed
from vtid.model.link import Link
from vtid.model.operation import CreateLink, DeleteLink, Op, ProbeUnderlay, SetUp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vtid.kernel.apply import Worker

NAMES = [f"t{number}" for number in range(4)]
KEYS = range(4)


@dataclass
class World:
    """Links by name with their keys, and the operations in the order in which they are tried.

    It stands for the workers and their threads: names and keys are there once, as in the kernel.
    """

    links: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Index and key by name."""
    tried: list[Op] = field(default_factory=list)
    wrong: list[Op] = field(default_factory=list)
    """Operations that met a link that another one was to delete before."""

    def thread(self, netns: str) -> str:
        return netns

    async def use(self, _thread: str, fn: Callable[[Worker], Answer]) -> Answer:
        await asyncio.sleep(0)
        stands: Any = self
        return fn(stands)

    def run(self, ops: Sequence[Op]) -> Answer:
        self.tried += ops
        failed: set[str] = set()
        results = [self._try(op, failed) for op in ops]
        return Answer(results=results)

    def _try(self, op: Op, failed: set[str]) -> OpDone | OpFailed:
        if op.tunnel in failed:
            return OpFailed(op, "not tried")
        match op:
            case DeleteLink(name=name, ifindex=ifindex):
                there = self.links.get(name, (-1, 0))[0] == ifindex
                if there:
                    del self.links[name]
                return OpDone(op, changed=there)
            case CreateLink(link=link):
                if link.name in self.links:
                    self.wrong.append(op)
                if link.ikey in {key for _, key in self.links.values()}:
                    failed.add(op.tunnel)
                    return OpFailed(op, "File exists")
                self.links[link.name] = (1000 + len(self.tried), link.ikey)
            case SetUp(name=name):
                assert name in self.links
        return OpDone(op)


def create(name: str, key: int) -> list[Op]:
    tunnel = f"new {name}"
    link = Link("", name, "vti6", "2001:db8::1", "2001:db8::2", key, key, 1400, f"vtid:{name}")
    return [
        CreateLink(tunnel=tunnel, reason="", link=link),
        SetUp(tunnel=tunnel, reason="", netns="", name=name),
    ]


def delete(name: str, ifindex: int) -> list[Op]:
    return [
        DeleteLink(tunnel=f"old {name}", reason="", netns="", name=name, ifindex=ifindex),
        *(
            DeleteLink(tunnel=f"{name} {n}", reason="", netns="", name=f"{name} {n}", ifindex=0)
            for n in range(MOST)
        ),
    ]


def look(number: int) -> list[Op]:
    return [ProbeUnderlay(tunnel=f"look {number}", reason="", local="", remote="")]


async def play(kernel: Kernel, calls: Sequence[list[Op]], pauses: Sequence[int]) -> list[Any]:
    """Make the calls in their order, with some turns of the loop in between."""
    tasks = []
    for ops, pause in zip(calls, pauses, strict=True):
        tasks.append(asyncio.create_task(kernel.execute(ops)))
        for _ in range(pause):
            await asyncio.sleep(0)
    return [result for results in await asyncio.gather(*tasks) for result in results]


@given(
    st.permutations(NAMES),
    st.permutations(list(KEYS)),
    st.permutations(list(range(8))),
    st.lists(st.integers(0, 6), min_size=12, max_size=12),
)
def test_each_name_and_key_is_free_before_it_is_used_again(
    names: list[str], keys: list[int], order: list[int], pauses: list[int]
) -> None:
    """All links are replaced by others that have their names and, in another order, their keys.

    Deletions are asked for first, looks and creations in any order, and at any time.
    """
    world = World({name: (100 + at, at) for at, name in enumerate(NAMES)})
    stands: Any = world
    kernel = Kernel(stands, lambda _: None)
    kernel._workers = stands
    deletions = [delete(name, world.links[name][0]) for name in names]
    others = [create(name, key) for name, key in zip(NAMES, keys, strict=True)]
    others += [look(number) for number in range(4)]
    calls = deletions + [others[at] for at in order]
    results = asyncio.run(play(kernel, calls, pauses))
    assert [result.op for result in results] == [op for ops in calls for op in ops]
    assert not [result for result in results if isinstance(result, OpFailed)]
    assert not world.wrong
    assert {name: key for name, (_, key) in world.links.items()} == dict(
        zip(NAMES, keys, strict=True)
    )
    done = [id(result.op) for result in results]
    assert len(set(done)) == len(done)


def test_what_comes_in_goes_ahead_of_what_waits_to_be_deleted() -> None:
    world = World({"t0": (100, 0), "t1": (101, 1)})
    stands: Any = world
    kernel = Kernel(stands, lambda _: None)
    kernel._workers = stands
    calls = [delete("t0", 100), delete("t1", 101), create("t2", 2), look(0)]
    asyncio.run(play(kernel, calls, [0, 0, 0, 0]))
    kinds = list(dict.fromkeys((type(op), op.tunnel) for op in world.tried if "t" in op.tunnel))
    at = {tunnel: place for place, (_, tunnel) in enumerate(kinds)}
    assert at["old t0"] < at["new t2"] < at["old t1"]
