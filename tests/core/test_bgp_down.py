"""Sessions of tunnels that are down."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.core.world import World, sa
from vtid.config.load import load
from vtid.model.input import ChildDown, ChildUp, FlushAsked, ViciLost
from vtid.model.operation import DeleteBird, Op, PutBird

if TYPE_CHECKING:
    from vtid.model.bgp import BirdBlock

TUNNEL = """
[[bird]]
name = "private"
socket = "/run/bird.private.ctl"
include = "/etc/bird/vtid.private.conf"

[[tunnel]]
connection = "V2-1"
interface = "vti3"
addresses = ["2001:db8:ff::/127"]
"""
SESSION = """
[[tunnel.bgp]]
neighbor = "2001:db8:ff::1"
local_as = 65001
remote_as = 65002
"""
KEPT = SESSION + 'present = "always"'
OTHER = SESSION.replace("ff::1", "fe::1") + 'name = "other"'

MIXED = load(TUNNEL + KEPT + OTHER)
ALWAYS = load(TUNNEL + KEPT)
DECLARED = load(
    TUNNEL
    + """presence = "always"
local = "2001:db8:1::1"
remote = "2001:db8:2::1"
mark = 3
esp = "aes256gcm16"
"""
    + SESSION
)


def of_bird(ops: list[Op]) -> list[Op]:
    return [op for op in ops if isinstance(op, PutBird | DeleteBird)]


def block(world: World) -> BirdBlock:
    (found,) = world.blocks.values()
    return found


def names(world: World) -> list[str]:
    return [session.name for session in block(world).sessions]


def test_a_session_that_is_always_there_is_there_before_any_sa() -> None:
    world = World(config=ALWAYS).start()
    assert of_bird(world.done) == []
    world.pass_time(4)
    assert names(world) == ["vtid_vti3_v6"]
    facts = block(world).facts
    assert facts
    assert facts.sa is None


def test_coming_and_going_changes_nothing_once_an_sa_was_there() -> None:
    world = World(config=ALWAYS).start([sa(1)])
    before = block(world)
    ops = world.tell(ChildDown(1)) + world.pass_time(60) + world.tell(ChildUp(sa(2)))
    assert of_bird(ops) == []
    assert block(world) == before


def test_a_session_is_switched_with_its_tunnel_and_not_while_that_is_held() -> None:
    world = World(config=load(TUNNEL + KEPT + '\non_down = "disable"')).start([sa(1)])
    assert block(world).switched == (("vtid_vti3_v6", True),)
    assert of_bird(world.tell(ChildDown(1))) == []
    before = block(world)
    world.pass_time(4)
    assert block(world) == replace(before, switched=(("vtid_vti3_v6", False),))
    world.tell(ChildUp(sa(2)))
    assert block(world) == before


def test_the_others_go_after_the_hold_time() -> None:
    world = World(config=MIXED).start([sa(1)])
    assert names(world) == ["vtid_vti3_v6", "other"]
    assert of_bird(world.tell(ChildDown(1))) == []
    world.pass_time(4)
    assert names(world) == ["vtid_vti3_v6"]
    world.tell(ChildUp(sa(2)))
    assert names(world) == ["vtid_vti3_v6", "other"]


def test_an_interface_that_is_declared_has_its_session_while_it_has_an_sa() -> None:
    world = World(config=DECLARED).start()
    world.pass_time(60)
    assert world.blocks == {}
    world.tell(ChildUp(sa(1)))
    assert names(world) == ["vtid_vti3_v6"]
    assert of_bird(world.tell(ChildDown(1))) == []
    assert [type(op) for op in of_bird(world.pass_time(4))] == [DeleteBird]


def test_nothing_goes_while_vici_is_lost() -> None:
    world = World(config=DECLARED).start([sa(1)])
    world.tell(ChildDown(1), ViciLost("gone"))
    assert of_bird(world.pass_time(60)) == []


def test_a_flush_takes_all() -> None:
    world = World(config=ALWAYS).start([sa(1)])
    world.tell(FlushAsked())
    assert world.blocks == {}
