"""Marks of CHILD_SAs and keys of their VTI: the two agree, whoever chose them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.kinds import key_number
from tests.life.texts import CONNECTION, Side, child

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

CHOSEN = {
    "in and out differ": ("mark_in = 42\n mark_out = 1337", (42, 1337)),
    "with a mask": ("mark_in = 0x1042/0xffff\n mark_out = 0x1042/0xffff", (0x1042, 0x1042)),
}


@pytest.mark.parametrize("marks", CHOSEN)
def test_keys_are_the_marks(pair: Pair, marks: str) -> None:
    text, wanted = CHOSEN[marks]
    pair.establish(Side(child(more=text)))
    for gateway in pair.both:
        assert _keys(gateway) == wanted
    with pair.undisturbed():
        pass


@pytest.mark.parametrize("marks", ["%unique", "%unique-dir"])
def test_keys_follow_marks_that_charon_chooses(pair: Pair, marks: str) -> None:
    """A new IKE_SA has new marks: the keys change in place."""
    pair.establish(Side(child(more=f"mark_in = {marks}\n mark_out = {marks}")))
    before = [_expect_keys_of_the_sa(gateway) for gateway in pair.both]
    assert (len(set(before[0])) == 1) == (marks == "%unique")
    with pair.same_interface():
        old = pair.a.child_ids()
        pair.a.charon.swanctl("--rekey", "--ike", CONNECTION, "--reauth")
        eventually(partial(pair.a.expect_new_children, old), PATIENCE)
        for gateway in pair.both:
            eventually(partial(_expect_keys_of_the_sa, gateway), PATIENCE)
    after = [_keys(gateway) for gateway in pair.both]
    assert after != before  # strongSwan 5.9 renews the marks of both sides, 6.0 those of one
    with pair.undisturbed():
        pass


def test_an_sa_without_marks_is_told_with_the_lines_that_help(pair: Pair) -> None:
    inner = "local_ts = 10.255.0.0/24\n remote_ts = 10.255.0.0/24"
    pair.load(Side(child(more="", ts=inner)))
    pair.initiate()
    problem = eventually(partial(_problem, pair.a), PATIENCE)
    assert "has no mark" in problem
    assert "`mark_in = 42` and `mark_out = 42`" in problem
    assert f"connections.{CONNECTION}.children.{CONNECTION} of swanctl.conf" in problem
    eventually(pair.a.expect_no_links, PATIENCE)

    pair.load(Side(child(more="mark_in = 42\n mark_out = 42", ts=inner)))
    pair.a.end_sas()
    pair.initiate()
    pair.wait_up()
    assert pair.a.status()["problems"] == []


def _problem(gateway: Gateway) -> str:
    problems: list[str] = gateway.status()["problems"]
    if not problems:
        raise CheckError(f"{gateway.name}: vtid tells no problem")
    return problems[0]


def _keys(gateway: Gateway) -> tuple[int, int]:
    """Keys of the interface, in and out."""
    data = gateway.data()
    return key_number(data["ikey"]), key_number(data["okey"])


def _expect_keys_of_the_sa(gateway: Gateway) -> tuple[int, int]:
    (sa,) = gateway.children()
    keys = _keys(gateway)
    expect(f"{gateway.name}: keys", keys, (int(sa["mark-in"], 16), int(sa["mark-out"], 16)))
    return keys
