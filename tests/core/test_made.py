"""What is made anew only where it would be something else is what would be made anew."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.world import GCM, sa
from vtid.config.load import load
from vtid.core.crowd import members_for
from vtid.core.desired import desire
from vtid.core.made import _OF_A_REKEY, Made, make
from vtid.core.presence import DECLARED
from vtid.core.route_book import RouteBook
from vtid.core.underlay import Underlay
from vtid.esp.algorithms import EspAlgorithms
from vtid.model.bgp import SaFacts
from vtid.model.sa import ChildSa, Mark

if TYPE_CHECKING:
    from vtid.config.keys import Policy

TUNNEL = "private/vti3"

HEAD = '[[tunnel]]\nconnection = "V2-1"\ninterface = "vti3"\nnetns = "private"\n'
BIRD = '[[bird]]\nname = "b"\nsocket = "/run/bird.ctl"\ninclude = "/etc/bird/vtid.conf"\n'
SESSION = '[[tunnel.bgp]]\nbird = "b"\nneighbor = "fe80::1"\nlocal_as = 1\nremote_as = 2\n'
KEYS = (
    "",
    "",  # an equal policy is another one after a reload
    'addresses = ["{remote_vip4}/32"]\nmtu = 1400\nroutes = "remote-ts"\n',
    SESSION,
    'remote = "any"\n',
)
POLICIES = [load(f"{HEAD}{keys}{BIRD}").policies[0] for keys in KEYS]

OTHER: dict[str, tuple[Any, ...]] = {
    "local_host": ("2001:db8:1::1", "192.0.2.1"),
    "remote_host": ("2001:db8:2::1", "192.0.2.2"),
    "protocol": ("ESP", "AH"),
    "esp": (GCM, EspAlgorithms("AES_CBC", 256, "HMAC_SHA2_256_128")),
    "encap": (False, True),
    "mark_in": (Mark(3), Mark(4)),
    "mark_out": (Mark(3), Mark(4)),
    "remote_id": ("", "V2-1"),
    "remote_vips": (("10.0.0.1",), ("10.0.0.2", "2001:db8::2")),
    "remote_ts": ((), ("10.1.0.0/16",)),
    "rekey_at": (0.0, 1.0),
    "reqid": (1, 2),
    "unique_id": (1, 2, 3),
    "ike_unique_id": (1, 2),
}

CHANGES = st.one_of(
    st.tuples(st.just("policy"), st.sampled_from(POLICIES)),
    st.tuples(
        st.just("underlay"),
        st.sampled_from([None, Underlay(1500), Underlay(1500, "eth0"), Underlay(0, error="no")]),
    ),
    st.tuples(st.just("proven"), st.sampled_from([0, 1300])),
    *(st.tuples(st.just(name), st.sampled_from(values)) for name, values in OTHER.items()),
)
"""What to change, and its new value."""


@pytest.mark.parametrize("policy", POLICIES)
@given(changes=st.lists(st.tuples(CHANGES, st.integers(0, 1)), max_size=8))
def test_it_is_what_would_be_made_anew(
    policy: Policy, changes: list[tuple[tuple[str, Any], int]]
) -> None:
    made, routes, others = None, RouteBook(), RouteBook()
    world: dict[str, Any] = {"policy": policy, "underlay": Underlay(1500), "proven": 0}
    sas = [sa(1, remote_vips=("10.0.0.1",)), sa(2, remote_vips=("10.0.0.1",))]
    for (what, value), which in changes:
        if what in world:
            world[what] = value
        else:
            sas[which] = replace(sas[which], **{what: value})
        known = {(one.local_host, one.remote_host): world["underlay"] for one in sas}
        known = {path: underlay for path, underlay in known.items() if underlay}
        members = members_for(world["policy"], sas, known)
        facts = TUNNEL, world["policy"], members, known
        made = make(*facts, routes, proven=world["proven"], before=made)
        members_for(world["policy"], sas, known).sync(others, world["policy"])
        assert made.desired == desire(*facts, routes, proven=world["proven"])
        assert routes.wanted == others.wanted
        assert routes.why == others.why


def of(one: ChildSa, before: Made | None = None, policy: Policy = POLICIES[0]) -> Made:
    known = {(one.local_host, one.remote_host): Underlay(1500)}
    members = members_for(policy, [one], known)
    return make(TUNNEL, policy, members, known, RouteBook(), before=before)


def test_after_a_rekey_only_the_reason_is_another_one() -> None:
    before = of(sa(1))
    after = of(sa(2, rekey_at=7.0), before)
    assert after.desired.reason == before.desired.reason.replace("{1}", "{2}")
    assert all(
        getattr(after.desired, one.name) is getattr(before.desired, one.name)
        for one in fields(after.desired)
        if one.name != "reason"
    )


def test_while_nothing_changes_it_is_the_same_object() -> None:
    before = of(sa(1))
    assert of(sa(1), before).desired.link is before.desired.link
    one = sa(1)
    assert of(one, known := of(one)) is known


def test_bird_sees_nothing_of_an_sa_that_a_rekey_changes() -> None:
    assert _OF_A_REKEY.isdisjoint(one.name for one in fields(SaFacts))


def test_bird_is_told_of_the_sa_that_follows_a_declared_one_with_the_same_facts() -> None:
    before = of(sa(DECLARED), policy=POLICIES[3])
    after = of(sa(1), before, policy=POLICIES[3])
    assert [block.facts.sa is None for block in before.desired.birds if block.facts] == [True]
    assert [block.facts.sa is None for block in after.desired.birds if block.facts] == [False]
