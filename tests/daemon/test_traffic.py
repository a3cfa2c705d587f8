"""Link counters come to the state by themselves, namespace by namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from vtid.daemon.traffic import AT_ONCE, Traffic
from vtid.kernel.sockets import Refused
from vtid.model.counts import LinkCounters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vtid.core.state import State
    from vtid.kernel.client import Kernel
    from vtid.nft.client import Nft

MANY = 2 * AT_ONCE + 1


class Counting:
    """A kernel with counters, and a state that takes them."""

    def __init__(self) -> None:
        self.filed: dict[str, list[int]] = {}
        self.clamps_read: list[str] = []
        self.drops: dict[str, dict[str, int]] = {}

    async def count(self, netns: str) -> None:
        self.clamps_read.append(netns)

    async def counters(self, netns: str) -> dict[int, LinkCounters]:
        if netns == "refuses":
            raise Refused(16)
        return dict.fromkeys(range(MANY), LinkCounters())

    async def xfrm_stat(self, netns: str) -> dict[str, int]:
        return {"InNoStates": len(netns)}

    def count_traffic(self, netns: str, read: Iterable[tuple[int, LinkCounters]]) -> None:
        some = [ifindex for ifindex, _ in read]
        assert len(some) <= AT_ONCE
        self.filed.setdefault(netns, []).extend(some)

    def count_drops(self, netns: str, counted: Mapping[str, int]) -> None:
        self.drops[netns] = dict(counted)


async def test_a_namespace_that_refuses_leaves_out_itself_only() -> None:
    both = Counting()
    names = ["refuses", "one", "two"]

    async def whole() -> None:
        """Nobody else works on it."""

    traffic = Traffic(
        cast("Kernel", both), cast("Nft", both), cast("State", both), lambda: names, whole
    )
    await traffic.read()
    assert both.filed == {"one": list(range(MANY)), "two": list(range(MANY))}
    assert traffic.xfrm == both.drops == {"one": {"InNoStates": 3}, "two": {"InNoStates": 3}}
    assert set(traffic.read_at) == {"one", "two"}
    assert both.clamps_read == names
