"""Plans: the way from each observed to each desired, and nothing where they agree."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis.strategies import booleans, frozensets, integers, sampled_from

from vtid.core.plan import plan
from vtid.model.bgp import BgpSession, BirdBlock
from vtid.model.link import Clamp, Desired, Link, Observed
from vtid.model.operation import (
    CreateLink,
    DeleteBird,
    DeleteLink,
    ProbeUnderlay,
    PutBird,
    SetLink,
    SetUp,
)

LINK = Link(
    netns="private",
    name="vti3",
    kind="vti6",
    local="2001:db8:1::1",
    remote="2001:db8:2::1",
    ikey=3,
    okey=3,
    mtu=1426,
    alias="vtid:private/vti3",
)
SESSION = BgpSession("vtid_vti3_v6", "vti3", "2001:db8:ff::1", 65001, 65002)
BLOCK = BirdBlock("private", "private/vti3", (SESSION,))
DESIRED = Desired("up", LINK, ("2001:db8:ff::/127",), Clamp(1386, 1366), (BLOCK,))
THERE = Observed(LINK, 7, frozenset(DESIRED.addresses), DESIRED.clamp, DESIRED.birds)


def test_what_is_as_desired_is_left_alone() -> None:
    assert plan("private/vti3", DESIRED, THERE) == ()
    assert plan("private/vti3", Desired("gone"), Observed()) == ()


def test_an_unknown_path_comes_before_everything() -> None:
    desired = Desired("probe", probes=(("2001:db8:1::1", "2001:db8:2::1"),))
    (op,) = plan("private/vti3", desired, THERE)
    assert isinstance(op, ProbeUnderlay)


def test_a_changed_field_is_one_change_in_place() -> None:
    there = replace(THERE, link=replace(LINK, mtu=1332, ikey=9, up=False))
    change, up = plan("private/vti3", DESIRED, there)
    assert isinstance(change, SetLink)
    assert (change.changes, change.ifindex) == (("ikey", "mtu"), 7)
    assert isinstance(up, SetUp)


def test_a_filter_of_0_is_2_where_all_links_filter_strictly() -> None:
    there = replace(THERE, link=replace(LINK, strict_all=True))
    (change,) = plan("private/vti3", DESIRED, there)
    assert isinstance(change, SetLink)
    assert (change.changes, change.link.rp_filter) == (("rp_filter",), 2)
    there = replace(THERE, link=replace(LINK, strict_all=True, rp_filter=2))
    assert plan("private/vti3", DESIRED, there) == ()

    asked = replace(DESIRED, link=replace(LINK, rp_filter=1))
    (change,) = plan("private/vti3", asked, there)
    assert isinstance(change, SetLink)
    assert change.link.rp_filter == 1
    (change,) = plan("private/vti3", DESIRED, replace(there, link=replace(LINK, rp_filter=2)))
    assert isinstance(change, SetLink)
    assert change.link.rp_filter == 0


def test_another_kind_is_another_link() -> None:
    there = replace(THERE, link=replace(LINK, kind="vti"))
    ops = plan("private/vti3", DESIRED, there)
    assert [type(op).__name__ for op in ops] == ["DeleteLink", "CreateLink", "AddAddress", "SetUp"]


def test_a_block_moves_to_another_bird() -> None:
    there = replace(THERE, birds=(replace(BLOCK, instance="old"),))
    ops = plan("private/vti3", DESIRED, there)
    assert {type(op) for op in ops} == {PutBird, DeleteBird}


@given(
    linked=booleans(),
    mtu=integers(68, 9000),
    addresses=frozensets(sampled_from(["192.0.2.0/31", "2001:db8::/127"])),
    clamped=booleans(),
)
def test_stages_never_go_back(
    linked: bool,  # noqa: FBT001
    mtu: int,
    addresses: frozenset[str],
    clamped: bool,  # noqa: FBT001
) -> None:
    observed = Observed(
        link=replace(LINK, mtu=mtu) if linked else None,
        ifindex=7 if linked else 0,
        addresses=addresses if linked else frozenset(),
        clamp=Clamp(1, 1) if clamped else None,
    )
    ops = plan("private/vti3", DESIRED, observed, ours=frozenset({"192.0.2.0/31"}))
    assert [op.stage for op in ops] == sorted(op.stage for op in ops)
    assert any(isinstance(op, CreateLink) for op in ops) is not linked
    assert not any(isinstance(op, DeleteLink) for op in ops)
