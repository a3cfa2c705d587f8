"""What each tunnel remembers of the operations on it, and the details that show it."""

from __future__ import annotations

from tests.core.world import World, sa, status_of
from vtid.core.history import KEPT
from vtid.core.status import details
from vtid.model.input import ChildDown, ChildUp, ClampSnapshot
from vtid.model.operation import SetClamp
from vtid.model.status import PastOp, TunnelStatus


def history(world: World, name: str = "V2-1") -> tuple[PastOp, ...]:
    found = details(world.state, name, clock_offset=0)
    assert found
    return found.history


def test_what_was_done_is_told_in_its_order_with_the_reason() -> None:
    world = World().start()
    world.now = 1234.0
    world.tell(ChildUp(sa(1)))
    told = [(one.op, one.subject, one.result) for one in history(world)]
    assert told == [
        ("ProbeUnderlay", "2001:db8:2::1", "done"),
        ("CreateLink", "", "done"),
        ("AddAddress", "2001:db8:ff::/127", "done"),
        ("AddAddress", "169.254.1.0/31", "done"),
        ("SetUp", "up", "done"),
        ("SetClamp", "1386/1366", "done"),
        ("PutBird", "private", "done"),
    ]
    assert {one.at for one in history(world)} == {1234.0}
    assert history(world)[1].reason == (
        "V2-1/net{1} is up: MTU 1426 from AES_GCM_16-256 in IPv6, outer MTU 1500 on eth0"
    )
    assert history(world, "fixed0") == ()


def test_a_failure_is_told_with_its_error() -> None:
    world = World(failing={SetClamp: "nft: no"}).start([sa(1)])
    failed = [one for one in history(world) if one.result == "failed"]
    assert [(one.op, one.error) for one in failed] == [("SetClamp", "nft: no")]


def test_only_the_last_are_kept() -> None:
    world = World().start([sa(1)])
    for _ in range(2 * KEPT):
        world.tell(ClampSnapshot("private", ()))
    assert [one.op for one in history(world)] == ["SetClamp"] * KEPT


def test_times_are_unix_times() -> None:
    world = World().start([sa(1)])
    found = details(world.state, "V2-1", clock_offset=1e9)
    assert found
    assert {one.at for one in found.history} == {world.now + 1e9}


def test_a_tunnel_is_in_sync_when_nothing_is_left_to_do() -> None:
    def synced(world: World) -> bool:
        found = details(world.state, "V2-1", clock_offset=0)
        assert found
        return found.synced

    world = World().start([sa(1)])
    assert synced(world)
    world.state.apply(ChildDown(1), world.now)
    assert not synced(world)
    assert not synced(World(failing={SetClamp: "no"}).start([sa(1)]))
    assert synced(World().start())


def test_details_say_what_the_status_of_all_says() -> None:
    """By the label and by the interface, of tunnels that exist and of one that is awaited."""
    world = World().start([sa(1)])
    waiting = World().start([sa(1, mark=None)])
    for each in (world, waiting):
        for one in status_of(each, clock_offset=5).tunnels:
            for name in {one.tunnel, f"{one.netns}/{one.interface}".lstrip("/")}:
                found = details(each.state, name, clock_offset=5)
                assert found
                names = TunnelStatus.__slots__
                assert [getattr(found, at) for at in names] == [getattr(one, at) for at in names]
    assert details(world.state, "V2-9", clock_offset=5) is None
