"""Learnt: what the state hears of the path MTUs that the kernel learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from vtid.core.underlay import Underlay
from vtid.daemon.learnt import Learnt
from vtid.model.input import LearntSeen

if TYPE_CHECKING:
    from vtid.kernel.client import Kernel

PATHS = {("192.0.2.1", "192.0.2.2"): Underlay(1500), ("192.0.2.1", "192.0.2.3"): Underlay(1500)}


class Played:
    """Stands for `Kernel`."""

    def __init__(self) -> None:
        self.mtus: dict[str, frozenset[int]] = {}

    async def learnt(self) -> dict[str, frozenset[int]]:
        return self.mtus


async def test_it_tells_that_what_counts_is_not_listed() -> None:
    posted = list[LearntSeen]()
    known = PATHS | {("192.0.2.1", "192.0.2.4"): Underlay(1500, learnt=1400)}
    kernel = Played()
    learnt = Learnt(cast("Kernel", kernel), known, posted.append)
    kernel.mtus = {"192.0.2.4": frozenset({1400})}
    await learnt.look()
    await learnt.look()
    assert posted == [LearntSeen((("192.0.2.4", (1400,)),))]
    kernel.mtus = {}
    for _ in range(2):
        await learnt.look()
    assert posted[1:] == 2 * [LearntSeen(())]


async def test_it_tells_of_our_peers_and_only_what_is_new() -> None:
    kernel, posted = Played(), list[LearntSeen]()
    learnt = Learnt(cast("Kernel", kernel), PATHS, posted.append)
    await learnt.look()
    kernel.mtus = {"198.51.100.9": frozenset({576})}
    await learnt.look()
    assert not posted
    kernel.mtus |= {"192.0.2.3": frozenset({1400, 1300})}
    await learnt.look()
    await learnt.look()
    assert posted == [LearntSeen((("192.0.2.3", (1300, 1400)),))]
    kernel.mtus = {}
    await learnt.look()
    assert posted[1:] == [LearntSeen(())]
