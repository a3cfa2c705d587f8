"""The life of tunnels in the core, against a world of dicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.core.world import CBC, LAB, World, sa
from vtid.config.keys import Config, ConfigLoaded
from vtid.config.load import load
from vtid.esp.algorithms import EspAlgorithms
from vtid.model.bgp import BirdBlock
from vtid.model.input import (
    AddressGone,
    ChildDown,
    ChildRekeyed,
    ChildUp,
    ClampSnapshot,
    FlushAsked,
    FullPassDue,
    IkeDown,
    IkeRekeyed,
    IkeUpdated,
    Input,
    LinkGone,
    LinkSnapshot,
    NetnsLost,
    OpDone,
    SaSnapshot,
    UnderlayChanged,
    UnderlaySeen,
    ViciLost,
)
from vtid.model.link import Clamp, Link
from vtid.model.operation import (
    AddAddress,
    CreateLink,
    DeleteBird,
    DeleteClamp,
    DeleteLink,
    Op,
    ProbeUnderlay,
    PutBird,
    SendProbe,
    SetClamp,
    SetLink,
    SetUp,
)
from vtid.model.sa import SaMode
from vtid.model.status import TunnelState


def kinds(ops: list[Op]) -> list[type[Op]]:
    return [type(op) for op in ops]


def state_of(world: World) -> TunnelState:
    return world.state.tunnels["private/vti3"].state


BRING_UP = [ProbeUnderlay, CreateLink, AddAddress, AddAddress, SetUp, SetClamp, PutBird]
TAKE_DOWN = [DeleteLink, DeleteClamp, DeleteBird]


def test_an_sa_brings_up_its_tunnel_in_order() -> None:
    world = World().start()
    assert kinds(world.tell(ChildUp(sa(1)))) == BRING_UP
    assert world.link() == Link(
        netns="private",
        name="vti3",
        kind="vti6",
        local="2001:db8:1::1",
        remote="2001:db8:2::1",
        ikey=3,
        okey=3,
        mtu=1426,
        alias="vtid:private/vti3 V2-1/*",
    )
    assert world.clamps == {("private", "vti3"): Clamp(mss4=1386, mss6=1366)}
    tunnel = world.state.tunnels["private/vti3"]
    assert tunnel.state is TunnelState.UP
    assert "AES_GCM_16-256 in IPv6" in tunnel.desired.reason


def test_mtu_follows_the_ciphers_of_a_new_sa() -> None:
    world = World().start([sa(1)])
    ops = world.tell(ChildRekeyed(1, sa(2, esp=CBC)))
    assert kinds(ops) == [SetLink, SetClamp, PutBird]
    link = world.link()
    assert link is not None
    assert link.mtu == 1406
    assert world.clamps["private", "vti3"] == Clamp(mss4=1366, mss6=1346)


def test_two_live_sas_count_with_the_smaller_mtu() -> None:
    world = World().start([sa(1, esp=CBC)])
    assert kinds(world.tell(ChildUp(sa(2)))) == [PutBird]
    assert kinds(world.tell(ChildDown(1))) == [SetLink, SetClamp, PutBird]


def test_a_rekey_is_no_event_for_the_data_path() -> None:
    world = World().start([sa(1)])
    assert world.tell(ChildRekeyed(1, sa(2))) == []
    assert world.tell(ChildDown(1)) == []
    assert world.pass_time(60) == []


def test_an_ike_rekey_keeps_the_children() -> None:
    world = World().start([sa(1)])
    assert world.tell(IkeRekeyed(1, 2), IkeDown(1)) == []
    assert world.pass_time(60) == []
    world.tell(IkeDown(2))
    assert kinds(world.pass_time(4)) == TAKE_DOWN


def test_all_goes_when_the_last_sa_has_been_gone_for_the_hold_time() -> None:
    world = World().start([sa(1)])
    assert world.tell(ChildDown(1)) == []
    assert state_of(world) is TunnelState.HOLDING
    assert world.pass_time(2.9) == []
    assert kinds(world.pass_time(0.2)) == TAKE_DOWN
    assert (world.links, world.clamps, world.blocks) == ({}, {}, {})
    assert state_of(world) is TunnelState.DOWN


def test_an_sa_within_the_hold_time_finds_its_interface() -> None:
    world = World().start([sa(1)])
    world.tell(ChildDown(1))
    world.pass_time(2)
    assert kinds(world.tell(ChildUp(sa(2)))) == [ProbeUnderlay]
    assert world.pass_time(60) == []


def test_nothing_is_deleted_while_vici_is_lost() -> None:
    world = World().start([sa(1)])
    world.tell(ChildDown(1), ViciLost("gone"))
    assert world.pass_time(600) == []
    assert world.tell(SaSnapshot(())) == []  # the hold time begins again: charon is just back
    assert world.pass_time(2.9) == []
    assert kinds(world.pass_time(0.2)) == TAKE_DOWN


def test_a_snapshot_replaces_all_sas() -> None:
    world = World().start([sa(1)])
    world.tell(ViciLost("charon restarts"))
    assert world.tell(SaSnapshot((sa(7, ike_unique_id=9),))) == []
    world.tell(ViciLost("charon restarts"), SaSnapshot(()))
    assert kinds(world.pass_time(3.1)) == TAKE_DOWN


def test_a_restart_over_a_converged_system_does_nothing_but_look() -> None:
    world = World().start([sa(1), sa(2, "V2-2", 4)])
    ops = world.start([sa(1), sa(2, "V2-2", 4)]).done
    done_before = len(ops)
    world.start([sa(1), sa(2, "V2-2", 4)])
    again = world.done[done_before:]
    # the edge of BIRD compares the text with the file, so handing it over is no push
    assert set(kinds(again)) == {ProbeUnderlay, PutBird}


def test_a_restart_removes_what_lost_its_sa_meanwhile_after_the_hold_time() -> None:
    world = World().start([sa(1)])
    world.start([])
    assert world.links
    assert kinds(world.pass_time(3.1)) == TAKE_DOWN


def test_nothing_is_deleted_before_the_sas_are_known() -> None:
    world = World().start([sa(1)])
    world.state.__init__()  # type: ignore[misc]
    world.tell(ConfigLoaded(LAB), world.links_in("private"), world.clamps_in("private"))
    world.tell(world.links_in(""), world.clamps_in(""))
    assert world.pass_time(600) == []


def test_a_tunnel_removed_from_the_configuration_goes_at_once() -> None:
    world = World().start([sa(1)])
    assert kinds(world.tell(ConfigLoaded(replace_tunnels()))) == TAKE_DOWN
    assert "private/vti3" not in world.state.tunnels


def replace_tunnels(**changes: Any) -> Config:
    """The lab's configuration without its first tunnel, or with that tunnel changed."""
    first = replace(LAB.policies[0], **changes)
    tunnels = (first, *LAB.policies[1:]) if changes else LAB.policies[1:]
    return replace(LAB, policies=tunnels)


