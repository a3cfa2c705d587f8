"""vtid starts over what is there already: it adopts, repairs, and removes only what is its own."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually, run
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS, KEY, OTHER_KEY
from tests.life.speakers import bird, instance
from tests.life.texts import INTERFACE, policy
from vtid.model.link import LINK_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.birds import RealBird
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

NOTHING = {"vtid_netlink_writes_total": 0, "vtid_nft_transactions_total": 0}
ENDS = ("192.0.2.1", "192.0.2.2")
OURS = ("group", str(LINK_GROUP))

RP_FILTER = f"net.ipv4.conf.{INTERFACE}.rp_filter"

BGP = """
[tunnel.bgp]
neighbor = "10.255.0.2"
local_as = 65001
remote_as = 65002
"""


@BOTH_KINDS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_converged_system_is_left_alone(pair: Pair, number: signal.Signals) -> None:
    with bird(pair.a) as one:
        pair.a.configure(pair.a.policy(BGP + instance(one)))
        pair.establish()
        eventually(partial(_expect_session, one), PATIENCE)
        with _kept(pair.a), pair.pinging() as ping:
            pair.a.stop_vtid(number)
            pair.a.start_vtid()
            eventually(pair.a.expect_up, PATIENCE)
        expect("packets lost", ping.lost()[0], 0)
        expect("writes", pair.a.counters(), NOTHING)
        name = "vtid_bird_reconfigurations_total"
        expect("reconfigurations", observe.metric(pair.a, name), 0)


@BOTH_KINDS
def test_settings_of_an_older_vtid_are_repaired_in_place(pair: Pair) -> None:
    pair.establish()
    pair.a.stop_vtid()
    ip = pair.a.ip
    with _kept(pair.a):
        ip("link", "set", INTERFACE, "mtu", "1300", "alias", "vtid:of old")
        ip("link", "set", INTERFACE, "type", *pair.a.kind.link(*ENDS, OTHER_KEY))
        ip("address", "del", "10.255.0.1/24", "dev", INTERFACE)
        ip("address", "add", "10.255.7.1/24", "dev", INTERFACE)
        pair.a.start_vtid()
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
        with pair.pinging():
            pass
    assert "10.255.7.1" in _addresses(pair.a), "whoever added it is not known"


@BOTH_KINDS
def test_a_half_finished_creation_is_finished(pair: Pair) -> None:
    """The kernel has the link with our group only: no alias, no address, not up."""
    pair.establish()
    pair.a.stop_vtid()
    pair.a.ip("link", "delete", INTERFACE)
    pair.a.ip("link", "add", INTERFACE, *OURS, "type", *pair.a.kind.link(*ENDS))
    with _kept(pair.a):
        pair.a.start_vtid()
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
        with pair.pinging():
            pass


@BOTH_KINDS
def test_a_tunnel_that_left_the_configuration_is_removed(pair: Pair) -> None:
    """Its interface and MSS go though its SA lives; a foreign interface stays."""
    pair.establish()
    pair.a.stop_vtid()
    pair.a.configure(policy(pair.a.end, connection="another", interface="another"))
    other = pair.a.kind.link("192.0.2.1", "192.0.2.99", 99)
    pair.a.ip("link", "add", "foreign", "type", *other)
    try:
        pair.a.start_vtid()
        eventually(pair.a.expect_no_links, PATIENCE)
        expect("MSS", pair.a.mss(), {})
        assert pair.a.link("foreign")
    finally:
        pair.a.ip("link", "delete", "foreign")


@BOTH_KINDS
def test_what_another_program_changes_is_restored(pair: Pair) -> None:
    pair.establish()
    ip = pair.a.ip
    with _kept(pair.a):
        ip("link", "set", INTERFACE, "down")
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
        ip("link", "set", INTERFACE, "mtu", "1300")
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
        ip("address", "del", "10.255.0.1/24", "dev", INTERFACE)
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
        ip("address", "add", "10.255.7.1/24", "dev", INTERFACE)
        ip("link", "set", INTERFACE, "type", *pair.a.kind.link(*ENDS, OTHER_KEY))
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
        run(pair.a.netns, "sysctl", "-qw", f"{RP_FILTER}=2")
        eventually(partial(_expect_no_rp_filter, pair.a), PATIENCE)
        assert "10.255.7.1" in _addresses(pair.a), "what another program adds stays"
    ip("link", "delete", INTERFACE)
    eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
    with pair.pinging():
        pass


@contextmanager
def _kept(gateway: Gateway) -> Iterator[None]:
    before = gateway.link()["ifindex"]
    yield
    expect("ifindex", gateway.link()["ifindex"], before)


def _addresses(gateway: Gateway) -> set[str]:
    return {str(one["local"]) for one in gateway.link()["addr_info"]}


def _expect_as_if_new(gateway: Gateway) -> None:
    """The interface is as vtid makes one."""
    gateway.expect_up()
    link = gateway.link()
    seen = (link["mtu"], link.get("ifalias"), gateway.key())
    expect("MTU, alias, key", seen, (1446, f"vtid:{INTERFACE}", KEY))
    if missing := {gateway.end.inner4, gateway.end.inner6} - _addresses(gateway):
        raise CheckError(f"{gateway.name}: {INTERFACE} has no {missing}")


def _expect_no_rp_filter(gateway: Gateway) -> None:
    expect(RP_FILTER, run(gateway.netns, "sysctl", "-n", RP_FILTER).strip(), "0")


def _expect_session(one: RealBird) -> None:
    if "BGP" not in one.ask("show protocols"):
        raise CheckError("BIRD has no session yet")
