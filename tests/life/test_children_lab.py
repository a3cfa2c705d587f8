"""Several CHILD_SAs on one tunnel: two children, a duplicate, and selectors that were narrowed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS
from tests.life.texts import Side, child

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

INNER = "local_ts = 10.255.0.0/24\n remote_ts = 10.255.0.0/24"
OTHER = "local_ts = 10.254.0.0/24\n remote_ts = 10.254.0.0/24"


@BOTH_KINDS
def test_two_children_have_one_interface(pair: Pair) -> None:
    keys = pair.a.kind.keys()
    pair.establish(Side(child(more=keys, ts=INNER) + child("other", more=keys, ts=OTHER)))
    with pair.undisturbed():
        pair.initiate("other")
        eventually(partial(_expect_sas, pair.a, 2), PATIENCE)
        pair.a.charon.swanctl("--terminate", "--child", "other")
        eventually(partial(_expect_sas, pair.a, 1), PATIENCE)
    pair.initiate("other")
    with pair.same_interface():
        pair.a.charon.swanctl("--terminate", "--child", "net")
        eventually(partial(_expect_sas, pair.a, 1), PATIENCE)
    pair.a.charon.swanctl("--terminate", "--child", "other")
    for gateway in pair.both:
        eventually(gateway.expect_no_links, PATIENCE)


@BOTH_KINDS
@pytest.mark.parametrize("which", ["older", "newer"])
def test_both_start_at_once_and_a_duplicate_ends(pair: Pair, which: str) -> None:
    pair.load(pair.side(ike="unique = never"))
    for gateway in pair.both:
        gateway.deaf()
    with pair.at_once("--initiate", "--child", "net", "--timeout", "30"):
        for gateway in pair.both:
            eventually(partial(_expect_connecting, gateway), PATIENCE)
        for gateway in pair.both:
            gateway.hearing()
    pair.wait_up()
    for gateway in pair.both:
        eventually(partial(_expect_sas, gateway, 2), PATIENCE)
    numbers = sorted(pair.a.child_ids(), key=int)
    writes = pair.a.counters()
    with pair.same_interface(), pair.pinging():
        pair.a.charon.swanctl("--terminate", "--child-id", numbers[which == "newer"])
        for gateway in pair.both:
            eventually(partial(_expect_sas, gateway, 1), PATIENCE)
    expect("writes", pair.a.counters(), writes)


@BOTH_KINDS
def test_selectors_are_narrowed(pair: Pair) -> None:
    pair.establish(at_b=pair.side(ts=INNER))
    (sa,) = pair.a.tunnel()["sas"]
    assert (sa["local_ts"], sa["remote_ts"]) == (["10.255.0.0/24"], ["10.255.0.0/24"])
    with pair.undisturbed():
        pass


def _expect_connecting(gateway: Gateway) -> None:
    expect(f"{gateway.name}: IKE_SAs on their way", len(gateway.ike_ids("CONNECTING")), 1)


def _expect_sas(gateway: Gateway, number: int) -> None:
    expect(f"{gateway.name}: SAs", len(gateway.tunnel()["sas"]), number)
    gateway.expect_known()
