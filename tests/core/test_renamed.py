"""An interface that somebody renames keeps what is on it, and its traffic counts once."""

from __future__ import annotations

from dataclasses import replace

from tests.core.world import World, sa
from vtid.config.load import load
from vtid.model.counts import LinkCounters
from vtid.model.input import LinkSeen

CONFIG = load(
    """
[[tunnel]]
connection = "A"
interface = "vti1"
addresses = ["10.0.1.1/31", "2001:db8:1::1/127"]
routes = [{to = "10.1.0.0/16"}]

[[tunnel]]
connection = "B"
interface = "vti2"
addresses = ["10.0.2.1/31"]
routes = [{to = "10.2.0.0/16"}]
"""
)
COUNTED = LinkCounters(rx_bytes=700, rx_packets=7)


def two() -> World:
    return World(config=CONFIG).start(
        [sa(1, "A", 1), sa(2, "B", 2, remote_host="2001:db8:2::2", ike_unique_id=2)]
    )


def index(world: World, name: str) -> int:
    found = world.index_of("", name)
    assert found
    return found


def rename(world: World, ifindex: int, name: str) -> None:
    """Rename a link, without giving vtid the time to do anything about it."""
    link = replace(world.links["", ifindex], name=name)
    world.links["", ifindex] = link
    world.state.apply(LinkSeen(link, ifindex), world.now)


def test_forth_and_back_nothing_is_to_do() -> None:
    world = two()
    renamed = index(world, "vti1")
    rename(world, renamed, "other")
    assert not world.state.tunnels["vti1"].observed.link
    assert world.state.tunnels["other"].observed.addresses == world.addresses_of("other")
    rename(world, renamed, "vti1")
    assert world.pass_time(0) == []
    assert world.state.tunnels["vti1"].observed.addresses == world.addresses_of("vti1")


def test_forth_and_back_it_counts_on() -> None:
    world = two()
    renamed = index(world, "vti1")
    world.state.count_traffic("", [(renamed, COUNTED)])
    for name in ("other", "vti1"):
        rename(world, renamed, name)
    world.state.count_traffic("", [(renamed, COUNTED)])
    assert world.state.labels.tallies.counts("vti1").traffic == COUNTED


def test_two_that_changed_names_are_put_right_in_place() -> None:
    world = two()
    first, second = index(world, "vti1"), index(world, "vti2")
    before = {name: set(world.addresses_of(name)) for name in ("vti1", "vti2")}
    for ifindex, name in ((first, "between"), (second, "vti1"), (first, "vti2")):
        rename(world, ifindex, name)
    world.settle()
    assert {name: world.addresses_of(name) for name in before} == before
    assert {route.to for route in world.routes_of("vti1")} == {"10.1.0.0/16"}
    assert {route.to for route in world.routes_of("vti2")} == {"10.2.0.0/16"}
    assert all(tunnel.progress.settled for tunnel in world.state.tunnels.values())
