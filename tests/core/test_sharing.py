"""Several SAs and several peers on one interface."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.core.world import CBC, World, sa
from vtid.config.load import load
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp, SaSnapshot, UnderlaySeen
from vtid.model.operation import ProbeUnderlay
from vtid.model.sa import ChildSa, Mark

if TYPE_CHECKING:
    from vtid.config.keys import Config


def rw(unique_id: int, who: str, mark: int = 42, **facts: Any) -> ChildSa:
    host = f"2001:db8:9::{unique_id}"
    own: dict[str, Any] = {
        "connection": "rw",
        "remote_id": who,
        "ike_unique_id": unique_id,
        "remote_host": host,
    }
    return replace(sa(unique_id, mark=mark), **(own | facts))


def policy(*lines: str) -> Config:
    return load("\n".join(["[[tunnel]]", 'connection = "rw*"', *lines]))


ONE = policy('interface = "vti0"')
SHARED = policy('interface = "vti0"', 'remote = "any"')
XFRM = policy('interface = "xfrm0"', 'kind = "xfrm"', 'remote = "any"')
OWN = policy('interface = "rw-{remote_id}"')


def test_several_children_of_one_peer_are_one_tunnel() -> None:
    world = World(config=ONE).start([rw(1, "carol"), rw(2, "carol", child="six", esp=CBC)])
    assert not world.state.problems
    assert sorted(world.state.tunnels["vti0"].sas) == [1, 2]
    link = world.link("vti0", "")
    assert link
    assert link.mtu == 1406


def test_children_with_other_marks_cannot_share() -> None:
    world = World(config=ONE).start([rw(1, "carol"), rw(2, "carol", 43, child="six")])
    (problem,) = world.state.problems.values()
    assert "has other marks than rw/net{1}" in problem


def test_the_next_sa_of_a_child_may_bring_new_marks() -> None:
    world = World(config=ONE).start([rw(1, "carol")])
    world.tell(ChildUp(rw(2, "carol", 43)))
    assert not world.state.problems
    link = world.link("vti0", "")
    assert link
    assert link.ikey == 43


def test_a_second_peer_is_a_problem_until_the_first_has_gone() -> None:
    world = World(config=ONE).start([rw(1, "carol")])
    before = world.link("vti0", "")
    assert world.tell(ChildUp(rw(2, "dave"))) == []
    (problem,) = world.state.problems.values()
    assert "already serves carol" in problem
    assert 'remote = "any"' in problem
    assert world.link("vti0", "") == before
    world.tell(ChildRekeyed(1, rw(3, "carol")))
    assert world.state.problems
    world.tell(ChildDown(3))
    assert not world.state.problems
    link = world.link("vti0", "")
    assert link
    assert link.remote == "2001:db8:9::2"


def test_peers_that_wait_in_vain_leave_nothing_behind() -> None:
    world = World(config=ONE).start([rw(1, "carol")])
    for unique_id in range(2, 20):
        world.tell(ChildUp(rw(unique_id, "dave")), ChildDown(unique_id))
    claims = world.state._assignment
    assert not claims._waiting
    assert not claims._waits_for
    assert not claims.problems


def test_road_warriors_share_a_vti_with_any_remote() -> None:
    world = World(config=SHARED).start([rw(1, "carol"), rw(2, "dave")])
    assert not world.state.problems
    link = world.link("vti0", "")
    assert link
    assert (link.local, link.remote, link.ikey) == ("2001:db8:1::1", "::", 42)
    world.tell(UnderlaySeen("2001:db8:1::1", "2001:db8:9::1", 1400))
    link = world.link("vti0", "")
    assert link
    assert link.mtu == 1326
    world.tell(ChildDown(1))
    link = world.link("vti0", "")
    assert link
    assert link.mtu == 1426


def test_who_shares_has_the_same_marks_and_the_same_end() -> None:
    world = World(config=SHARED).start([rw(1, "carol")])
    world.tell(ChildUp(rw(2, "dave", 7)))
    world.tell(ChildUp(rw(3, "erin", local_host="2001:db8:1::2")))
    assert "has other marks" in world.state.problems[2]
    assert "2001:db8:1::2" in world.state.problems[3]
    world.tell(ChildUp(rw(4, "dave")))
    assert 4 not in world.state.problems


def test_road_warriors_share_an_xfrm_interface_whatever_their_outer_family() -> None:
    ids: dict[str, Any] = {"if_id_in": 7, "if_id_out": 7, "mark_in": None, "mark_out": None}
    four: dict[str, Any] = {"local_host": "192.0.2.1", "remote_host": "192.0.2.2"}
    world = World(config=XFRM).start([rw(1, "carol", **ids), rw(2, "dave", **ids, **four)])
    assert not world.state.problems
    assert world.link("xfrm0", "")


def test_an_interface_for_each_road_warrior_is_named_safely() -> None:
    ids = ["carol", "carol@example.org", "C=CH, CN=../../x\x1b", "dave"]
    sas = [rw(number, who, number) for number, who in enumerate(ids, 1)]
    world = World(config=OWN).start(sas)
    names = {link.name for link in world.links.values()}
    assert {"rw-carol", "rw-dave"} < names
    assert {name[:8] for name in names} == {"rw-carol", "rw-C=CH-", "rw-dave"}
    assert len(names) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9@=-]{1,15}", name) for name in names)
    before = sorted(world.links)
    world.tell(SaSnapshot(tuple(sas)))
    assert sorted(world.links) == before


def test_nobody_gets_the_interface_of_another_by_his_name() -> None:
    world = World(config=OWN).start([rw(1, "carol@example.org", 1)])
    (name,) = (link.name for link in world.links.values())
    world.tell(ChildUp(rw(2, name.removeprefix("rw-"), 2)))
    assert len(world.links) == 2
    # the same name from another connection, which the policy matches as well
    world.tell(ChildUp(rw(3, "carol@example.org", 3, connection="rw2")))
    assert "already serves carol@example.org of connection 'rw'" in world.state.problems[3]


def test_marks_with_masks_are_keys_too() -> None:
    world = World(config=ONE).start([rw(1, "carol")])
    world.tell(ChildUp(rw(2, "carol", child="x", mark_in=Mark(42, 0xFF))))
    assert "other marks" in world.state.problems[2]


VIP = policy(
    'interface = "rw-{remote_vip4}"',
    'addresses = ["10.0.0.1 peer {remote_vip4}/32", "fd00::1 peer {remote_vip6}/128"]',
)


def test_an_interface_is_named_and_addressed_from_the_virtual_ips() -> None:
    world = World(config=VIP).start([rw(1, "carol", 1, remote_vips=("10.1.0.7", "fd00::7"))])
    assert world.link("rw-10.1.0.7", "")
    assert world.addresses["", 11] == {"10.0.0.1 peer 10.1.0.7/32", "fd00::1 peer fd00::7/128"}
    world.tell(ChildUp(rw(2, "dave", 2, remote_vips=("10.1.0.8",))))
    assert "needs {remote_vip6}, but the peer has no such virtual IP" in world.state.problems[2]
    world.tell(ChildUp(rw(3, "erin", 3, remote_vips=("10.0.0.1", "fd00::9"))))
    assert "another address" in world.state.problems[3]


SPEAKS_BGP = """
[tunnel.bgp]
neighbor = "{remote_vip4}"
local_as = 65001
remote_as = 65002

