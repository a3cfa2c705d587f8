"""What the log says of BGP sessions: those over tunnels, when they come up and go down."""

from __future__ import annotations

from tests.core.world import LAB_TEXT, World, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.model.bgp import BgpState
from vtid.model.input import BirdGone, BirdState, ChildDown, ChildUp, ModeAsked
from vtid.model.mode import Mode

NAME = "vtid_vti3_v6"


def bird(
    *protocols: BgpState, answered_at: float = 1.0, connected: bool = True, name: str = "private"
) -> BirdState:
    return BirdState(name, connected, answered_at=answered_at, protocols=protocols)


def session(info: str = "Established", name: str = "", last_error: str = "") -> BgpState:
    return BgpState(name or NAME, "up", info, "", neighbor="fe80::1", last_error=last_error)


def news(world: World) -> list[tuple[str, str, str]]:
    notes = [note for note in world.state.take_notes() if note.event.startswith("BGP")]
    return [(note.event, note.tunnel, note.detail) for note in notes]


def started() -> World:
    world = World().start([sa(1)])
    tunnel = world.state.tunnel("V2-1")
    assert tunnel
    assert [one.name for block in tunnel.observed.birds for one in block.sessions] == [NAME]
    world.tell(bird())
    world.state.take_notes()
    return world


def test_a_session_comes_up_and_goes_down() -> None:
    world = started()
    world.tell(bird(session("Active")))
    assert news(world) == []
    world.tell(bird(session()), bird(session()))
    assert news(world) == [("BGP up", "V2-1", f"{NAME} of private: Established, fe80::1")]
    world.tell(bird(session("Active", last_error="Hold timer expired")))
    words = f"{NAME} of private: Active, Hold timer expired, fe80::1"
    assert news(world) == [("BGP down", "V2-1", words)]


def test_what_is_up_at_the_start_is_no_news() -> None:
    world = World().start([sa(1)])
    world.tell(BirdState("private", connected=True))  # connected, and not asked yet
    world.tell(bird(session()), bird(session()))
    assert news(world) == []


def test_a_bird_that_is_away_says_nothing_of_its_sessions() -> None:
    world = started()
    world.tell(bird(session()))
    world.state.take_notes()
    world.tell(bird(connected=False))
    world.tell(bird(session()))
    assert news(world) == []
    world.tell(bird(connected=False), bird())
    assert news(world) == [("BGP down", "V2-1", f"{NAME} of private: not in BIRD any more")]


def test_a_session_that_a_drain_removes_still_is_of_its_tunnel() -> None:
    world = started()
    world.tell(bird(session()))
    world.state.take_notes()
    world.tell(ModeAsked(Mode.DRAINED, ("V2-1",)))
    world.tell(bird())
    assert [(event, tunnel) for event, tunnel, _ in news(world)] == [("BGP down", "V2-1")]


def test_sessions_of_others_are_no_news() -> None:
    world = started()
    world.tell(bird(session(name="uplink")), bird())
    assert news(world) == []


def test_a_bird_that_comes_back_to_the_configuration_begins_anew() -> None:
    world = started()
    world.tell(BirdGone("private"), bird(session()))
    assert news(world) == []


def test_of_a_bird_that_left_the_configuration_no_session_is_a_tunnels() -> None:
    world = started()
    without_bgp, _, _ = LAB_TEXT.partition("[tunnel.bgp]")
    world.state.apply(BirdGone("private"), world.now)
    world.tell(ConfigLoaded(load(without_bgp)))
    world.tell(bird(), bird(session()))
    assert news(world) == []


def test_after_the_sa_is_gone_and_back_the_session_is_known_again() -> None:
    world = started()
    world.tell(ChildDown(1))
    world.pass_time(10)
    world.tell(bird())
    world.state.take_notes()
    world.tell(ChildUp(sa(2)))
    world.tell(bird(session()))
    assert [(event, tunnel) for event, tunnel, _ in news(world)] == [("BGP up", "V2-1")]
