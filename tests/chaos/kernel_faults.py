"""Faults of the kernel's state: what somebody changes of links, rules, namespaces and the underlay.

Rules of this file: what is removed of others' is put back as it was; of vtid's, nothing is.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.chaos.fault import fault
from tests.chaos.tunnels import TUNNELS
from tests.chaos.world import FOREIGN_TABLE, OUTER
from tests.charon import connect
from tests.lab.checks import direct
from vtid.model.link import LINK_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.chaos.tunnels import Tunnel
    from tests.chaos.world import World

VRF_RULE = 1000
"""Priority of the kernel's own rule for VRFs."""


def _ip(world: World, tunnel: Tunnel, words: str) -> None:
    world.ip(words, private=tunnel.private)


# --- links --------------------------------------------------------------------------------------


@fault("links")
def a_link_is_deleted(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    _ip(world, tunnel, f"link delete {tunnel.name}")
    yield


@fault("links")
def all_links_are_deleted(world: World, draw: Random) -> Iterator[None]:
    for private in (False, True):
        world.ip(f"link delete group {LINK_GROUP}", private=private)
    yield


@fault("links")
def a_link_is_renamed(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    _ip(
        world,
        tunnel,
        f"link set {tunnel.name} name {draw.choice(['other', 'zz.9', tunnel.name[::-1]])}",
    )
    yield


@fault("links")
def a_link_is_renamed_and_back(world: World, draw: Random) -> Iterator[None]:
    """Unless vtid has removed it or made another one meanwhile."""
    tunnel = draw.choice(TUNNELS)
    _ip(world, tunnel, f"link set {tunnel.name} name other")
    yield
    _ip(world, tunnel, f"link set other name {tunnel.name}")


@fault("links")
def two_links_change_names(world: World, draw: Random) -> Iterator[None]:
    one, other = draw.sample([tunnel for tunnel in TUNNELS if not tunnel.private], 2)
    world.ip(f"link set {one.name} name between")
    world.ip(f"link set {other.name} name {one.name}")
    world.ip(f"link set between name {other.name}")
    yield


@fault("links")
def a_link_is_set_down(world: World, draw: Random) -> Iterator[None]:
    for tunnel in draw.sample(TUNNELS, draw.choice([1, len(TUNNELS)])):
        _ip(world, tunnel, f"link set {tunnel.name} down")
    yield


@fault("links")
def a_link_has_another_mtu(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    _ip(world, tunnel, f"link set {tunnel.name} mtu {draw.choice([68, 576, 1279, 1280, 9000])}")
    yield


@fault("links")
def a_link_has_other_keys(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    kind = "vti6" if tunnel.kind == "vti" and tunnel.outer[0].startswith("2001") else tunnel.kind
    ends = f"local {tunnel.outer[0]} remote {tunnel.outer[1]} key 77"
    _ip(
        world,
        tunnel,
        f"link set {tunnel.name} type {kind} {'if_id 77' if kind == 'xfrm' else ends}",
    )
    yield


@fault("links")
def a_link_has_another_group(world: World, draw: Random) -> Iterator[None]:
    """It is nobody's then, so whoever did it has to undo it, or to delete it."""
    tunnel = draw.choice(TUNNELS)
    _ip(world, tunnel, f"link set {tunnel.name} group 5")
    yield
    if draw.random() < 1 / 2:
        _ip(world, tunnel, f"link set {tunnel.name} group {LINK_GROUP}")
    else:
        for private in (False, True):
            world.ip("link delete group 5", private=private)


@fault("links")
def a_link_is_moved_away(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    elsewhere = f"{world.private}-elsewhere"
    subprocess.run(["ip", "netns", "add", elsewhere], check=True)
    _ip(world, tunnel, f"link set {tunnel.name} netns {elsewhere}")
    yield
    subprocess.run(["ip", "netns", "delete", elsewhere], check=True)


@fault("links")
def a_link_has_a_master(world: World, draw: Random) -> Iterator[None]:
    """With the first VRF of a namespace, the kernel adds a rule, which stays when that is gone."""
    tunnel = draw.choice(TUNNELS)
    _ip(world, tunnel, "link add chaos-vrf type vrf table 500")
    _ip(world, tunnel, f"link set {tunnel.name} master chaos-vrf")
    yield
    _ip(world, tunnel, "link delete chaos-vrf")
    for family in ("-4", "-6"):
        _ip(world, tunnel, f"{family} rule delete priority {VRF_RULE}")


@fault("links")
def another_link_takes_the_name(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    with world.stopped_vtid():
        _ip(world, tunnel, f"link delete {tunnel.name}")
        _ip(world, tunnel, f"link add {tunnel.name} type bridge")
    yield
    _ip(world, tunnel, f"link delete {tunnel.name} type bridge")


@fault("links")
def addresses_are_removed(world: World, draw: Random) -> Iterator[None]:
    """But for the link-local one, which is the kernel's: it comes when the link goes up."""
    tunnel = draw.choice(TUNNELS)
    what = draw.choice(["", "-4 ", "-6 "])
    _ip(world, tunnel, f"{what}address flush dev {tunnel.name} scope global")
    yield


@fault("links")
def an_address_is_added(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    address = draw.choice(["10.9.9.9/32", "2001:db8:9::9/128"])
    _ip(world, tunnel, f"address add {address} dev {tunnel.name}")
    yield
    _ip(world, tunnel, f"address delete {address} dev {tunnel.name}")


@fault("links")
def routes_are_removed(world: World, draw: Random) -> Iterator[None]:
    for private in (False, True):
        for family in ("-4", "-6"):
            world.ip(f"{family} route flush table all proto 118", private=private)
    yield


@fault("links")
def a_route_is_replaced(world: World, draw: Random) -> Iterator[None]:
    """As another daemon's would: the same destination and metric, elsewhere."""
    world.ip("route replace 10.102.0.0/16 dev foreign0 proto 99")
    yield
    world.ip("route delete 10.102.0.0/16 dev foreign0 proto 99 metric 0")


@fault("links")
def settings_are_changed(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    with direct.inside(world.private if tunnel.private else world.a.netns):
        words = f"net.ipv4.conf.{tunnel.name}.rp_filter={draw.choice([1, 2])}"
        subprocess.run(["sysctl", "-qw", words], check=False)
    yield


# --- nftables -----------------------------------------------------------------------------------


@fault("nft")
def the_ruleset_is_flushed(world: World, draw: Random) -> Iterator[None]:
    where = draw.choice([(False,), (True,), (False, True)])
    for private in where:
        world.nft("flush ruleset", private=private)
    yield
    for private in where:
        world.nft("add table inet foreign\ndelete table inet foreign", private=private)
        world.nft(FOREIGN_TABLE, private=private)


@fault("nft")
def the_table_is_deleted(world: World, draw: Random) -> Iterator[None]:
    world.nft("delete table inet vtid", private=draw.random() < 1 / 2)
    yield


@fault("nft")
def the_table_is_changed(world: World, draw: Random) -> Iterator[None]:
    change = draw.choice(
        [
            "flush chain inet vtid clamp",
            "flush map inet vtid mss4_out",
            "add rule inet vtid clamp accept",
            "add table inet vtid { flags dormant; }",
            'add element inet vtid mss4_out { "stranger" : 100 }',
        ]
    )
    world.nft(change, private=draw.random() < 1 / 2)
    yield


# --- namespaces ---------------------------------------------------------------------------------


@fault("netns")
def the_namespace_is_made_anew(world: World, draw: Random) -> Iterator[None]:
    subprocess.run(["ip", "netns", "delete", world.private], check=True)
    yield
    subprocess.run(["ip", "netns", "add", world.private], check=True)
    world.ip("link set lo up", private=True)
    world.plant_foreign(private=True)


# --- the underlay -------------------------------------------------------------------------------


@fault("underlay")
def the_wire_is_down(world: World, draw: Random) -> Iterator[None]:
    world.ip("link set eth0 down")
    yield
    world.ip("link set eth0 up")
    world.add_addresses()


@fault("underlay")
def the_wire_has_another_mtu(world: World, draw: Random) -> Iterator[None]:
    world.ip(f"link set eth0 mtu {draw.choice([576, 1280, 1400, 9000])}")
    yield
    world.ip("link set eth0 mtu 1500")
    world.add_addresses()


@fault("underlay")
def the_wire_is_deleted(world: World, draw: Random) -> Iterator[None]:
    world.ip("link delete eth0")
    yield
    connect(world.a.netns, world.b.netns, list(OUTER["a"]), list(OUTER["b"]))


@fault("underlay")
def outer_addresses_are_removed(world: World, draw: Random) -> Iterator[None]:
    world.ip(f"{draw.choice(['-4', '-6', ''])} address flush dev eth0 scope global")
    yield
    world.add_addresses()


@fault("underlay")
def a_peer_has_no_route(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    world.ip(f"route add unreachable {tunnel.outer[1]}")
    yield
    world.ip(f"route delete unreachable {tunnel.outer[1]}")


@fault("underlay")
def a_peers_route_has_another_mtu(world: World, draw: Random) -> Iterator[None]:
    tunnel = draw.choice(TUNNELS)
    world.ip(f"route add {tunnel.outer[1]} dev eth0 mtu {draw.choice([1300, 1400])}")
    yield
    world.ip(f"route delete {tunnel.outer[1]} dev eth0")


@fault("underlay")
def nothing_arrives(world: World, draw: Random) -> Iterator[None]:
    chain = "table inet deaf { chain i { type filter hook input priority 0; iif eth0 drop; } }"
    world.nft(chain)
    yield
    world.nft("delete table inet deaf")
