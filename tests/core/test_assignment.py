"""Assignment: what it costs, and what an SA has that takes the place of another."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.bench_core import world_of
from tests.core.world import sa
from tests.counting import bytecodes
from vtid.config.keys import ConfigLoaded
from vtid.config.load import load
from vtid.core.assignment import DECIDES, Assignment
from vtid.core.state import State
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp, SaSnapshot
from vtid.model.sa import ChildSa, Mark, SaMode

if TYPE_CHECKING:
    from vtid.core.sas import SaInput

CONFIG = load(
    """
[[tunnel]]
connection = "one"
interface = "vti1"

[[tunnel]]
connection = "named"
child = "net"
interface = "vti{mark}"

[[tunnel]]
connection = "many*"
interface = "shared0"
remote = "any"

[[tunnel]]
connection = "xfrm"
interface = "out{if_id}"
interface_in = "in{if_id}"
kind = "xfrm"

[[tunnel]]
connection = "pool"
interface = "p-{remote_id}"
addresses = ["{remote_vip4} peer 10.0.0.1"]
"""
)

REKEY = (ChildRekeyed(1, sa(7, "c1", 1)), ChildDown(1))
LOSS_AND_RETURN = (ChildDown(1), ChildUp(sa(7, "c1", 1, ike_unique_id=1)))


@pytest.mark.parametrize(("events", "limit"), [(REKEY, 1_250), (LOSS_AND_RETURN, 1_800)])
def test_finding_the_tunnel_of_an_sa_costs_no_more_than_it_did(
    events: tuple[SaInput, ...], limit: int
) -> None:
    assignment = world_of(3).state._assignment
    with bytecodes() as counter:
        for event in events:
            assignment.file(event, 1.0)
    assert counter.count <= limit


OF_NO_CONCERN = {
    *("unique_id", "ike_unique_id", "remote_host", "protocol", "esp", "encap", "reqid", "cpu"),
    *("state", "local_id", "local_ts", "remote_ts", "installed_at", "rekey_at", "expires_at"),
}
"""Fields of an SA that have no part in which tunnels it has."""


def test_of_each_field_it_is_known_whether_it_decides() -> None:
    assert {one.name for one in fields(ChildSa)} == OF_NO_CONCERN | set(DECIDES)
    assert not OF_NO_CONCERN & set(DECIDES)


USABLE = {"if_id_in": 1, "if_id_out": 1, "remote_id": "a", "remote_vips": ("10.0.0.2",)}
CONNECTIONS = st.sampled_from(["one", "named", "many1", "many2", "xfrm", "pool", "none"])
MARKS = st.sampled_from([None, Mark(1), Mark(2)])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "connection": CONNECTIONS,
    "child": st.sampled_from(["net", "other"]),
    "local_host": st.sampled_from(["2001:db8:1::1", "2001:db8:1::2"]),
    "remote_host": st.sampled_from(["2001:db8:2::1", "2001:db8:2::2"]),
    "remote_id": st.sampled_from(["", "a", "b"]),
    "mode": st.sampled_from([SaMode.TUNNEL, SaMode.TRANSPORT]),
    "ipcomp": st.booleans(),
    "mark_in": MARKS,
    "mark_out": MARKS,
    "if_id_in": st.integers(0, 2),
    "if_id_out": st.integers(0, 2),
    "remote_vips": st.sampled_from([(), ("10.0.0.2",)]),
    "remote_ts": st.sampled_from([(), ("10.1.0.0/16",)]),
}
change = st.one_of([st.tuples(st.just(name), value) for name, value in VALUES.items()])
sas = st.builds(
    lambda connection, facts: USABLE | {"connection": connection} | dict(facts),
    CONNECTIONS,
    st.lists(change, max_size=1),
)
rekeys = st.tuples(st.integers(0, 3), st.lists(change, max_size=1).map(dict))


def after(first: list[dict[str, Any]], rekeys: list[tuple[int, dict[str, Any]]]) -> object:
    """Which SA has which tunnels, and which cannot, after each of some rekeys."""
    there = [replace(sa(number), **facts) for number, facts in enumerate(first)]
    state = State()
    state.apply(ConfigLoaded(CONFIG), 0.0)
    state.apply(SaSnapshot(tuple(there)), 0.0)
    seen = []
    for number, (index, facts) in enumerate(rekeys, len(there)):
        old = there[index % len(there)]
        new = there[index % len(there)] = replace(old, unique_id=number, **facts)
        state.apply(ChildRekeyed(old.unique_id, new), 0.0)
        state.apply(ChildDown(old.unique_id), 0.0)
        served = {name: sorted(tunnel.sas) for name, tunnel in state.tunnels.items()}
        seen.append((dict(state._assignment.tunnels_of), dict(state.problems), served))
    return seen


@settings(max_examples=500)
@given(st.lists(sas, min_size=1, max_size=3), st.lists(rekeys, max_size=4))
def test_an_sa_that_replaces_another_has_the_tunnels_that_it_would_have_anyway(
    first: list[dict[str, Any]], after_that: list[tuple[int, dict[str, Any]]]
) -> None:
    found = after(first, after_that)
    with patch.object(Assignment, "_tunnels_of_like", lambda *_: []):
        assert found == after(first, after_that)
