"""Connections that charon has and no policy claims, and policies that have no connection."""

from __future__ import annotations

from vtid.config.load import load
from vtid.core.loaded import NAMED, compare, unloaded
from vtid.core.policies import Policies
from vtid.model.connection import ChildConfig, Connection
from vtid.model.loaded import PolicyLoaded

POLICIES = Policies(
    load("""
[[tunnel]]
connection = "hub"
interface = "vti1"
[[tunnel]]
connection = "site-*"
child = "net"
interface = "vti{mark}"
netns = "private"
""")
)
HUB = PolicyLoaded("hub/*", "", "vti1", loaded=True)
SITES = PolicyLoaded("site-*/net", "private", "vti{mark}", loaded=True)


def test_each_side_is_told_what_the_other_lacks() -> None:
    found = compare(POLICIES, 3, [("site-2", "voice"), ("site-1", "net"), ("other", "net")])
    assert (found.connections, found.children, found.unclaimed) == (3, 3, 2)
    assert found.unclaimed_names == (("other", "net"), ("site-2", "voice"))
    assert found.policies == (PolicyLoaded("hub/*", "", "vti1", loaded=False), SITES)


def test_where_all_is_claimed_nothing_is_told() -> None:
    found = compare(POLICIES, 2, [("hub", "net"), ("site-1", "net")])
    assert (found.unclaimed, found.unclaimed_names) == (0, ())
    assert found.policies == (HUB, SITES)


def test_many_are_counted_and_some_are_named() -> None:
    many = [(f"other-{number:05}", "net") for number in range(2 * NAMED)]
    found = compare(POLICIES, len(many), many[::-1])
    assert found.unclaimed == 2 * NAMED
    assert found.unclaimed_names == tuple(many[:NAMED])


def test_the_doctor_finds_the_same_policies() -> None:
    for loaded in ([], [("hub", "a")], [("hub", "a"), ("site-9", "net")]):
        missing = [f"{one.connection}/{one.child}" for one in unloaded(POLICIES, loaded)]
        found = compare(POLICIES, 0, loaded).policies
        assert missing == [one.policy for one in found if not one.loaded]


def test_a_child_that_never_has_an_sa_is_none() -> None:
    children = tuple(ChildConfig(mode.lower(), mode) for mode in ("TUNNEL", "PASS", "DROP", "BEET"))
    assert Connection("hub", children=children).names == (("hub", "tunnel"), ("hub", "beet"))
