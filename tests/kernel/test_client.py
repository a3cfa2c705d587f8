"""What only adds goes ahead of what deletes; where they collide, the deletion still comes first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from vtid.combine import MOST
from vtid.kernel.apply import Answer, OpTaken
from vtid.kernel.client import Kernel
from vtid.model.input import OpDone, OpFailed
from vtid.model.link import Link
from vtid.model.operation import CreateLink, DeleteLink, Op, ProbeUnderlay, SetUp
from vtid.netns import NetnsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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
    listings: int = 0
    """Times that who has a key was looked for."""

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
                assert link.name not in self.links
                if link.ikey in {key for _, key in self.links.values()}:
                    failed.add(op.tunnel)
                    return OpTaken(op, "File exists", link)
                self.links[link.name] = (1000 + len(self.tried), link.ikey)
            case SetUp(name=name):
                assert name in self.links
        return OpDone(op)

    def holders(self, links: Sequence[Link], _netns: str) -> list[str]:
        self.listings += 1
        return ["it is taken" for _ in links]


class Lost(World):
    """The namespace is gone when something is tried again."""

    def run(self, ops: Sequence[Op]) -> Answer:
        if any(op in self.tried for op in ops):
            raise NetnsError("gone")
        return super().run(ops)


def gateway(world: World) -> Kernel:
    stands: Any = world
    kernel = Kernel(stands, lambda _: None)
    kernel._workers = stands
    return kernel


def create(name: str, key: int, netns: str = "") -> list[Op]:
    link = Link(netns, name, "vti6", "2001:db8::1", "2001:db8::2", key, key, 1400, f"vtid:{name}")
    return [
        CreateLink(tunnel=name, reason="", link=link),
        SetUp(tunnel=name, reason="", netns=netns, name=name),
    ]


def delete(name: str, ifindex: int) -> list[Op]:
    return [
        DeleteLink(tunnel=name, reason="", netns="", name=name, ifindex=ifindex),
        *(
            DeleteLink(tunnel=f"{name} {n}", reason="", netns="", name=f"{name} {n}", ifindex=0)
            for n in range(MOST)
        ),
    ]


def look(number: int) -> list[Op]:
    return [ProbeUnderlay(tunnel=f"look {number}", reason="", local="", remote="")]


async def play(kernel: Kernel, calls: Sequence[Sequence[list[Op]]], pauses: Iterable[int]) -> Any:
    """Make chains of calls, with some turns of the loop before the next one begins."""

    async def chain(ones: Sequence[list[Op]]) -> list[Any]:
        return [result for ops in ones for result in await kernel.execute(ops)]

    tasks = []
    for ones, pause in zip(calls, pauses, strict=False):
        tasks.append(asyncio.create_task(chain(ones)))
        for _ in range(pause):
            await asyncio.sleep(0)
    return [result for results in await asyncio.gather(*tasks) for result in results]


@given(
    st.permutations(NAMES),
    st.permutations(list(KEYS)),
    st.permutations(list(range(6))),
    st.lists(st.integers(0, 6), min_size=6, max_size=6),
)
def test_each_key_is_free_before_it_is_used_again(
    names: list[str], keys: list[int], order: list[int], pauses: list[int]
) -> None:
    """All links are deleted; two of them are made anew, and two others, with the keys of any.

    Deletions are asked for first. Looks and new tunnels come in any order, and at any time; a
    tunnel is made anew after it was deleted.
    """
    world = World({name: (100 + at, at) for at, name in enumerate(NAMES)})
    made = dict(zip([*names[:2], "n0", "n1"], keys, strict=True))
    deletions = [[delete(name, world.links[name][0])] for name in names]
    for chain, name in zip(deletions, names[:2], strict=False):
        chain.append(create(name, made[name]))
    others = [[create(name, made[name])] for name in ("n0", "n1")]
    others += [[look(number)] for number in range(4)]
    calls = deletions + [others[at] for at in order]
    results = asyncio.run(play(gateway(world), calls, [0] * len(deletions) + pauses))
    assert [result.op for result in results] == [op for ones in calls for ops in ones for op in ops]
    assert not [result for result in results if isinstance(result, OpFailed)]
    assert {name: key for name, (_, key) in world.links.items()} == made
    assert not world.listings


def test_what_comes_in_goes_ahead_of_what_waits_to_be_deleted() -> None:
    world = World({"t0": (100, 0), "t1": (101, 1)})
    calls = [[delete("t0", 100)], [delete("t1", 101)], [create("t2", 2)], [look(0)]]
    asyncio.run(play(gateway(world), calls, [0, 0, 0, 0]))
    at = {op.tunnel: place for place, op in enumerate(world.tried)}
    assert at["t0"] < at["t2"] < at["t1"]


def test_a_key_may_be_about_to_go_in_another_namespace() -> None:
    world = World({"t0": (100, 0), "t1": (101, 1)})
    calls = [[delete("t0", 100)], [delete("t1", 101)], [create("t2", 1, netns="other")]]
    results = asyncio.run(play(gateway(world), calls, [0, 0, 0]))
    assert not [result for result in results if isinstance(result, OpFailed)]
    assert list(world.links) == ["t2"]
    assert not world.listings


def test_what_sets_a_link_down_keeps_its_place() -> None:
    world = World({"t0": (100, 0), "t1": (101, 1), "t2": (102, 2)})
    down: Op = SetUp(tunnel="t2", reason="", netns="", name="t2", up=False)
    calls = [[delete("t0", 100)], [delete("t1", 101)], [[down]]]
    asyncio.run(play(gateway(world), calls, [0, 0, 0]))
    assert world.tried[-1] == down


def test_refusals_are_explained_with_one_listing_when_they_are_final() -> None:
    world = World({"t0": (100, 0), "t1": (101, 1)})
    kept = [op for number in range(8) for op in create(f"n{number}", 1)]
    results = asyncio.run(play(gateway(world), [[delete("t0", 100)], [kept]], [0, 0]))
    refused = [result for result in results if isinstance(result, OpFailed)]
    assert {type(result) for result in refused} == {OpFailed}
    assert {result.error for result in refused} == {"File exists: it is taken", "not tried"}
    assert world.tried.count(kept[0]) == 2
    assert world.listings == 1


def test_trouble_in_the_second_try_fails_nothing_that_went_well() -> None:
    world = Lost({"t0": (100, 0)})
    new = [*create("n1", 1), *create("n2", 0)]
    calls = [[look(0)], [delete("t0", 100)], [new]]
    results = asyncio.run(play(gateway(world), calls, [0, 0, 0]))[-len(new) :]
    assert [type(result) for result in results] == [OpDone, OpDone, OpFailed, OpFailed]
    assert {result.error for result in results[2:]} == {"gone"}
