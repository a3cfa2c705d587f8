"""Separate if_ids in and out: an interface for each direction, which live and go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.core.world import World, sa
from vtid.config.keys import ConfigLoaded
from vtid.config.load import ConfigError, load
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp
from vtid.model.operation import DeleteLink, SetLink

if TYPE_CHECKING:
    from vtid.model.sa import ChildSa

TEXT = """
[[tunnel]]
connection = "V2-1"
kind = "xfrm"
interface = "out0"
interface_in = "in0"
addresses = ["10.0.0.1/32"]
routes = [{to = "10.1.0.0/16"}]
"""


def both(unique_id: int, if_id_in: int, if_id_out: int) -> ChildSa:
    return sa(unique_id, mark=None, if_id_in=if_id_in, if_id_out=if_id_out)


def if_ids(world: World) -> dict[str, int]:
    return {link.name: link.if_id for link in world.links.values()}


def test_each_direction_has_its_interface_and_what_is_routed_goes_out() -> None:
    world = World(config=load(TEXT)).start([both(1, 7, 8)])
    assert if_ids(world) == {"in0": 7, "out0": 8}
    assert (len(world.addresses_of("out0")), len(world.routes_of("out0"))) == (1, 1)
    assert (len(world.addresses_of("in0")), len(world.routes_of("in0"))) == (0, 0)
    assert all(link.up for link in world.links.values())
    before = len(world.done)
    world.start([both(1, 7, 8)])
    assert [op for op in world.done[before:] if op.stage != 0] == []


def test_they_change_and_go_together() -> None:
    world = World(config=load(TEXT)).start([both(1, 7, 8)])
    assert world.tell(ChildRekeyed(1, both(2, 7, 8))) == []
    ops = world.tell(ChildUp(both(3, 9, 10)), ChildDown(2))
    assert {type(op) for op in ops} == {SetLink}
    assert if_ids(world) == {"in0": 9, "out0": 10}
    assert world.tell(ChildDown(3)) == []
    assert {type(op) for op in world.pass_time(3.1)} > {DeleteLink}
    assert if_ids(world) == {}


def test_names_from_if_ids() -> None:
    text = TEXT.replace('"out0"', '"x{if_id_out}"').replace('"in0"', '"x{if_id_in}"')
    world = World(config=load(text)).start([both(1, 7, 8)])
    assert if_ids(world) == {"x7": 7, "x8": 8}


def test_one_interface_does_where_the_if_ids_are_the_same() -> None:
    world = World(config=load(TEXT)).start([both(1, 7, 7)])
    assert if_ids(world) == {"out0": 7}


def test_an_inbound_interface_that_left_the_configuration_goes() -> None:
    world = World(config=load(TEXT)).start([both(1, 7, 8)])
    world.tell(ConfigLoaded(load(TEXT.replace('interface_in = "in0"', ""))))
    world.pass_time(3.1)
    assert "in0" not in if_ids(world)
    (problem,) = world.state.problems.values()
    assert "`interface_in = `" in problem


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "xfrm"', "", "a VTI has marks for both directions"),
        ('"in0"', '"out0"', "each needs a name of its own"),
        ('"in0"', '"a b"', "letters, digits"),
    ],
)
def test_what_makes_no_inbound_interface(old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(TEXT.replace(old, new))
