"""New keys and new SAs are no event: the interface stays as it is, and nothing is lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

TWICE = range(2)
LIMITS = {
    "time": "rekey_time = 3\n rand_time = 0\n life_time = 60",
    "bytes": "rekey_bytes = 20000\n rand_bytes = 0\n life_bytes = 900000",
}


@BOTH_KINDS
def test_child_and_ike_rekeys_by_either_side(pair: Pair) -> None:
    pair.establish()
    expect("kind", pair.a.link()["linkinfo"]["info_kind"], pair.a.kind.name)
    for gateway in pair.both:
        with pair.undisturbed():
            old, old_ike = pair.a.child_ids(), pair.a.ike_ids()
            gateway.charon.swanctl("--rekey", "--child", "net")
            eventually(partial(pair.a.expect_new_children, old), PATIENCE)
            gateway.charon.swanctl("--rekey", "--ike", "net")
            eventually(partial(_expect_new_ike, pair.a, old_ike), PATIENCE)


@BOTH_KINDS
def test_both_rekey_at_once(pair: Pair) -> None:
    pair.establish()
    with pair.undisturbed():
        old = pair.a.child_ids()
        with pair.at_once("--rekey", "--child", "net"):
            pass
        for gateway in pair.both:
            eventually(partial(gateway.expect_new_children, old), PATIENCE)


@BOTH_KINDS
@pytest.mark.parametrize("limit", LIMITS)
def test_charon_rekeys_before_a_limit(pair: Pair, limit: str) -> None:
    pair.establish(pair.side(LIMITS[limit]), at_b=pair.side())
    with pair.undisturbed():
        for _ in TWICE:
            old = pair.a.child_ids()
            eventually(partial(pair.a.expect_new_children, old), PATIENCE)


@BOTH_KINDS
def test_rekeys_that_cross_leave_no_sa_behind(pair: Pair) -> None:
    """Both sides come to their limit at the same time, again and again; then they stop."""
    pair.establish(pair.side(LIMITS["bytes"]))
    with pair.undisturbed():
        for _ in TWICE:
            old = pair.a.child_ids()
            eventually(partial(_expect_others, pair.a, old), PATIENCE)
    for gateway in pair.both:
        eventually(gateway.expect_known, PATIENCE)


def _expect_others(gateway: Gateway, old: set[str]) -> None:
    new = gateway.child_ids()
    if not new or new & old:
        raise CheckError(f"{gateway.name}: CHILD_SAs {new}, before {old}")


def _expect_new_ike(gateway: Gateway, old: set[str]) -> None:
    new = gateway.ike_ids()
    if not new or new & old:
        raise CheckError(f"{gateway.name}: IKE_SAs {new}, before {old}")
    gateway.expect_known()
