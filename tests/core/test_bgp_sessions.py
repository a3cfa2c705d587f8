"""BGP sessions for operators: each that is wanted is told, and why it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.core.world import LAB, LAB_TEXT, World, sa
from vtid.config.load import load
from vtid.core.bgp_sessions import sessions
from vtid.model.bgp import BgpState
from vtid.model.input import BirdRefusal, BirdState, ChildDown, ModeAsked
from vtid.model.mode import Mode
from vtid.model.status import BgpRow, TunnelState

if TYPE_CHECKING:
    from vtid.model.input import Input

NAME = next(iter(World(config=LAB).start([sa(1)]).blocks.values())).sessions[0].name


def rows(world: World, label: str = "") -> list[BgpRow]:
    return [row for of_one in sessions(world.state, label) for row in of_one]


def bird(*protocols: BgpState, **facts: object) -> BirdState:
    return BirdState("private", protocols=protocols, **{"connected": True, **facts})  # type: ignore[arg-type]


def up() -> World:
    return World(config=LAB).start([sa(1)])


def test_a_session_as_bird_has_it() -> None:
    world = up()
    state = BgpState(NAME, "up", "Established", "12:00", 5.0, "2001:db8:ff::1", bird="private")
    world.tell(bird(state))
    (row,) = rows(world)
    assert (row.tunnel, row.tunnel_state, row.missing) == ("V2-1", TunnelState.UP, "")
    assert (row.established, row.since_at, row.remote_as) == (True, 5.0, 65002)
    assert rows(world, "V2-1") == [row]
    assert rows(world, "fixed0") == []


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((), "BIRD private is not connected: not yet"),
        ((bird(connected=False, error="no socket"),), "BIRD private is not connected: no socket"),
        (
            (bird(refusal=BirdRefusal("f:3 syntax error", tunnels=("private/vti3",))),),
            "BIRD private refused it: f:3 syntax error",
        ),
        (
            (bird(refusal=BirdRefusal("of another", tunnels=("vti9",)), unconfirmed=True),),
            "BIRD private has yet to take its file",
        ),
        ((bird(error="does bird.conf include it?"),), "no such session: does bird.conf include"),
        ((ModeAsked(Mode.DRAINED, ("V2-1",)),), "the tunnel is drained"),
        ((ChildDown(1),), "BIRD private is not connected"),
    ],
)
def test_why_one_is_missing(events: tuple[Input, ...], why: str) -> None:
    world = up()
    world.tell(*events)
    (row,) = rows(world)
    assert why in row.missing
    assert (row.protocol, row.neighbor, row.established) == (NAME, "2001:db8:ff::1", False)


def test_a_tunnel_that_is_down_and_one_that_never_was() -> None:
    fixed = load(LAB_TEXT.replace("vti{mark}", "vti3"))
    (row,) = rows(World(config=fixed).start())
    assert row.missing == "the tunnel is down: no CHILD_SA; kept: hold time"
    world = World(config=LAB).start()
    (row,) = rows(world)
    assert (row.tunnel, row.missing) == ("V2-1", "no CHILD_SA of V2-1 since start")
    assert rows(world, "V2-1") == [row]


def test_a_template_is_told_once() -> None:
    text = LAB_TEXT.replace("2001:db8:ff::1", "{remote_vip6}", 1)
    text = text.replace('neighbor = "2001:db8:ff::1"', 'neighbor = "{remote_vip6}"')
    config = load(text.replace('addresses = ["{remote_vip6}', 'addresses = ["2001:db8:ff::'))
    world = World(config=config).start([sa(1, remote_vips=("2001:db8:7::7",))])
    assert [row.neighbor for row in rows(world)] == ["2001:db8:7::7"]
    world.tell(ChildDown(1))
    assert len(rows(world)) == 1
