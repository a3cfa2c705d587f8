"""What operators see of the state."""

from tests.core.world import World, sa
from vtid.core.view import status
from vtid.model import BgpState, BirdState, TunnelStatus


def tunnel(world: World) -> TunnelStatus:
    whole = status(
        world.state,
        version="1",
        started_at=0,
        config_loaded_at=0,
        config_error="",
        waiting_for=(),
        clock_offset=0,
    )
    return next(one for one in whole.tunnels if one.interface == "vti3")


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