[[bird]]
name = "private"
socket = "/run/bird.private.ctl"
include = "/etc/bird/vtid.private.conf"
"""


def test_a_bgp_neighbor_is_the_virtual_ip_of_its_peer() -> None:
    config = policy(
        'interface = "rw-{remote_id}"',
        'addresses = ["10.0.0.1 peer {remote_vip4}/32"]',
        SPEAKS_BGP,
    )
    world = World(config=config).start(
        [
            rw(1, "carol", 1, remote_vips=("10.1.0.7",)),
            rw(2, "dave", 2, remote_vips=("10.1.0.8",)),
        ]
    )
    (carol,) = world.blocks["private", "rw-carol"].sessions
    (dave,) = world.blocks["private", "rw-dave"].sessions
    assert (carol.neighbor, carol.local_address) == ("10.1.0.7", "10.0.0.1")
    assert (dave.neighbor, dave.families) == ("10.1.0.8", ("ipv4",))
    assert carol.name != dave.name
    world.tell(ChildUp(rw(3, "erin", 3)))
    assert "needs {remote_vip4}, but the peer has no such virtual IP" in world.state.problems[3]
    assert world.tell(ChildDown(1)) == []
    world.pass_time(4)
    assert list(world.blocks) == [("private", "rw-dave")]


def test_the_paths_to_all_peers_are_looked_up_at_once() -> None:
    world = World(config=SHARED).start()
    world.state.apply(SaSnapshot(tuple(rw(number, f"peer{number}") for number in range(1, 9))), 1)
    ops = world.state.work(world.now)
    assert [type(op) for op in ops] == [ProbeUnderlay] * 8
    assert len({op.remote for op in ops if isinstance(op, ProbeUnderlay)}) == 8
    assert world.state.tunnels["vti0"].desired.reason.endswith("2001:db8:9::1, 2001:db8:9::2, …")


def test_a_restart_leaves_a_contested_interface_where_it_is() -> None:
    world = World(config=ONE).start([rw(1, "alice")])
    world.tell(ChildUp(rw(2, "bob")), ChildRekeyed(1, rw(3, "alice", remote_host="2001:db8:9::1")))
    link = world.link("vti0", "")
    assert link
    world.start([rw(2, "bob"), rw(3, "alice", remote_host="2001:db8:9::1")])
    assert world.link("vti0", "") == link
    assert list(world.state.problems) == [2]
