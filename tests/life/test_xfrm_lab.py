"""XFRM interfaces live as VTIs do: their if_id is their key, and no address is theirs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.charon import namespace
from tests.lab.checks.checks import expect
from tests.lab.machine import shell
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.texts import CONNECTION, INTERFACE, Side, child, policy

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

IF_ID = "if_id_in = 42\n if_id_out = 42"
INNER = "local_ts = 10.255.0.0/24\n remote_ts = 10.255.0.0/24"
OTHER = "local_ts = 10.254.0.0/24\n remote_ts = 10.254.0.0/24"


@pytest.fixture
def xfrm(pair: Pair) -> Pair:
    for gateway in pair.both:
        gateway.configure(policy(gateway.end, more='kind = "xfrm"'))
    return pair


def test_an_xfrm_interface_lives_through_rekeys_and_a_restart(xfrm: Pair) -> None:
    xfrm.establish(Side(child(more=IF_ID)))
    expect("kind", xfrm.a.link()["linkinfo"]["info_kind"], "xfrm")
    expect("if_id", _if_id(xfrm.a), 42)
    with xfrm.undisturbed():
        old = xfrm.a.child_ids()
        xfrm.a.charon.swanctl("--rekey", "--child", CONNECTION)
        eventually(partial(xfrm.a.expect_new_children, old), PATIENCE)
        xfrm.b.charon.swanctl("--rekey", "--ike", CONNECTION)
        eventually(xfrm.a.expect_known, PATIENCE)
    with xfrm.same_interface():
        xfrm.a.stop_vtid()
        xfrm.a.start_vtid()
    expect("writes", set(xfrm.a.counters().values()), {0})


def test_an_if_id_that_charon_chooses_changes_in_place(xfrm: Pair) -> None:
    xfrm.establish(Side(child(more="if_id_in = %unique\n if_id_out = %unique")))
    before = _if_id(xfrm.a)
    with xfrm.same_interface():
        old = xfrm.a.child_ids()
        xfrm.a.charon.swanctl("--rekey", "--ike", CONNECTION, "--reauth")
        eventually(partial(xfrm.a.expect_new_children, old), PATIENCE)
        for gateway in xfrm.both:
            eventually(partial(_expect_if_id_of_the_sa, gateway), PATIENCE)
    assert _if_id(xfrm.a) != before
    with xfrm.undisturbed():
        pass


def test_two_children_share_the_if_id_of_their_connection(xfrm: Pair) -> None:
    children = child(more="", ts=INNER) + child("other", more="", ts=OTHER)
    xfrm.establish(Side(children, ike=IF_ID))
    with xfrm.undisturbed():
        xfrm.initiate("other")
        eventually(xfrm.a.expect_known, PATIENCE)
        expect("SAs", len(xfrm.a.tunnel()["sas"]), 2)
        xfrm.a.charon.swanctl("--terminate", "--child", "other")
        eventually(xfrm.a.expect_known, PATIENCE)


def test_the_sa_moves_to_ipv6_under_an_xfrm_interface(xfrm: Pair) -> None:
    """It has no outer address, so that it stays where a VTI has to be made anew."""
    side = Side(child(more=IF_ID), ike="mobike = yes\n local_addrs = %any")
    xfrm.establish(side, at_b=Side(child(more=IF_ID), ike="mobike = yes\n remote_addrs = %any"))
    expect("MTU", xfrm.a.link()["mtu"], 1446)
    with xfrm.same_interface():
        xfrm.a.ip("address", "del", f"{xfrm.a.end.outer4}/24", "dev", "eth0")
        try:
            eventually(partial(_expect_mtu, xfrm.a, 1426), PATIENCE)
            eventually(partial(_expect_mtu, xfrm.b, 1426), PATIENCE)
            with xfrm.undisturbed():
                pass
        finally:
            xfrm.a.ip("address", "add", f"{xfrm.a.end.outer4}/24", "dev", "eth0")


def test_an_xfrm_interface_moves_into_a_namespace_and_back(xfrm: Pair) -> None:
    xfrm.establish(Side(child(more=IF_ID)))
    usual = policy(xfrm.a.end, more='kind = "xfrm"')
    with namespace(f"{xfrm.a.netns}-in") as inner:
        xfrm.a.configure(policy(xfrm.a.end, more=f'kind = "xfrm"\nnetns = "{inner}"'))
        ping = ("ping", "-n", "-c", "3", "-i", "0.05", xfrm.b.end.inner4)
        eventually(partial(shell.run, inner, *ping), PATIENCE)
        expect("interfaces in the outer namespace", xfrm.a.links(), set())
        xfrm.a.configure(usual)
        xfrm.wait_up()
        with xfrm.undisturbed():
            pass


def _if_id(gateway: Gateway) -> int:
    return int(str(gateway.data(INTERFACE)["if_id"]), 0)


def _expect_if_id_of_the_sa(gateway: Gateway) -> None:
    (sa,) = gateway.children()
    expect(f"{gateway.name}: if_id", _if_id(gateway), int(sa["if-id-out"], 16))


def _expect_mtu(gateway: Gateway, mtu: int) -> None:
    expect(f"{gateway.name}: MTU", gateway.link()["mtu"], mtu)
