"""Any operation may be refused for any time: it is told, others go on, and the end is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import World, sa, status_of
from vtid.config.keys import Config, ConfigLoaded
from vtid.config.load import load
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    CreateLink,
    DeleteAddress,
    DeleteBird,
    DeleteClamp,
    DeleteLink,
    DeleteRoute,
    Op,
    PutBird,
    SetClamp,
    SetLink,
)
from vtid.model.status import TunnelState

TEXT = """
[defaults]
hold_time = "1s"
[[bird]]
name = "main"
socket = "/run/bird.ctl"
include = "/etc/bird/vtid.conf"
[[tunnel]]
connection = "V2-1"
interface = "first"
addresses = ["2001:db8:ff::/127", "169.254.1.0/31"]
routes = "remote-ts"
[tunnel.bgp]
neighbor = "2001:db8:ff::1"
local_as = 65001
remote_as = 65002
[[tunnel]]
connection = "V2-2"
interface = "second"
addresses = ["2001:db8:ff::2/127"]
"""
CONFIG = load(TEXT)
CHANGED = load(
    TEXT.replace("2001:db8:ff::/127", "2001:db8:ff::4/127").replace(
        '"remote-ts"', '[{ to = "10.9.0.0/16" }]'
    )
)
EMPTY = load("")
FIRST = sa(1, "V2-1", 3, remote_ts=("10.2.0.0/16",))
SECOND = sa(2, "V2-2", 4)
LONG = 17.0 * 3600

BRINGS_UP = (CreateLink, AddAddress, AddRoute, SetClamp, PutBird)
"""But for SetUp: the routes that follow it are refused, too, and the world has none of that."""
CHANGES = (DeleteAddress, AddAddress, DeleteRoute, AddRoute)
REMOVES = (DeleteLink, DeleteClamp, DeleteBird)


def picture(world: World) -> object:
    """What there is, without the numbers that the kernel gives."""
    links = {link.name: link for link in world.links.values()}
    addresses = {name: world.addresses_of(name) for name in links}
    routes = {name: world.routes_of(name) for name in links}
    return links, addresses, routes, world.clamps, world.blocks


def errors(world: World) -> set[str]:
    return {one.error for one in status_of(world).tunnels if one.error}


def check_that_it_ends_well(world: World, undisturbed: World, error: str) -> None:
    """It is told as long as it lasts; two minutes after it ends, all is as without it."""
    for seconds in (0.0, 1.0, 60.0, LONG):
        world.pass_time(seconds)
        assert errors(world) == {error}
    world.failing.clear()
    for _ in range(4):
        world.pass_time(30.0)
    undisturbed.pass_time(120.0)
    assert picture(world) == picture(undisturbed)
    assert errors(world) == set()
    assert not any(tunnel.progress.failures for tunnel in world.state.tunnels.values())


def kind_of(op: type[Op]) -> str:
    return op.__name__


@pytest.mark.parametrize("op", BRINGS_UP, ids=kind_of)
def test_a_tunnel_that_comes_up(op: type[Op]) -> None:
    world = World(config=CONFIG, failing={op: "no"}).start([FIRST, SECOND])
    check_that_it_ends_well(world, World(config=CONFIG).start([FIRST, SECOND]), "no")
    states = {tunnel.state for tunnel in world.state.tunnels.values()}
    assert states == {TunnelState.UP}


def up(config: Config = CONFIG) -> World:
    return World(config=config).start([FIRST, SECOND])


@pytest.mark.parametrize("op", CHANGES, ids=kind_of)
def test_a_tunnel_that_changes(op: type[Op]) -> None:
    world, undisturbed = up(), up()
    world.failing = {op: "no"}
    for each in (world, undisturbed):
        each.tell(ConfigLoaded(CHANGED))
    check_that_it_ends_well(world, undisturbed, "no")


def test_a_link_that_is_repaired() -> None:
    world, undisturbed = up(), up()
    world.failing = {SetLink: "no"}
    ((_, index), link) = next(iter(world.links.items()))
    world.change_mtu(index, replace(link, mtu=1300))
    check_that_it_ends_well(world, undisturbed, "no")


@pytest.mark.parametrize("op", REMOVES, ids=kind_of)
def test_a_tunnel_that_goes(op: type[Op]) -> None:
    world, undisturbed = up(), up()
    world.failing = {op: "no"}
    for each in (world, undisturbed):
        each.tell(ConfigLoaded(EMPTY))
        each.pass_time(2.0)
    assert picture(world) != picture(undisturbed)
    check_that_it_ends_well(world, undisturbed, "no")
    assert not world.links


@pytest.mark.parametrize("op", [each for each in BRINGS_UP if not each.gates], ids=kind_of)
def test_what_does_not_build_on_it_is_done_all_the_same(op: type[Op]) -> None:
    world = World(config=CONFIG, failing={op: "no"}).start([FIRST, SECOND])
    done = {type(each) for each in world.done}
    assert done >= {*BRINGS_UP} - {op}