def test_a_changed_address_is_added_before_the_old_one_goes() -> None:
    world = World().start([sa(1)])
    config = replace_tunnels(addresses=("2001:db8:ff::/127", "169.254.1.8/31"))
    ops = world.tell(ConfigLoaded(config))
    assert [(type(op).__name__, getattr(op, "address", "")) for op in ops] == [
        ("AddAddress", "169.254.1.8/31"),
        ("DeleteAddress", "169.254.1.0/31"),
        ("PutBird", ""),
    ]


def test_what_another_program_adds_stays_and_what_is_deleted_of_ours_comes_back() -> None:
    world = World().start([sa(1)])
    index = world.index_of("private", "vti3")
    assert index
    world.addresses["private", index].add("192.0.2.1/32")
    assert world.tell(world.links_in("private")) == []
    world.addresses["private", index].remove("169.254.1.0/31")
    ops = world.tell(AddressGone("private", index, "169.254.1.0/31"))
    assert kinds(ops) == [AddAddress]
    del world.links["private", index]
    ops = world.tell(LinkGone("private", index))
    assert kinds(ops) == [CreateLink, AddAddress, AddAddress, SetUp]


def test_what_another_program_added_stays_over_a_restart() -> None:
    other = sa(2, "V2-2")
    world = World().start([other])
    index = world.index_of("", "fixed0")
    assert index
    world.addresses["", index].add("192.0.2.1/32")
    world.start([other])
    world.tell(ChildDown(2))
    world.tell(ChildUp(sa(3, "V2-2")))
    assert "192.0.2.1/32" in world.addresses["", index]


def test_a_flushed_ruleset_is_put_back() -> None:
    world = World().start([sa(1)])
    world.clamps.clear()
    assert kinds(world.tell(ClampSnapshot("private", ()))) == [SetClamp]


