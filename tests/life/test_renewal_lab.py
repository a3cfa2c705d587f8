"""The SA is gone for a moment and a new one takes its place: the interface waits for it.

Packets may be lost meanwhile, that is charon's doing; the interface is the same afterwards.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

LIFE = {"time": "life_time = 4", "bytes": "life_bytes = 30000"}
DPD = "dpd_delay = 1\n keyingtries = 0"
RESTART = ("dpd_action = restart", DPD)
CLEAR = ("dpd_action = clear", DPD)
STARTED = "start_action = start"


@pytest.fixture
def make_before_break(gateways: Pair) -> Iterator[None]:
    before = gateways.a.charon.extra
    gateways.a.charon.set_up(f"{before}\n make_before_break = yes")
    yield
    gateways.a.charon.set_up(before)


@BOTH_KINDS
def test_reauthentication_breaks_before_it_makes(pair: Pair) -> None:
    pair.establish()
    with pair.same_interface(), pair.pinging():
        _reauthenticate(pair)


@BOTH_KINDS
@pytest.mark.usefixtures("make_before_break")
def test_reauthentication_makes_before_it_breaks(pair: Pair) -> None:
    pair.establish()
    writes = pair.a.counters()
    with pair.same_interface(), pair.pinging():
        _reauthenticate(pair)
    expect("writes", pair.a.counters(), writes)


@BOTH_KINDS
@pytest.mark.parametrize("limit", LIFE)
def test_an_sa_expires_and_charon_makes_another(pair: Pair, limit: str) -> None:
    pair.establish(pair.side(LIFE[limit]), at_b=pair.side())
    with pair.same_interface(), pair.pinging():
        old = pair.a.child_ids()
        eventually(partial(pair.a.expect_new_children, old), PATIENCE)


@BOTH_KINDS
def test_a_dead_peer_comes_back_within_the_hold_time(pair: Pair) -> None:
    pair.establish(pair.side(*RESTART), at_b=pair.side())
    old = pair.a.child_ids()
    with pair.same_interface(), pair.pinging():
        pair.b.deaf()
        eventually(partial(pair.a.expect_state, "holding"), PATIENCE)
        pair.b.hearing()
        eventually(partial(pair.a.expect_new_children, old), PATIENCE)


@BOTH_KINDS
def test_a_dead_peer_comes_back_later(pair: Pair) -> None:
    pair.establish(pair.side(*RESTART), at_b=pair.side())
    before = pair.a.link()["ifindex"]
    pair.b.deaf()
    eventually(pair.a.expect_no_links, PATIENCE)
    eventually(partial(pair.a.expect_state, "down"), PATIENCE)
    pair.b.hearing()
    pair.wait_up()
    assert pair.a.link()["ifindex"] != before
    with pair.pinging():
        pass


def test_a_dead_peer_is_cleared(pair: Pair) -> None:
    pair.establish(pair.side(*CLEAR), at_b=pair.side())
    pair.b.deaf()
    eventually(pair.a.expect_no_links, PATIENCE)
    pair.b.hearing()
    assert not pair.a.ike_ids()
    assert "hold" not in pair.a.tunnel()["reason"]


@BOTH_KINDS
def test_the_end_of_a_rekeyed_child_is_told_again(pair: Pair) -> None:
    """The old CHILD_SA's DELETE has no answer: charon gives up, and tells its end once more."""
    pair.establish(pair.side(*RESTART), at_b=pair.side())
    old = pair.a.child_ids()
    with pair.same_interface():
        pair.b.deaf_for_informational()
        pair.a.charon.swanctl("--rekey", "--child", "net")
        eventually(partial(pair.a.expect_new_children, old), PATIENCE)
        new = pair.a.child_ids()
        eventually(partial(_expect_no_children_of, pair.a, new), PATIENCE)
        pair.b.hearing()
        eventually(partial(pair.a.expect_new_children, old | new), PATIENCE)
        eventually(pair.b.expect_known, PATIENCE)


@BOTH_KINDS
def test_an_ike_sa_ends_while_a_child_of_it_is_rekeyed(pair: Pair) -> None:
    pair.establish()
    pair.b.deaf_for_informational()
    pair.a.charon.swanctl("--rekey", "--child", "net")
    eventually(partial(_expect_rekeyed, pair.b), PATIENCE)
    pair.b.terminate(*pair.b.ike_ids())
    eventually(pair.b.expect_no_links, PATIENCE)
    assert pair.b.tunnel()["sas"] == []


def test_a_connection_is_changed_and_removed(pair: Pair) -> None:
    """Loading changes nothing of the SAs that are there."""
    pair.establish()
    with pair.undisturbed():
        pair.load(pair.side(esp="aes128-sha256"))
    with pair.undisturbed():
        for gateway in pair.both:
            gateway.load("")


@BOTH_KINDS
def test_a_connection_that_charon_starts_is_changed_and_removed(pair: Pair) -> None:
    """Loading ends what the old one started and starts the new one; removing ends it."""
    pair.load(pair.side(STARTED), at_b=pair.side(esp="aes256gcm16,aes128-sha256"))
    pair.wait_up()
    assert pair.a.link()["mtu"] == 1446
    with pair.same_interface():
        old = pair.a.child_ids()
        other = "aes128-sha256"
        pair.load(pair.side(STARTED, esp=other), at_b=pair.side(esp=other))
        eventually(partial(pair.a.expect_new_children, old), PATIENCE)
    assert pair.a.link()["mtu"] == 1438
    assert pair.b.link()["mtu"] == 1438
    pair.a.load("")
    for gateway in pair.both:
        eventually(gateway.expect_no_links, PATIENCE)


def _reauthenticate(pair: Pair) -> None:
    old = pair.a.child_ids()
    pair.a.charon.swanctl("--rekey", "--ike", "net", "--reauth")
    eventually(partial(pair.a.expect_new_children, old), PATIENCE)
    eventually(pair.b.expect_known, PATIENCE)


def _expect_rekeyed(gateway: Gateway) -> None:
    if not gateway.children("REKEYED"):
        raise CheckError(f"{gateway.name}: no CHILD_SA is rekeyed")


def _expect_no_children_of(gateway: Gateway, old: set[str]) -> None:
    if left := gateway.child_ids() & old:
        raise CheckError(f"{gateway.name}: still has {left}")
