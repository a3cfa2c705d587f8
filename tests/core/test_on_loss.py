"""`on_loss`: whether traffic waits for the next SA, or leaves at once."""

from __future__ import annotations

import pytest

from tests.core.world import World, sa
from vtid.config.load import ConfigError, load
from vtid.model.input import ChildDown, ChildUp, FullPassDue, ViciLost
from vtid.model.operation import (
    AddRoute,
    DeleteBird,
    DeleteLink,
    DeleteRoute,
    Op,
    ProbeUnderlay,
    PutBird,
)

TUNNEL = """
[[tunnel]]
connection = "V2-1"
interface = "vti3"
addresses = ["10.0.0.0/31"]
routes = [{{ to = "10.1.0.0/16" }}]
hold_time = "1m"
on_loss = "{on_loss}"
[[tunnel.bgp]]
neighbor = "10.0.0.1"
local_as = 65001
remote_as = 65002
{bgp}
[[bird]]
name = "private"
socket = "/run/bird.ctl"
include = "/etc/bird/vtid.conf"
"""


def world(on_loss: str, bgp: str = "") -> World:
    started = World(config=load(TUNNEL.format(on_loss=on_loss, bgp=bgp)))
    return started.start([sa(1)])


def kinds(ops: list[Op]) -> list[type[Op]]:
    return [type(op) for op in ops]


def switched(here: World) -> dict[str, bool]:
    (block,) = here.blocks.values()
    return dict(block.switched)


def test_traffic_waits_through_the_hold_time() -> None:
    here = world("hold")
    assert here.tell(ChildDown(1)) == []
    assert switched(here) == {}


def test_traffic_leaves_at_once_and_the_interface_waits() -> None:
    here = world("withdraw")
    link, addresses, clamps = here.link("vti3", ""), here.addresses_of("vti3"), dict(here.clamps)
    assert set(switched(here).values()) == {True}
    assert kinds(here.tell(ChildDown(1))) == [DeleteRoute, PutBird]
    assert set(switched(here).values()) == {False}
    assert here.routes_of("vti3") == set()
    assert (here.link("vti3", ""), here.addresses_of("vti3"), here.clamps) == (
        link,
        addresses,
        clamps,
    )
    assert "withdrawn" in here.state.tunnels["vti3"].desired.reason
    assert kinds(here.tell(ChildUp(sa(2)))) == [ProbeUnderlay, AddRoute, PutBird]
    assert set(switched(here).values()) == {True}
    assert len(here.routes_of("vti3")) == 1


def test_after_the_hold_time_all_is_gone() -> None:
    here = world("withdraw")
    here.tell(ChildDown(1))
    assert {DeleteLink, DeleteBird} <= set(kinds(here.pass_time(61)))


def test_a_session_that_is_always_there_is_enabled_again_after_the_hold_time() -> None:
    here = world("withdraw", 'present = "always"')
    here.tell(ChildDown(1))
    assert set(switched(here).values()) == {False}
    here.pass_time(61)
    assert set(switched(here).values()) == {True}
    disabled = world("withdraw", 'present = "always"\non_down = "disable"')
    disabled.tell(ChildDown(1))
    disabled.pass_time(61)
    assert set(switched(disabled).values()) == {False}


def test_losing_vici_withdraws_nothing() -> None:
    here = world("withdraw")
    assert here.tell(ViciLost("gone")) == []
    assert len(here.routes_of("vti3")) == 1


def test_losing_vici_brings_nothing_back_that_was_withdrawn() -> None:
    here = world("withdraw")
    here.tell(ChildDown(1))
    assert here.tell(ViciLost("gone"), FullPassDue()) == []
    here.pass_time(600)
    assert here.routes_of("vti3") == set()


def test_a_new_vtid_withdraws_nothing_before_charon_has_listed_its_sas() -> None:
    here = world("withdraw")
    before = len(here.done)
    here.start([sa(1)])
    assert DeleteRoute not in kinds(here.done[before:])
    assert set(switched(here).values()) == {True}


def test_routes_that_trigger_a_trap_are_not_withdrawn() -> None:
    text = TUNNEL.format(on_loss="withdraw", bgp="")
    declared = (
        'presence = "always"\nlocal = "192.0.2.1"\nremote = "192.0.2.2"\nmark = 3\nmtu = 1400'
    )
    with pytest.raises(ConfigError, match='"withdraw" and presence = "always" exclude each other'):
        load(text.replace('hold_time = "1m"', declared))
