"""What operators see of the state."""

from dataclasses import replace

from tests.core.world import World, sa, status_of
from vtid.config.keys import Config, ConfigLoaded
from vtid.config.load import load
from vtid.core.status import tunnel_rows
from vtid.model.bgp import BgpState
from vtid.model.input import BirdState, ChildDown, ChildUp
from vtid.model.status import PatternStatus, TunnelState, TunnelStatus


def tunnel(world: World) -> TunnelStatus:
    return next(one for one in status_of(world).tunnels if one.interface == "vti3")


def test_the_picture_without_tunnels_is_else_the_same() -> None:
    world = World().start([sa(1)])
    whole = status_of(world)
    assert whole.tunnels
    assert status_of(world, tunnels=False) == replace(whole, tunnels=(), patterns=())


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


def by_label(world: World) -> dict[str, TunnelStatus]:
    return {one.tunnel: one for one in status_of(world).tunnels}


def test_a_tunnel_that_never_came_up_is_there_with_its_reason() -> None:
    world = World().start()
    awaited = by_label(world)["V2-1"]
    assert (awaited.interface, awaited.netns, awaited.state) == (
        "vti{mark}",
        "private",
        TunnelState.DOWN,
    )
    assert awaited.reason == "no CHILD_SA of V2-1 since start"
    assert by_label(world)["fixed0"].reason == "no CHILD_SA of V2-2 since start"
    world.tell(ChildUp(sa(1)))
    assert list(by_label(world)) == ["V2-1", "fixed0"]
    there = by_label(world)["V2-1"]
    assert (there.interface, there.state, there.series) == ("vti3", TunnelState.UP, True)


def test_a_tunnel_whose_sa_was_refused_says_why() -> None:
    world = World().start([sa(1, mark=None)])
    awaited = by_label(world)["V2-1"]
    assert awaited.state is TunnelState.ERROR
    assert "has no mark" in awaited.error


def test_the_refusal_of_another_child_is_not_shown() -> None:
    text = '[[tunnel]]\nconnection = "A"\nchild = "x"\ninterface = "vti{mark}"\n'
    text += text.replace('"x"', '"y"')
    world = World(config=load(text)).start([sa(1, "A", None, child="y")])
    assert {name: one.state for name, one in by_label(world).items()} == {
        "A/x": TunnelState.DOWN,
        "A/y": TunnelState.ERROR,
    }


def test_an_interface_that_was_replaced_is_listed_without_series() -> None:
    world = World().start([sa(1), sa(2, mark=9)])
    found = by_label(world)
    assert (found["V2-1"].interface, found["V2-1"].series) == ("vti9", True)
    assert (found["private/vti3"].interface, found["private/vti3"].series) == ("vti3", False)


def test_what_fits_is_shown_while_there_is_an_sa() -> None:
    world = World(underlay_mtu=1300).start([sa(1)])
    link = tunnel(world).link
    assert link
    assert (link.mtu, tunnel(world).path_mtu) == (1280, 1226)
    world.tell(ChildDown(1))
    assert tunnel(world).path_mtu == 0


def test_a_pattern_counts_its_tunnels() -> None:
    text = '[[tunnel]]\nconnection = "site-*"\ninterface = "vti{mark}"\n'
    world = World(config=load(text)).start()
    assert status_of(world).patterns == (PatternStatus("site-*/*", "vti{mark}", "", 0, 0),)
    world.tell(ChildUp(sa(1, "site-1", 1)), ChildUp(sa(2, "site-2", 2)), ChildDown(2))
    assert status_of(world).patterns == (PatternStatus("site-*/*", "vti{mark}", "", 2, 1),)
    assert [one.tunnel for one in status_of(world).tunnels] == ["vti1", "vti2"]


def test_tunnels_that_change_while_they_are_listed_are_listed_once_or_not_at_all() -> None:
    """Rows are written in turns; the state may change between two of them."""

    def plain(*numbers: int) -> Config:
        tables = (f'[[tunnel]]\nconnection = "c{one}"\ninterface = "v{one}"\n' for one in numbers)
        return load("".join(tables))

    world = World(config=plain(1, 2, 3)).start([sa(one, f"c{one}", one) for one in (1, 2, 3)])
    rows = tunnel_rows(world.state, 0.0)
    seen = [next(rows).tunnel]
    world.tell(ConfigLoaded(plain(1, 3, 4)))
    assert list(world.state.tunnels) == ["v1", "v3", "v4"]
    assert [*seen, *(row.tunnel for row in rows)] == ["v1", "v3"]
