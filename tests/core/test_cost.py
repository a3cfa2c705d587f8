"""What an event costs in the core: counted in bytecodes, with few tunnels and with many."""

from __future__ import annotations

import gc
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.bench.bench_core import configuration, peer, peers_of, world_of
from tests.core.world import World, sa
from tests.counting import bytecodes
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.model.input import (
    BirdSnapshot,
    ChildDown,
    ChildRekeyed,
    ChildUp,
    Input,
    LinkSnapshot,
    SaSnapshot,
    UnderlayChanged,
    UnderlaySeen,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.core.state import State

FEW, MANY = 10, 400
NEW = 1_000_000

REKEY: tuple[Input, ...] = (ChildRekeyed(1, sa(NEW, "c1", 1)), ChildDown(1))
LOSS_AND_RETURN: tuple[Input, ...] = (ChildDown(1), ChildUp(sa(NEW, "c1", 1, ike_unique_id=1)))


@cache
def cost(events: tuple[Input, ...], tunnels: int) -> int:
    """Bytecodes from inputs to rest, with everything that the kernel tells of it."""
    world = world_of(tunnels)
    with bytecodes() as counter:
        world.tell(*events)
    return counter.count


@pytest.mark.parametrize("events", [REKEY, LOSS_AND_RETURN])
def test_the_cost_of_an_event_does_not_grow_with_the_tunnels(events: tuple[Input, ...]) -> None:
    assert cost(events, MANY) <= 1.05 * cost(events, FEW)


@pytest.mark.parametrize(
    ("events", "limit"),
    [(REKEY, 3_500), (LOSS_AND_RETURN, 6_850)],
)
def test_an_event_costs_no_more_than_it_did(events: tuple[Input, ...], limit: int) -> None:
    assert cost(events, FEW) <= limit


def test_an_up_of_what_was_gone_costs_no_more_than_it_did() -> None:
    world = world_of(FEW)
    world.tell(ChildDown(1))
    world.pass_time(10.0)
    assert world.link("vti1", netns="") is None
    with bytecodes() as counter:
        world.tell(ChildUp(sa(NEW, "c1", 1, ike_unique_id=1)))
    assert world.link("vti1", netns="")
    assert counter.count <= 8_100


PATH = ("2001:db8:1::1", "2001:db8:2::1")
"""All tunnels use it."""


@pytest.mark.parametrize(
    "answer",
    [
        UnderlaySeen(*PATH, 1500, "eth0"),
        UnderlaySeen(*PATH, 1500, "eth0", learnt=1400, expires=600.0),
        UnderlaySeen(*PATH, 0, error="no route"),
    ],
)
def test_an_answer_that_is_known_costs_the_same_for_any_number_of_tunnels_on_the_path(
    answer: UnderlaySeen,
) -> None:
    def again(tunnels: int) -> int:
        return cost((answer, answer), tunnels) - cost((answer,), tunnels)

    assert again(MANY) <= 1.05 * again(FEW)


def test_looking_up_a_path_that_many_tunnels_use_costs_what_they_are_not_their_square() -> None:
    few, many = cost((UnderlayChanged(),), FEW), cost((UnderlayChanged(),), MANY)
    assert many <= 1.1 * MANY / FEW * few


def longest_step(event: Input, state: State) -> int:
    """Bytecodes of the longest step in which an input is filed, or tunnels are planned."""
    longest = before = 0
    with bytecodes() as counter:
        for _ in chain(state.filing(event, 1.0), state.working(1.0)):
            longest, before = max(longest, counter.count - before), counter.count
    return longest


@pytest.mark.parametrize(
    "event_of",
    [
        lambda world: ConfigLoaded(configuration(len(world.links))),
        lambda world: SaSnapshot(tuple(world.state.sas)),
        lambda _: SaSnapshot(()),
        lambda world: world.links_in(""),
        lambda _: LinkSnapshot("", (), ()),
        lambda world: world.clamps_in(""),
        lambda world: BirdSnapshot("private", tuple(world.state.tunnels)),
    ],
)
def test_no_step_of_an_input_about_all_tunnels_is_about_all(
    event_of: Callable[[World], Input],
) -> None:
    """A step does next to nothing for each tunnel: it looks at a field, or compares in a sort."""
    few, many = world_of(FEW), world_of(MANY)
    in_few, in_many = (longest_step(event_of(world), world.state) for world in (few, many))
    assert in_many - in_few <= 50 * MANY


@cache
def cost_among(peers: int) -> int:
    """Bytecodes until one of the peers that share an interface is gone, and back again."""
    world = peers_of(peers)
    with bytecodes() as counter:
        world.tell(ChildDown(1), ChildUp(peer(1)))
    return counter.count


def test_the_cost_of_an_event_does_not_grow_with_the_peers_of_an_interface() -> None:
    assert cost_among(MANY) <= 1.05 * cost_among(FEW)


ONE_PEER = load(
    '[[tunnel]]\nconnection = "c1"\ninterface = "vti1"\nnetns = "private"\nroutes = "remote-ts"\n'
)


def cost_of_children(number: int) -> int:
    """Bytecodes of a rekey, with all CHILD_SAs of one peer, whose selectors differ."""
    sas = [
        sa(one, "c1", 1, child=f"net{one}", remote_ts=(f"10.{one // 256}.{one % 256}.0/24",))
        for one in range(1, number + 1)
    ]
    world = World(config=ONE_PEER, checked=False).start(sas)
    with bytecodes() as counter:
        world.tell(ChildRekeyed(1, replace(sas[0], unique_id=NEW)))
    return counter.count


def test_the_cost_of_an_event_grows_with_the_sas_of_a_peer_not_with_their_square() -> None:
    assert cost_of_children(200) <= 5 * cost_of_children(50)


def test_a_rekey_leads_to_no_operation() -> None:
    assert not world_of(FEW).tell(*REKEY)


def objects(tunnels: int) -> int:
    """Objects of a core that has tunnels, and of the played kernel beside it."""
    gc.collect()
    before = len(gc.get_objects())
    world = world_of(tunnels)
    gc.collect()
    after = len(gc.get_objects())
    assert len(world.state.tunnels) == tunnels
    return after - before


def test_a_tunnel_is_few_objects() -> None:
    assert (objects(MANY) - objects(FEW)) / (MANY - FEW) <= 43
