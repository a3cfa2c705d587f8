"""Tunnels that the operator paused or drained, until they are resumed."""

from __future__ import annotations

import pytest

from tests.core.test_status import by_label
from tests.core.test_summary import of
from tests.core.world import World, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.modes import Modes
from vtid.model.input import ChildDown, ChildUp, ClampSnapshot, FlushAsked, ModeAsked
from vtid.model.mode import Mode
from vtid.model.operation import AddRoute, DeleteBird, DeleteRoute, Initiate, PutBird
from vtid.model.status import TunnelState

PAUSE, DRAIN, RESUME = (ModeAsked(mode) for mode in (Mode.PAUSED, Mode.DRAINED, Mode.MANAGED))


def kinds(ops: object) -> list[str]:
    assert isinstance(ops, list)
    return [type(op).__name__ for op in ops]


# --- pause ---------------------------------------------------------------------------------------


def test_a_paused_tunnel_stays_as_it_is_whatever_happens() -> None:
    world = World().start([sa(1)])
    assert world.tell(ModeAsked(Mode.PAUSED, ("V2-1",))) == []
    assert world.tell(ClampSnapshot("private", ())) == []
    assert world.tell(ChildDown(1)) == []
    assert world.pass_time(3600) == []
    assert world.state.preview(world.now) == ()
    assert world.link("vti3", "private")
    assert by_label(world)["V2-1"].mode is Mode.PAUSED
    assert by_label(world)["V2-1"].reason.startswith("paused by the operator")


def test_a_resumed_tunnel_is_put_right_at_once() -> None:
    world = World().start([sa(1)])
    world.tell(PAUSE, ClampSnapshot("private", ()))
    assert kinds(world.tell(RESUME)) == ["SetClamp"]
    world.tell(PAUSE, ChildDown(1))
    world.pass_time(3600)
    assert "DeleteLink" in kinds(world.tell(RESUME))
    assert world.link("vti3", "private") is None


def test_a_tunnel_may_be_paused_before_it_comes_up() -> None:
    world = World().start()
    world.tell(ModeAsked(Mode.PAUSED, ("V2-1",)))
    assert by_label(world)["V2-1"].mode is Mode.PAUSED
    assert world.tell(ChildUp(sa(1))) == []
    world.tell(ModeAsked(Mode.MANAGED, ("V2-1",)))
    assert by_label(world)["V2-1"].state is TunnelState.UP


def test_others_go_on() -> None:
    world = World().start()
    world.tell(ModeAsked(Mode.PAUSED, ("V2-1",)))
    world.tell(ChildUp(sa(1)), ChildUp(sa(2, "V2-2", 4)))
    assert {name: one.state is TunnelState.UP for name, one in by_label(world).items()} == {
        "V2-1": False,
        "fixed0": True,
    }


def test_a_reload_does_not_resume_and_a_flush_takes_all() -> None:
    world = World().start([sa(1)])
    world.tell(PAUSE)
    assert world.tell(ConfigLoaded(load(""))) == []
    assert "DeleteLink" in kinds(world.tell(FlushAsked()))
    assert not world.links


def test_charon_is_not_asked_to_initiate_what_is_paused() -> None:
    text = '[[tunnel]]\nconnection = "A"\nchild = "net"\ninterface = "{}"\ninitiate = true\n'
    for interface in ("vti1", "vti{mark}"):
        world = World(config=load(text.replace("{}", interface))).start()
        world.tell(PAUSE)
        world.pass_time(600)
        assert not [op for op in world.done if isinstance(op, Initiate)]
        world.tell(RESUME)
        world.pass_time(120)
        assert [op for op in world.done if isinstance(op, Initiate)]


# --- drain ---------------------------------------------------------------------------------------

ROUTED = """
[[tunnel]]
connection = "V2-1"
interface = "vti3"
netns = "private"
addresses = ["2001:db8:ff::/127"]
routes = [{ to = "10.2.0.0/16" }]
[tunnel.bgp]
neighbor = "2001:db8:ff::1"
local_as = 65001
remote_as = 65002
present = "always"
[[bird]]
name = "private"
socket = "/run/bird.private.ctl"
include = "/etc/bird/vtid.private.conf"
"""


def test_a_drained_tunnel_has_no_sessions_and_no_routes_and_stays_up() -> None:
    world = World(config=load(ROUTED)).start([sa(1)])
    assert world.blocks
    ops = world.tell(ModeAsked(Mode.DRAINED, ("private/vti3",)))
    assert sorted(kinds(ops)) == ["DeleteBird", "DeleteRoute"]
    assert not world.blocks
    shown = by_label(world)["private/vti3"]
    assert (shown.state, shown.mode, shown.routes) == (TunnelState.UP, Mode.DRAINED, ())
    assert shown.reason.endswith("; drained by the operator")
    assert sorted(kinds(world.tell(ModeAsked(Mode.MANAGED, ("private/vti3",))))) == [
        "AddRoute",
        "PutBird",
    ]
    assert world.blocks


def test_a_tunnel_that_comes_up_drained_gets_neither() -> None:
    world = World(config=load(ROUTED)).start()
    world.tell(DRAIN)
    ops = world.tell(ChildUp(sa(1)))
    assert "CreateLink" in kinds(ops)
    assert not [op for op in ops if isinstance(op, AddRoute | PutBird)]


@pytest.mark.parametrize("seconds", [1, 3600])
def test_a_drained_tunnel_may_go_down_and_be_resumed(seconds: int) -> None:
    world = World(config=load(ROUTED)).start([sa(1)])
    world.tell(DRAIN, ChildDown(1))
    world.pass_time(seconds)
    assert not world.blocks
    world.tell(RESUME)
    world.pass_time(60)
    world.tell(ChildUp(sa(2)))
    assert world.blocks
    assert len(by_label(world)["private/vti3"].routes) == 1
    assert not [op for op in world.done[-8:] if isinstance(op, DeleteBird | DeleteRoute)]


# --- which ---------------------------------------------------------------------------------------


def test_the_last_word_counts() -> None:
    modes = Modes()
    modes.use(("a", "b"), Mode.PAUSED)
    modes.use(("b",), Mode.DRAINED)
    assert [modes.of(name) for name in "abc"] == [Mode.PAUSED, Mode.DRAINED, Mode.MANAGED]
    modes.use((), Mode.PAUSED)
    modes.use(("b",), Mode.MANAGED)
    assert [modes.of(name) for name in "abc"] == [Mode.PAUSED, Mode.MANAGED, Mode.PAUSED]
    modes.use((), Mode.MANAGED)
    assert [modes.of(name) for name in "abc"] == [Mode.MANAGED] * 3


def test_the_summary_counts_them() -> None:
    world = World().start([sa(1)])

    def counts() -> tuple[int, int]:
        found = of(world.state)
        return found.paused, found.drained

    world.tell(ModeAsked(Mode.PAUSED, ("V2-1", "no-such")), ModeAsked(Mode.DRAINED, ("fixed0",)))
    assert counts() == (1, 1)
    world.tell(PAUSE)
    assert counts() == (2, 0)
    world.tell(ModeAsked(Mode.MANAGED, ("fixed0",)))
    assert counts() == (1, 0)
    world.tell(RESUME)
    assert counts() == (0, 0)


def test_a_paused_tunnel_has_nothing_under_way() -> None:
    world = World().start([sa(1)])
    world.tell(PAUSE, ChildDown(1))
    assert of(world.state).synced
