"""A vtid that starts over what an earlier one left: adopt, repair, remove only what is ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.world import World, sa
from vtid.config.keys import Config, ConfigLoaded
from vtid.config.load import load
from vtid.model.link import Clamp, Link, Route
from vtid.model.operation import (
    AddAddress,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    Op,
    ProbeUnderlay,
    SetClamp,
    SetLink,
    SetUp,
)
from vtid.model.status import TunnelState

TEXT = """
[[tunnel]]
connection = "V2-1"
interface = "vti{mark}"
addresses = ["2001:db8:ff::/127", "169.254.1.0/31"]
routes = "remote-ts"

[tunnel.sysctls.ipv4]
forwarding = 1

[[tunnel]]
connection = "V2-2"
interface = "vti{mark}"
"""
BOTH = load(TEXT)
SECOND = replace(BOTH, policies=BOTH.policies[1:])
FIRST_SA = sa(1, remote_ts=("10.2.0.0/16",))
SAS = (FIRST_SA, sa(2, "V2-2", 4))


def kinds(ops: list[Op]) -> set[type[Op]]:
    return {type(op) for op in ops} - {ProbeUnderlay}


def left_behind(config: Config = BOTH) -> World:
    """What a vtid leaves that was stopped while all was up."""
    world = World(config=config).start(SAS)
    assert world.link("vti3", "")
    return world


def picture(world: World) -> object:
    return world.links, world.addresses, world.routes, world.clamps


def started_again(world: World) -> set[type[Op]]:
    """Start vtid over a world; the kinds of operations that it took."""
    before = len(world.done)
    world.start(SAS)
    ops = world.done[before:]
    world.pass_time(60)
    assert {tunnel.state for tunnel in world.state.tunnels.values()} == {TunnelState.UP}
    assert world.tell() == []
    return kinds(ops)


def test_over_what_is_as_it_should_be_nothing_is_written() -> None:
    world = left_behind()
    before = picture(world)
    assert started_again(world) == set()
    assert picture(world) == before


@pytest.mark.parametrize(
    "older",
    [
        {"mtu": 1300},
        {"ikey": 41, "okey": 43},
        {"local": "2001:db8:1::9", "remote": "2001:db8:2::9"},
        {"alias": "vtid:of old"},
        {"disable_policy": False, "rp_filter": 1},
        {"link_local": False},
        {"sysctls": (("ipv4.forwarding", 0),)},
        {"vrf": "blue", "table": 7},
    ],
)
def test_settings_of_an_older_vtid_are_repaired_in_place(older: dict[str, object]) -> None:
    world = left_behind()
    before, index = picture_of_first(world), world.index_of("", "vti3")
    assert index
    world.links["", index] = replace(world.links["", index], **older)  # type: ignore[arg-type]
    ops = started_again(world)
    for _ in range(10):  # an MTU may be one that probes proved: the peer is asked first
        ops |= kinds(world.pass_time(1))
    assert SetLink in ops
    assert DeleteLink not in ops
    assert picture_of_first(world) == before


def picture_of_first(world: World) -> tuple[Link | None, set[str]]:
    link = world.link("vti3", "")
    # the fake kernel keeps the table of a VRF that was left
    return replace(link, table=254) if link else None, world.addresses_of("vti3")


def test_addresses_and_routes_of_an_older_vtid_go_once_the_new_ones_are_there() -> None:
    older = load(TEXT.replace("169.254.1.0/31", "169.254.9.0/31"))
    world = World(config=older).start((replace(FIRST_SA, remote_ts=("10.9.0.0/16",)), SAS[1]))
    world.config = BOTH
    before = len(world.done)
    assert started_again(world) >= {AddAddress, DeleteAddress, DeleteRoute}
    changes = [type(op) for op in world.done[before:] if isinstance(op, AddAddress | DeleteAddress)]
    assert changes == [AddAddress, DeleteAddress]
    assert world.addresses_of("vti3") == {"2001:db8:ff::/127", "169.254.1.0/31"}
    assert world.routes_of("vti3") == {Route("10.2.0.0/16", 0, 254)}


def test_a_half_finished_creation_is_finished() -> None:
    """The kernel has the link with our group only: no alias, no address, not up, no MSS."""
    world = left_behind()
    before, index = picture(world), world.index_of("", "vti3")
    assert index
    world.links["", index] = replace(
        world.links["", index], alias="", mtu=1332, up=False, disable_policy=False
    )
    world.addresses.pop(("", index))
    world.routes.pop(("", index))
    del world.clamps["", "vti3"]
    ops = started_again(world)
    assert ops >= {SetLink, AddAddress, SetUp, SetClamp}
    assert DeleteLink not in ops
    assert picture(world) == before


def test_a_half_finished_creation_that_nobody_wants_any_more_is_removed() -> None:
    world = World(config=BOTH)
    link = Link(
        netns="",
        name="vti9",
        kind="vti6",
        local="2001:db8:1::1",
        remote="2001:db8:2::1",
        ikey=9,
        okey=9,
        mtu=1332,
        alias="",
        up=False,
    )
    world.links["", 9] = link
    world.start(SAS)
    assert world.links["", 9] == link, "its SA may be about to come"
    world.pass_time(3.1)
    assert world.index_of("", "vti9") is None


def test_a_tunnel_that_left_the_configuration_meanwhile_is_removed_though_its_sa_lives() -> None:
    world = left_behind()
    world.clamps["", "vti77"] = Clamp(1300, 1280)
    world.config = SECOND
    world.start(SAS)
    assert world.index_of("", "vti3")
    world.pass_time(3.1)
    assert [link.name for link in world.links.values()] == ["vti4"]
    assert list(world.clamps) == [("", "vti4")]
    assert list(world.state.tunnels) == ["vti4"]


def test_nothing_goes_of_a_tunnel_that_left_the_configuration_while_charon_is_away() -> None:
    world = left_behind()
    world.config, before = SECOND, picture(world)
    world.state.__init__()  # type: ignore[misc]
    world.tell(ConfigLoaded(SECOND), world.links_in(""), world.clamps_in(""))
    assert world.pass_time(600) == []
    assert picture(world) == before