def test_endpoints_and_keys_change_in_place() -> None:
    world = World().start([sa(1)])
    ops = world.tell(IkeUpdated(1, "2001:db8:1::9", "2001:db8:2::1"))
    assert kinds(ops) == [ProbeUnderlay, SetLink, PutBird]
    config = replace_tunnels(interface="vti-lab")
    world.tell(ConfigLoaded(config))
    ops = world.tell(ChildUp(sa(5, mark=77, ike_unique_id=2)))
    assert kinds(ops) == [ProbeUnderlay, SetLink, PutBird]
    link = world.link("vti-lab")
    assert link is not None
    assert (link.ikey, link.okey) == (77, 77)


def test_another_outer_family_needs_another_link() -> None:
    world = World().start([sa(1)])
    ops = world.tell(IkeUpdated(1, "192.0.2.1", "192.0.2.2"))
    assert kinds(ops)[:3] == [ProbeUnderlay, DeleteLink, CreateLink]
    link = world.link()
    assert link is not None
    assert (link.kind, link.mtu) == ("vti", 1446)


def test_the_underlay_is_followed() -> None:
    world = World().start([sa(1)])
    world.underlay_mtu = 1400
    assert kinds(world.tell(UnderlayChanged())) == [ProbeUnderlay, SetLink, SetClamp, PutBird]
    link = world.link()
    assert link is not None
    assert link.mtu == 1326


def test_without_a_route_the_last_mtu_stays_and_the_lookup_is_repeated() -> None:
    world = World(underlay_mtu=1400).start([sa(1)])
    world.tell(UnderlaySeen("2001:db8:1::1", "2001:db8:2::1", 0, error="no route"))
    link = world.link()
    assert link is not None
    assert link.mtu == 1326
    world.underlay_mtu = 1500
    assert kinds(world.pass_time(5.1)) == [ProbeUnderlay, SetLink, SetClamp, PutBird]


def test_a_path_that_was_never_known_is_assumed_and_said() -> None:
    world = World(underlay_mtu=0).start([sa(1)])
    link = world.link()
    assert link is not None
    assert link.mtu == 1426
    assert "assumed" in world.state.tunnels["private/vti3"].desired.reason


def test_an_unknown_cipher_gets_the_largest_overhead() -> None:
    world = World().start([sa(1, esp=EspAlgorithms("QUANTUM_9"))])
    link = world.link()
    assert link is not None
    assert link.mtu == 1390
    assert "QUANTUM_9" in world.state.tunnels["private/vti3"].desired.reason


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"mode": SaMode.TRANSPORT}, "transport mode"),
        ({"mark_in": None}, "no inbound mark"),
        ({"mark_in": None, "mark_out": None}, "mark_in = 42"),
    ],
)
def test_an_unusable_sa_is_a_problem_with_a_way_out_and_no_tunnel(
    bad: dict[str, object], words: str
) -> None:
    world = World().start([sa(2, "V2-2", 4)])
    assert world.tell(ChildUp(sa(1, **bad))) == []  # type: ignore[arg-type]
    (problem,) = world.state.problems.values()
    assert words in problem
    assert "V2-1" in problem
    assert world.link("fixed0", "") is not None
    world.tell(ChildDown(1))
    assert world.state.problems == {}


def test_two_policies_that_claim_one_sa_are_a_problem_of_that_sa_alone() -> None:
    both = replace(LAB.policies[0], connection="V2-*", interface="other{mark}")
    world = World(config=replace(LAB, policies=(*LAB.policies, both)))
    world.start([sa(1), sa(2, "V2-7", 9)])
    (problem,) = world.state.problems.values()
    assert "claimed by 2 policies" in problem
    assert world.link("other9") is not None


def test_a_name_that_is_too_long_is_a_problem() -> None:
    long = replace(LAB.policies[0], interface="{connection}")
    world = World(config=replace(LAB, policies=(long,)))
    long_sa = sa(1, connection="V2-1")
    world.start([long_sa])
    assert world.link("V2-1") is not None
    pattern = replace(long, connection="*")
    world = World(config=replace(LAB, policies=(pattern,)))
    world.start([sa(1, connection="a-very-long-name")])
    (problem,) = world.state.problems.values()
    assert "no interface name" in problem


