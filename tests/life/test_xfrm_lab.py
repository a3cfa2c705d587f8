"""What XFRM interfaces alone do: their if_id is their key, and no address is theirs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.charon import namespace
from tests.lab.checks.checks import expect
from tests.lab.machine import shell
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.kinds import XFRM_ONLY
from tests.life.texts import CONNECTION, Side, child

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

INNER = "local_ts = 10.255.0.0/24\n remote_ts = 10.255.0.0/24"
OTHER = "local_ts = 10.254.0.0/24\n remote_ts = 10.254.0.0/24"


@XFRM_ONLY
def test_an_if_id_that_charon_chooses_changes_in_place(pair: Pair) -> None:
    pair.establish(Side(child(more=pair.a.kind.keys("%unique"))))
    before = pair.a.key()
    with pair.same_interface():
        old = pair.a.child_ids()
        pair.a.charon.swanctl("--rekey", "--ike", CONNECTION, "--reauth")
        eventually(partial(pair.a.expect_new_children, old), PATIENCE)
        for gateway in pair.both:
            eventually(partial(_expect_if_id_of_the_sa, gateway), PATIENCE)
    assert pair.a.key() != before
    with pair.undisturbed():
        pass


@XFRM_ONLY
def test_two_children_share_the_if_id_of_their_connection(pair: Pair) -> None:
    children = child(more="", ts=INNER) + child("other", more="", ts=OTHER)
    pair.establish(Side(children, ike=pair.a.kind.keys()))
    with pair.undisturbed():
        pair.initiate("other")
        eventually(pair.a.expect_known, PATIENCE)
        expect("SAs", len(pair.a.tunnel()["sas"]), 2)
        pair.a.charon.swanctl("--terminate", "--child", "other")
        eventually(pair.a.expect_known, PATIENCE)


@XFRM_ONLY
def test_the_sa_moves_to_ipv6_under_an_xfrm_interface(pair: Pair) -> None:
    """It has no outer address, so that it stays where a VTI has to be made anew."""
    roaming = pair.side(ike="mobike = yes\n local_addrs = %any")
    pair.establish(roaming, at_b=pair.side(ike="mobike = yes\n remote_addrs = %any"))
    expect("MTU", pair.a.link()["mtu"], 1446)
    with pair.same_interface():
        pair.a.ip("address", "del", f"{pair.a.end.outer4}/24", "dev", "eth0")
        try:
            eventually(partial(_expect_mtu, pair.a, 1426), PATIENCE)
            eventually(partial(_expect_mtu, pair.b, 1426), PATIENCE)
            with pair.undisturbed():
                pass
        finally:
            pair.a.ip("address", "add", f"{pair.a.end.outer4}/24", "dev", "eth0")


@XFRM_ONLY
def test_an_xfrm_interface_moves_into_a_namespace_and_back(pair: Pair) -> None:
    pair.establish()
    usual = pair.a.policy()
    with namespace(f"{pair.a.netns}-in") as inner:
        pair.a.configure(pair.a.policy(f'netns = "{inner}"'))
        ping = ("ping", "-n", "-c", "3", "-i", "0.05", pair.b.end.inner4)
        eventually(partial(shell.run, inner, *ping), PATIENCE)
        expect("interfaces in the outer namespace", pair.a.links(), set())
        pair.a.configure(usual)
        pair.wait_up()
        with pair.undisturbed():
            pass


def _expect_if_id_of_the_sa(gateway: Gateway) -> None:
    (sa,) = gateway.children()
    expect(f"{gateway.name}: if_id", gateway.key(), int(sa["if-id-out"], 16))


def _expect_mtu(gateway: Gateway, mtu: int) -> None:
    expect(f"{gateway.name}: MTU", gateway.link()["mtu"], mtu)
