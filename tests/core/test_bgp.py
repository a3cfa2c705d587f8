from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.world import CBC, GCM, LAB, desired_of, sa
from vtid.bird.quote import symbol
from vtid.config.types import session_name
from vtid.core.bgp import blocks
from vtid.core.underlay import Underlay
from vtid.model.bgp import SaFacts
from vtid.model.sa import ChildSa, Mark

POLICY = LAB.policies[0]
KNOWN = {("2001:db8:1::1", "2001:db8:2::1"): Underlay(1500, "eth0")}

TIMES = {"installed_at", "rekey_at", "expires_at"}
OF_ONE_SA = {"unique_id", "ike_unique_id", "reqid", "cpu", "state", *TIMES}
"""What each rekey or reauthentication changes."""
FIXED = {"mode", "protocol", "ipcomp"}
"""Facts of the SA that BIRD's templates have no use for."""

sas = st.builds(
    sa,
    st.integers(1, 9),
    esp=st.sampled_from([GCM, CBC]),
    remote_id=st.text(max_size=9),
    remote_ts=st.lists(st.sampled_from(["10.0.0.0/8", "::/0"])).map(tuple),
    mark_out=st.builds(Mark, st.integers(0, 9)),
)
rekeyed = st.fixed_dictionaries(
    {
        "unique_id": st.integers(10, 99),
        "ike_unique_id": st.integers(1, 9),
        "reqid": st.integers(0, 9),
        "state": st.sampled_from(["INSTALLED", "REKEYED"]),
    }
    | dict.fromkeys(TIMES, st.floats(0, 1e9))
)


@given(sas, rekeyed)
def test_a_rekey_changes_nothing_for_bird(old: ChildSa, changes: dict[str, object]) -> None:
    new = replace(old, **changes)  # type: ignore[arg-type]
    before, between, after = (
        desired_of("private/vti3", POLICY, live, KNOWN).birds
        for live in ((old,), (old, new), (new,))
    )
    assert before == between == after
    assert before[0].facts


def test_every_fact_of_an_sa_is_told_or_changes_with_a_rekey() -> None:
    assert {one.name for one in fields(ChildSa)} == OF_ONE_SA | FIXED | {
        one.name for one in fields(SaFacts)
    }


def test_a_tunnel_that_is_down_has_no_sa() -> None:
    (block,) = blocks("private/vti3", "vti3", POLICY)
    assert block.facts
    assert (block.facts.sa, block.facts.mtu) == (None, 0)
    assert block.facts.addresses == POLICY.addresses


NAMES = st.text("ab_.-=@+", min_size=1, max_size=15)


@given(NAMES, NAMES)
def test_no_peer_can_take_the_session_name_of_another(one: str, other: str) -> None:
    names = [str(symbol(session_name(name, "fe80::1"))) for name in (one, other)]
    assert (names[0] == names[1]) == (one == other)


@pytest.mark.parametrize(
    ("interface", "name"),
    [
        ("vti3", "vtid_vti3_v6"),
        ("vti-v3-1", "vtid_vti-v3-1_v6"),
        ("p-jane=q2xd7v", "vtid_p-jane:3dq2xd7v_v6"),
    ],
)
def test_session_names(interface: str, name: str) -> None:
    assert session_name(interface, "2001:db8::1") == name