def test_a_missing_namespace_stops_its_own_tunnels_only() -> None:
    world = World()
    world.state.apply(ConfigLoaded(LAB), world.now)
    world.tell(NetnsLost("private", "namespace 'private' is missing"))
    world.tell(LinkSnapshot("", (), ()), ClampSnapshot("", ()))
    world.tell(SaSnapshot((sa(1), sa(2, "V2-2", 4))))
    assert world.link("fixed0", "") is not None
    tunnel = world.state.tunnels["private/vti3"]
    assert state_of(world) is TunnelState.ERROR
    assert world.state.error_of(tunnel) == "namespace 'private' is missing"
    world.tell(ChildDown(2))
    assert world.pass_time(3.1) != []
    world.tell(LinkSnapshot("private", (), ()), ClampSnapshot("private", ()))
    assert world.link() is not None
    assert state_of(world) is TunnelState.UP


def test_a_failure_is_told_retried_with_backoff_and_stays_with_its_tunnel() -> None:
    world = World(failing={CreateLink: "File exists: vti3 is not vtid's"})
    world.start([sa(1)])
    tunnel = world.state.tunnels["private/vti3"]
    assert (tunnel.state, tunnel.progress.failures) == (TunnelState.ERROR, 1)
    assert world.pass_time(0.4) == []
    world.pass_time(0.2)
    assert tunnel.progress.failures == 2
    world.failing.clear()
    assert kinds(world.pass_time(1.1)) == [
        CreateLink,
        AddAddress,
        AddAddress,
        SetUp,
        SetClamp,
        PutBird,
    ]
    assert (tunnel.state, tunnel.progress.error, tunnel.progress.failures) == (
        TunnelState.UP,
        "",
        0,
    )


def test_a_new_input_clears_the_backoff() -> None:
    world = World(failing={CreateLink: "no"}).start([sa(1)])
    world.pass_time(0.6)
    world.failing.clear()
    assert CreateLink in kinds(world.tell(ChildUp(sa(2))))


def test_what_is_done_but_never_seen_is_an_error_and_no_busy_loop() -> None:
    world = World().start([sa(1)])
    index = world.index_of("private", "vti3")
    assert index
    deaf = world.links["private", index]
    world.execute = lambda _op: None  # type: ignore[method-assign, assignment]
    world.links["private", index] = replace(deaf, mtu=1400)
    world.tell(world.links_in("private"))
    tunnel = world.state.tunnels["private/vti3"]
    assert tunnel.state is TunnelState.ERROR
    assert "does not show it" in tunnel.progress.error


def test_leftovers_of_an_older_vtid_are_removed_after_the_hold_time() -> None:
    world = World().start([sa(1)])
    stray = replace(world.links["private", 11], name="vti99", ikey=99, okey=99)
    world.links["private", 50] = stray
    world.clamps["", "gone7"] = Clamp(1300, 1280)
    world.blocks["private", "vti55"] = BirdBlock("private", "vti55", ())
    world.start([sa(1)])
    assert world.pass_time(2.9) == []
    ops = world.pass_time(0.2)
    assert sorted((type(op).__name__, op.tunnel) for op in ops) == [
        ("DeleteBird", "vti55"),
        ("DeleteClamp", "gone7"),
        ("DeleteLink", "private/vti99"),
    ]
    assert world.link() is not None


def test_flush_removes_everything_until_the_configuration_is_loaded_again() -> None:
    world = World().start([sa(1)])
    world.tell(FlushAsked())
    assert (world.links, world.clamps, world.blocks) == ({}, {}, {})
    assert CreateLink in kinds(world.tell(ConfigLoaded(LAB)))


@pytest.mark.parametrize("event", [FlushAsked(), FullPassDue(), ConfigLoaded(LAB)], ids=type)
def test_what_operators_ask_for_does_not_wait_for_back_off(event: Input) -> None:
    world = World(failing={SetClamp: "no"}).start([sa(1)])
    for seconds in (0.5, 1, 2, 4, 8, 16):
        world.pass_time(seconds)
    assert world.state.tunnels["private/vti3"].progress.retry_at > world.now + 20
    world.failing.clear()
    world.tell(event)
    assert (world.link() is None) == isinstance(event, FlushAsked)
    assert world.state.tunnels["private/vti3"].progress.error == ""


