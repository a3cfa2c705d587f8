"""What an operation costs, in bytecodes that may not become more.

The kernel is played, and its links have few attributes: a real one costs more to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.counting import bytecodes
from tests.kernel.lab import create, vti
from tests.kernel.refusing import RefusingKernel
from tests.kernel.test_client import World
from vtid.kernel import apply
from vtid.kernel.apply import Worker
from vtid.kernel.client import Kernel
from vtid.model.operation import AddAddress, Op, ProbeUnderlay, SetUp

if TYPE_CHECKING:
    from collections.abc import Sequence


def bring_up(name: str) -> list[Op]:
    made = create(vti("", name=name, ikey=int(name[1:])))
    address = AddAddress(
        tunnel=made.tunnel, reason="", netns="", interface=name, address="fd00::1/127"
    )
    return [made, address, SetUp(tunnel=made.tunnel, reason="", netns="", name=name)]


LOOK = ProbeUnderlay(tunnel="t", reason="", local="2001:db8::1", remote="2001:db8::2")


@pytest.mark.parametrize(
    ("ops", "limit"),
    [
        pytest.param([LOOK], 1500, id="a look"),
        pytest.param(bring_up("t1"), 3400, id="a new tunnel"),
        pytest.param(
            [op for number in range(64) for op in bring_up(f"t{number}")],
            64 * 2650,
            id="64 new ones",
        ),
    ],
)
def test_operations_in_the_thread(
    monkeypatch: pytest.MonkeyPatch, ops: Sequence[Op], limit: int
) -> None:
    monkeypatch.setattr(apply, "Requests", RefusingKernel)
    worker = Worker()
    worker.run([LOOK, *bring_up("t999")])
    with bytecodes() as counted:
        worker.run(ops)
    assert 0.8 * limit < counted.count < limit


@pytest.mark.parametrize(
    ("ops", "limit"),
    [
        pytest.param([LOOK], 530, id="a look"),
        pytest.param(bring_up("t1"), 750, id="a new tunnel"),
        pytest.param(
            [op for number in range(64) for op in bring_up(f"t{number}")],
            64 * 300,
            id="64 new tunnels",
        ),
    ],
)
async def test_operations_on_the_way_to_the_thread(ops: Sequence[Op], limit: int) -> None:
    stands: Any = World()
    kernel = Kernel(stands, lambda _: None)
    kernel._workers = stands
    await kernel.execute([LOOK])
    with bytecodes() as counted:
        await kernel.execute(ops)
    assert 0.7 * limit < counted.count < limit
