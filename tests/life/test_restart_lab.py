"""vtid starts over what is there already: it adopts, repairs, and removes only what is its own."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.birds import RealBird
from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.texts import INTERFACE, policy
from vtid.model.link import LINK_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

NOTHING = {"vtid_netlink_writes_total": 0, "vtid_nft_transactions_total": 0}
ENDS = ("local", "192.0.2.1", "remote", "192.0.2.2")
KEYS = ("ikey", "42", "okey", "42")
OURS = ("group", str(LINK_GROUP))

BGP = """
[tunnel.bgp]
neighbor = "10.255.0.2"
local_as = 65001
remote_as = 65002

[[bird]]
name = "life"
socket = "{bird.socket}"
include = "{bird.include}"
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_converged_system_is_left_alone(pair: Pair, number: signal.Signals) -> None:
    with _bird(pair.a) as bird:
        pair.a.configure(policy(pair.a.end, more=BGP.format(bird=bird)))
        pair.establish()
        eventually(partial(_expect_session, bird), PATIENCE)
        with _kept(pair.a), pair.pinging() as ping:
            pair.a.stop_vtid(number)
            pair.a.start_vtid()
            eventually(pair.a.expect_up, PATIENCE)
        expect("packets lost", ping.lost()[0], 0)
        expect("writes", pair.a.counters(), NOTHING)
        name = "vtid_bird_reconfigurations_total"
        expect("reconfigurations", observe.metric(pair.a, name), 0)


def test_settings_of_an_older_vtid_are_repaired_in_place(pair: Pair) -> None:
    pair.establish()
    pair.a.stop_vtid()
    ip = pair.a.ip
    with _kept(pair.a):
        ip("link", "set", INTERFACE, "mtu", "1300", "alias", "vtid:of old")
        ip("link", "set", INTERFACE, "type", "vti", *ENDS, "ikey", "41", "okey", "43")
        ip("address", "del", "10.255.0.1/24", "dev", INTERFACE)
        ip("address", "add", "10.255.7.1/24", "dev", INTERFACE)
        pair.a.start_vtid()
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
        with pair.pinging():
            pass
    assert "10.255.7.1" in _addresses(pair.a), "whoever added it is not known"


def test_a_half_finished_creation_is_finished(pair: Pair) -> None:
    """The kernel has the link with our group only: no alias, no address, not up."""
    pair.establish()
    pair.a.stop_vtid()
    pair.a.ip("link", "delete", INTERFACE)
    pair.a.ip("link", "add", INTERFACE, *OURS, "type", "vti", *ENDS, *KEYS)
    with _kept(pair.a):
        pair.a.start_vtid()
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
        with pair.pinging():
            pass


def test_a_tunnel_that_left_the_configuration_is_removed(pair: Pair) -> None:
    """Its interface and MSS go though its SA lives; a foreign interface stays."""
    pair.establish()
    pair.a.stop_vtid()
    pair.a.configure(policy(pair.a.end, connection="another", interface="another"))
    other = ("local", "192.0.2.1", "remote", "192.0.2.99", "key", "99")
    pair.a.ip("link", "add", "foreign", "type", "vti", *other)
    try:
        pair.a.start_vtid()
        eventually(pair.a.expect_no_links, PATIENCE)
        expect("MSS", pair.a.mss(), {})
        assert pair.a.link("foreign")
    finally:
        pair.a.ip("link", "delete", "foreign")


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
        ip("link", "set", INTERFACE, "type", "vti", *ENDS, "ikey", "41", "okey", "43")
        eventually(partial(_expect_as_if_new, pair.a), PATIENCE)
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
    link, data = gateway.link(), gateway.data()
    seen = (link["mtu"], link.get("ifalias"), data["ikey"], data["okey"])
    expect("MTU, alias, keys", seen, (1446, f"vtid:{INTERFACE}", "0.0.0.42", "0.0.0.42"))
    if missing := {gateway.end.inner4, gateway.end.inner6} - _addresses(gateway):
        raise CheckError(f"{gateway.name}: {INTERFACE} has no {missing}")


@contextmanager
def _bird(gateway: Gateway) -> Iterator[RealBird]:
    bird = RealBird(gateway.charon.directory, "life", gateway.netns)
    include = f'router id 1.0.0.1;\nprotocol device {{ }}\ninclude "{bird.include}*";\n'
    bird.config.write_text(include)
    bird.start()
    try:
        yield bird
    finally:
        bird.stop()
        bird.include.unlink(missing_ok=True)


def _expect_session(bird: RealBird) -> None:
    if "BGP" not in bird.ask("show protocols"):
        raise CheckError("BIRD has no session yet")