def test_the_end_of_the_last_sa_does_not_wait_for_back_off() -> None:
    world = World(failing={SetClamp: "no"}).start([sa(1)])
    for seconds in (0.5, 1, 2, 4, 8, 16):
        world.pass_time(seconds)
    world.tell(ChildDown(1))  # tries the clamp again, in vain, so that a longer back-off begins
    assert world.state.tunnels["private/vti3"].progress.retry_at > world.now + 20
    world.pass_time(3.1)
    assert (world.link(), world.clamps) == (None, {})


def test_the_same_failure_is_not_tried_again_before_its_back_off_is_over() -> None:
    world = World(failing={SetClamp: "no"}).start([sa(1)])
    for seconds in (0.5, 1, 2, 4, 8, 16):
        world.pass_time(seconds)
    failures = world.state.tunnels["private/vti3"].progress.failures
    world.tell(ChildUp(sa(9, "V2-2", 4)))  # is about another tunnel
    world.pass_time(20)
    assert world.state.tunnels["private/vti3"].progress.failures == failures


def test_a_flush_removes_everything_also_while_vici_is_lost() -> None:
    world = World().start([sa(1)])
    world.tell(ViciLost("gone"))
    world.tell(FlushAsked())
    assert (world.links, world.clamps, world.blocks) == ({}, {}, {})


def test_preview_is_the_same_as_work_and_changes_nothing() -> None:
    world = World().start([sa(1)])
    assert world.state.preview(world.now) == ()
    world.clamps.clear()
    world.state.apply(ClampSnapshot("private", ()), world.now)
    first = world.state.preview(world.now)
    assert kinds(list(first)) == [SetClamp]
    assert world.state.preview(world.now) == first
    assert world.state.work(world.now, 10) == first


def test_nothing_grows_with_the_sas_that_come_and_go() -> None:
    world = World().start([sa(1)])
    for unique_id in range(1, 50):
        world.tell(ChildRekeyed(unique_id, sa(unique_id + 1)))
    world.tell(ChildDown(50))
    world.pass_time(4)
    state = world.state
    assert list(state._assignment.sas) == []
    assert not state._paths._users
    assert not any(state._observations._by_ifindex.values())
    assert not state._assignment.tunnels_of
    assert not state.underlay


def test_the_links_of_another_vtid_in_the_same_namespace_are_left_alone() -> None:
    world = World().start([sa(1)])
    other = replace(world.links["private", 11], name="vti9", outer_netns_ok=False)
    world.links["private", 77] = other
    assert world.tell(world.links_in("private")) == []
    world.start([sa(1)])
    world.pass_time(60)
    assert world.links["private", 77] == other
    assert "private/vti9" not in world.state.tunnels


TWO_BY_MARK = load("""
[[tunnel]]
connection = "A"
interface = "vti{mark}"
[[tunnel]]
connection = "B"
interface = "vti{mark}"
""")


def test_tunnels_of_passing_marks_do_not_pile_up() -> None:
    world = World(config=TWO_BY_MARK).start()
    for unique_id in range(1, 20):
        world.tell(ChildUp(sa(unique_id, "A", 100 + unique_id)))
        world.tell(ChildDown(unique_id))
        world.pass_time(4)
    assert list(world.state.tunnels) == ["vti119"]
    assert world.state.tunnels["vti119"].state is TunnelState.DOWN


def test_a_tunnel_that_makes_way_for_another_mark_has_its_hold_time() -> None:
    world = World(config=TWO_BY_MARK).start([sa(1, "A", 1)])
    world.tell(ChildUp(sa(2, "A", 2)))
    assert world.tell(ChildDown(1)) == []
    assert DeleteLink in kinds(world.pass_time(3.1))
    assert list(world.state.tunnels) == ["vti2"]


def test_a_mark_that_one_policy_has_no_use_for_any_more_serves_another() -> None:
    world = World(config=TWO_BY_MARK).start([sa(1, "A")])
    world.tell(ChildUp(sa(2, "B")))
    assert "already serves connection 'A'" in world.state.problems[2]
    world.tell(ChildDown(2), ChildDown(1), ChildUp(sa(3, "B")))
    assert not world.state.problems
    assert list(world.state.tunnels["vti3"].sas) == [3]


def test_a_reload_leaves_hold_times_alone() -> None:
    world = World().start([sa(1)])
    world.tell(ChildDown(1))
    assert world.tell(ConfigLoaded(LAB)) == []
    assert world.pass_time(2.9) == []
    assert DeleteLink in kinds(world.pass_time(0.2))


