"""What operators see of the state."""

from dataclasses import replace

from tests.core.world import World, sa
from vtid.core.status import status
from vtid.model.bgp import BgpState
from vtid.model.input import BirdState
from vtid.model.status import Status, TunnelStatus


def picture(world: World, *, tunnels: bool = True) -> Status:
    return status(
        world.state,
        tunnels=tunnels,
        version="1",
        started_at=0,
        config_loaded_at=0,
        config_error="",
        waiting_for=(),
        clock_offset=0,
    )


def tunnel(world: World) -> TunnelStatus:
    return next(one for one in picture(world).tunnels if one.interface == "vti3")


def test_the_picture_without_tunnels_is_else_the_same() -> None:
    world = World().start([sa(1)])
    whole = picture(world)
    assert whole.tunnels
    assert picture(world, tunnels=False) == replace(whole, tunnels=())


def test_sessions_are_those_of_their_bird() -> None:
    """A protocol of the same name in another BIRD is another one."""
    world = World().start([sa(1)])
    missing = tunnel(world).bgp[0]
    assert (missing.state, missing.bird) == ("", "private")

    name = missing.protocol
    ours = BgpState(name, "up", "Established", "", bird="private")
    other = BgpState(name, "start", "Active", "", bird="else")
    for bgp in (ours, other):
        world.tell(BirdState(bgp.bird, connected=True, protocols=(bgp,)))
    assert tunnel(world).bgp == (ours,)
