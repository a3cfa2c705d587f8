"""What is known of IKE_SAs: for as long as they have CHILD_SAs, and without jitter."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from tests.core.world import sa
from vtid.core.sas import Changes, SaTable
from vtid.model.input import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeRekeyed,
    IkeUpdated,
    SaSnapshot,
)
from vtid.model.sa import IkeSa

IKE = IkeSa(1, encr="AES_CBC", encr_keysize=256, established_at=1000.0, rekey_at=9000.0)
FIRST = sa(1, rekey_at=3000.0, expires_at=3600.0)


def listed(one: SaTable, event: SaSnapshot) -> Changes:
    """File a list of charon's at once."""
    steps = one.list_all(event)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("Changes", end.value)


def table() -> SaTable:
    one = SaTable()
    one.apply(ChildUp(FIRST, IKE))
    return one


def test_a_list_moves_no_time_and_changes_no_sa() -> None:
    one = table()
    later = replace(IKE, established_at=1001.0, rekey_at=8999.0)
    moved = replace(FIRST, rekey_at=3001.0, expires_at=3599.0)
    changes = listed(one, SaSnapshot((moved,), (later,)))
    assert (changes.joined, changes.left) == ((), ())
    assert one.get(1) == FIRST
    assert one.ike_of(FIRST) == IKE


def test_a_list_tells_what_has_changed() -> None:
    one = table()
    moved = replace(IKE, rekey_at=12000.0, nat=("remote",))
    assert listed(one, SaSnapshot((FIRST,), (moved,))).joined == ()
    assert one.ike_of(FIRST) == moved


def test_a_rekeyed_ike_sa_takes_the_place_of_the_old_one() -> None:
    one, new = table(), replace(IKE, unique_id=2, established_at=5000.0)
    (moved,) = one.apply(IkeRekeyed(1, 2, new)).joined
    assert one.ike_of(moved) == new
    assert one.ike_of(FIRST) is None


def test_a_rekeyed_ike_sa_of_which_nothing_is_told_is_not_known() -> None:
    one = table()
    (moved,) = one.apply(IkeRekeyed(1, 2)).joined
    assert one.ike_of(moved) is None


def test_it_goes_with_its_last_child() -> None:
    one, second = table(), sa(2)
    one.apply(ChildRekeyed(1, second, IKE))
    assert one.ike_of(second) == IKE
    one.apply(ChildDown(2))
    assert one.ike_of(second) is None
    other = table()
    other.apply(IkeDown(1))
    assert other.ike_of(FIRST) is None


def test_a_list_in_which_its_only_child_has_moved_ends_it() -> None:
    """Of a rekeyed IKE_SA, when the event was lost with VICI."""
    one, new = table(), replace(IKE, unique_id=2)
    moved = replace(FIRST, ike_unique_id=2)
    assert listed(one, SaSnapshot((moved,), (new,))).joined == (moved,)
    assert one.ike_of(moved) == new
    assert one.ike_of(FIRST) is None


def test_one_whose_only_child_changes_stays() -> None:
    one = table()
    (changed,) = one.apply(IkeUpdated(1, "192.0.2.1", "192.0.2.2")).joined
    assert one.ike_of(changed) == IKE


def test_one_without_children_is_not_kept() -> None:
    one = table()
    listed(one, SaSnapshot((FIRST,), (IKE, replace(IKE, unique_id=7))))
    assert one.ike_of(replace(FIRST, ike_unique_id=7)) is None


def test_a_charon_that_was_started_again_gives_the_same_ids_to_other_sas() -> None:
    one = SaTable()
    one.apply(ChildUp(replace(FIRST, installed_at=1000.0), IKE))
    again = replace(FIRST, installed_at=90_000.0, rekey_at=93_000.0, expires_at=94_000.0)
    assert listed(one, SaSnapshot((again,))).joined == (again,)
    other = replace(again, connection="V9-9", installed_at=90_001.0, rekey_at=93_001.0)
    assert listed(one, SaSnapshot((other,))).joined == (other,)