def test_a_reload_leaves_adopted_links_their_hold_time() -> None:
    world = World().start([sa(1)]).start()
    assert world.tell(ConfigLoaded(LAB)) == []
    assert DeleteLink in kinds(world.pass_time(3.1))


def test_a_path_that_changes_while_it_is_looked_up_is_looked_up_again() -> None:
    world = World().start([sa(1)])
    for _ in range(3):
        world.now += 1
        world.state.apply(UnderlayChanged(), world.now)
        ops = world.state.work(world.now, 10)
        assert kinds(list(ops)) == [ProbeUnderlay]
        world.state.apply(UnderlayChanged(), world.now + 0.5)
        world.now += 1
        for op in ops:
            world.state.apply(OpDone(op), world.now)
        again = [op for op in world.state.work(world.now, 10) if not isinstance(op, SendProbe)]
        assert kinds(again) == [ProbeUnderlay]
        for op in again:
            world.state.apply(OpDone(op), world.now)
        world.settle()
    assert state_of(world) is TunnelState.UP


def test_a_path_that_changes_while_its_namespace_is_lost_is_looked_up_later() -> None:
    world = World().start([sa(1)])
    world.underlay_mtu = 1400
    world.tell(NetnsLost("private", "missing"), UnderlayChanged())
    world.tell(world.links_in("private"), world.clamps_in("private"))
    assert world.state.tunnels["private/vti3"].desired.link == world.link()
    assert world.state.underlay["2001:db8:1::1", "2001:db8:2::1"].mtu == 1400


def test_an_error_is_over_when_nothing_is_left_to_do() -> None:
    world = World(failing={CreateLink: "no"}).start([sa(1)])
    assert state_of(world) is TunnelState.ERROR
    world.tell(ChildDown(1))
    world.pass_time(4)
    tunnel = world.state.tunnels["private/vti3"]
    assert (tunnel.state, tunnel.progress.error, tunnel.progress.failures) == (
        TunnelState.DOWN,
        "",
        0,
    )


def test_what_is_done_but_never_seen_is_told_once_and_tried_less_and_less() -> None:
    world = World().start([sa(1)])
    world.state.take_notes()
    world.execute = lambda _op: None  # type: ignore[method-assign, assignment]
    index = world.index_of("private", "vti3")
    assert index
    world.tell(AddressGone("private", index, "169.254.1.0/31"))
    tries = sum(len(world.pass_time(0.1)) for _ in range(600))
    assert 5 <= tries <= 8
    assert len([note for note in world.state.take_notes() if note.level == "error"]) == 1


def test_bird_forgets_a_tunnel_whose_namespace_left_the_configuration() -> None:
    world = World().start([sa(1)])
    world.config = load("""
        [[bird]]
        name = "private"
        socket = "/run/bird.private.ctl"
        include = "/etc/bird/vtid.private.conf"
    """)
    assert world.named_in_file() == ("private/vti3",)
    world.start([sa(1)])
    assert world.named_in_file() == ()
    assert not world.state.tunnels


def test_a_listing_that_comes_while_a_clamp_is_set_says_more_than_the_result() -> None:
    world = World().start([sa(1)])
    world.clamps.clear()
    world.state.apply(ClampSnapshot("private", ()), world.now)
    ops = world.state.work(world.now)
    assert kinds(list(ops)) == [SetClamp]
    # it was set, and then another program flushed the table before the result was posted
    world.state.apply(ClampSnapshot("private", ()), world.now)
    world.tell(OpDone(ops[0]))
    assert world.clamps == {("private", "vti3"): Clamp(mss4=1386, mss6=1366)}
    assert state_of(world) is TunnelState.UP
    assert world.state.tunnels["private/vti3"].progress.failures == 0


def test_what_the_kernel_tells_of_operations_under_way_waits_for_their_results() -> None:
    """It leads to one plan, when all of them are answered."""
    world = World().start()
    world.state.apply(ChildUp(sa(1)), world.now)
    (probe,) = world.state.work(world.now)
    world.run((probe,))
    *echoes, result = world.inbox
    world.inbox.clear()
    for event in echoes:
        world.state.apply(event, world.now)
        assert not world.state.has_work()
    world.state.apply(result, world.now)
    ops = world.state.work(world.now)
    assert CreateLink in kinds(list(ops))
    world.run(ops)
    for event in world.inbox:
        assert not world.state.has_work()
        world.state.apply(event, world.now)
    assert world.state.has_work()
    assert not world.state.work(world.now)
