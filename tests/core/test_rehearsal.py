"""A rehearsal says what the state would do, and the state does not notice it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.bench.bench_core import world_of
from tests.core.test_random_walk import EVERY_KIND
from tests.core.world import LAB, LAB_TEXT, World, sa
from tests.counting import bytecodes
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.rehearsal import Rehearsal
from vtid.model.input import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    FlushAsked,
    ModeAsked,
    NetnsLost,
    UnderlaySeen,
    ViciLost,
)
from vtid.model.mode import Mode
from vtid.model.operation import CreateLink, DeleteLink, Op, ProbeUnderlay, SetLink

if TYPE_CHECKING:
    from vtid.config.keys import Config
    from vtid.model.input import Input

SAS = (
    sa(1, "V2-1", 3),
    sa(2, "V2-2", 4, remote_host="2001:db8:2::2"),
    sa(3, "kept", 5, remote_host="2001:db8:2::3"),
    sa(4, "all", 8, remote_host="2001:db8:2::4"),
    sa(5, "all", 8, remote_host="2001:db8:2::5"),
    sa(6, "each", 9, remote_host="2001:db8:2::6", remote_id="carol"),
    sa(7, "stranger", 10),
)

MORE = """
[[tunnel]]
connection = "stranger"
interface = "new0"
addresses = ["10.0.0.1/30"]
routes = [{ to = "10.9.0.0/16" }]
"""

PROBED = replace(
    EVERY_KIND,
    policies=tuple(replace(one, mtu=1300, addresses=()) for one in EVERY_KIND.policies),
)

OTHERS = {
    "the same": EVERY_KIND,
    "nothing": load(""),
    "fewer": load(LAB_TEXT),
    "other settings": PROBED,
    "other names": load(LAB_TEXT.replace("vti{mark}", "other").replace("fixed0", "fixed1")),
    "more": load(LAB_TEXT + MORE),
    "other place": load(LAB_TEXT.replace('netns = "private"\n', "")),
}


def done(world: World, config: Config) -> list[Op]:
    """What a state does about a configuration, without lookups."""
    return [op for op in world.tell(ConfigLoaded(config)) if not isinstance(op, ProbeUnderlay)]


def rehearsed(world: World, config: Config) -> list[Op]:
    rehearsal = Rehearsal(world.state.memory(), world.config, world.now)
    ops = rehearsal.use(config)
    lookups = [op for op in ops if isinstance(op, ProbeUnderlay)]
    seen = [UnderlaySeen(op.local, op.remote, world.underlay_mtu, "eth0") for op in lookups]
    return [op for op in (*ops, *rehearsal.saw(seen, lookups)) if op not in lookups]


HISTORIES: dict[str, tuple[Input, ...]] = {
    "up": (),
    "some are down": (ChildDown(1), ChildDown(3), ChildDown(5), ChildDown(6)),
    "charon is lost": (ChildDown(2), ViciLost("away")),
    "a namespace is lost": (NetnsLost("private", "missing"),),
    "flushed": (FlushAsked(),),
    "paused": (ModeAsked(Mode.PAUSED, ("fixed0", "V2-1")),),
    "drained": (ModeAsked(Mode.DRAINED),),
    "a duplicate": (ChildUp(sa(9, "V2-1", 3)), ChildDown(1)),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("history", HISTORIES)
def test_what_is_rehearsed_is_what_is_done(history: str, other: str) -> None:
    world = World(config=EVERY_KIND).start(SAS)
    world.tell(*HISTORIES[history])
    world.pass_time(1.0)
    found = rehearsed(world, OTHERS[other])
    before = world.state.preview(world.now)
    assert world.state.preview(world.now) == before
    assert sorted(found, key=str) == sorted(done(world, OTHERS[other]), key=str)


def test_the_hold_time_goes_on() -> None:
    world = World(config=EVERY_KIND).start(SAS)
    world.tell(ChildDown(2))
    world.pass_time(2.0)
    assert not rehearsed(world, EVERY_KIND)
    world.now += 1.5
    assert [type(op).__name__ for op in rehearsed(world, EVERY_KIND)] == [
        "DeleteLink",
        "DeleteClamp",
    ]


def test_an_interface_stays_with_the_peer_that_it_serves() -> None:
    """Another one claims it with an older SA: whoever came first has it, also after a rekey."""
    first = sa(1, remote_id="dave")
    world = World(config=EVERY_KIND).start([first])
    world.tell(ChildUp(sa(2, remote_id="carol")), ChildRekeyed(1, replace(first, unique_id=3)))
    assert not rehearsed(world, EVERY_KIND)


@pytest.mark.parametrize(
    "keys",
    [
        'interface = "vti{mark}"\non_down = "down"',
        'interface = "vti3"\nhold_time = "1h"\nroutes = [{ to = "10.9.0.0/16" }]',
    ],
)
def test_what_is_kept_without_sa_stays_as_it_is(keys: str) -> None:
    """An interface that is named after its SA, and routes that the SA asked for."""
    config = load(f'[[tunnel]]\nconnection = "V2-1"\n{keys}\n')
    world = World(config=config).start([sa(1)])
    world.tell(ChildDown(1))
    world.pass_time(600)
    assert world.links
    assert not rehearsed(world, config)
    assert rehearsed(world, load(""))


def test_a_removed_policy_shows_what_goes_at_once() -> None:
    world = World(config=EVERY_KIND).start(SAS)
    gone = [op.name for op in rehearsed(world, load("")) if isinstance(op, DeleteLink)]
    assert sorted(gone) == sorted(link.name for link in world.links.values())


def test_a_new_tunnel_is_planned_to_its_end() -> None:
    world = World(config=LAB, underlay_mtu=1400).start(SAS)
    (created,) = [op for op in rehearsed(world, OTHERS["more"]) if isinstance(op, CreateLink)]
    assert (created.link.name, created.link.mtu) == ("new0", 1326)


def test_what_probes_proved_stays_while_there_are_probes() -> None:
    world = World(config=LAB).start([sa(1, "V2-1", 3)])
    (tunnel,) = (one for one in world.state.tunnels.values() if one.label == "V2-1")
    tunnel.proven = 1290
    world.state._tunnels.changed(tunnel)
    world.settle()
    assert not rehearsed(world, LAB)
    off = load("[defaults.probe]\nmtu = false\n" + LAB_TEXT)
    (change,) = [op for op in rehearsed(world, off) if isinstance(op, SetLink)]
    assert (change.changes, change.link.mtu > 1290) == (("mtu",), True)


def test_the_blocks_that_a_bird_is_to_have() -> None:
    world = World(config=LAB).start(SAS)
    rehearsal = Rehearsal(world.state.memory(), LAB, world.now)
    rehearsal.use(LAB)
    assert rehearsal.blocks("private") == tuple(world.blocks.values())
    assert rehearsal.blocks("other") == ()


def test_a_memory_is_quick_and_holds_nothing_that_changes() -> None:
    """A few bytecodes a tunnel: the loop waits for it."""
    world = world_of(200)
    with bytecodes() as counter:
        memory = world.state.memory()
    assert counter.count <= 200 * 40
    link = next(iter(world.links.values()))
    before = [facts.observed.link for facts, *_ in memory.tunnels()]
    world.change_mtu(next(iter(world.links))[1], replace(link, mtu=900))
    assert [facts.observed.link for facts, *_ in memory.tunnels()] == before
