"""What readiness waits for, and that an absence that is known counts."""

from __future__ import annotations

from vtid.daemon.readiness import Readiness
from vtid.model.input import BirdState, ClampSnapshot, LinkSnapshot, NetnsLost, SaSnapshot, ViciLost


def expecting() -> Readiness:
    readiness = Readiness()
    readiness.expect_namespace("private")
    readiness.expect_bird("b")
    return readiness


def test_all_have_to_be_heard_of_once() -> None:
    readiness = expecting()
    assert not readiness.tick_off(SaSnapshot(()))
    assert not readiness.tick_off(LinkSnapshot("private", (), ()))
    assert not readiness.tick_off(BirdState("b", connected=True))
    assert readiness.waiting_for == ("nftables in namespace 'private'",)
    assert readiness.tick_off(ClampSnapshot("private", ()))
    assert not readiness.tick_off(SaSnapshot(())), "only the last one says so"


def test_a_known_absence_counts() -> None:
    readiness = expecting()
    readiness.tick_off(ViciLost("absent"))
    readiness.tick_off(BirdState("b", connected=False))
    assert readiness.tick_off(NetnsLost("private", "missing"))


def test_what_is_added_later_does_not_undo_it() -> None:
    readiness = Readiness()
    assert readiness.tick_off(SaSnapshot(()))
    readiness.expect_bird("later")
    assert readiness.waiting_for == ()
