"""Interfaces without an SA: before it comes, after it has gone, and until vtid gets it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS
from tests.life.texts import CONNECTION, GCM, HOLD_TIME, INTERFACE, connection, policy

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

TRAP = "start_action = trap"
NO_SOLICITATIONS = "sysctls = { ipv6 = { accept_ra = 0 } }"
"""The kernel's own packets through a new interface would trigger the trap, too."""


@BOTH_KINDS
def test_a_packet_triggers_a_trap_through_a_declared_interface(pair: Pair) -> None:
    pair.a.configure(_always(pair))
    eventually(partial(_expect_there, pair.a), PATIENCE)
    expect("MTU from the configured proposal", pair.a.link()["mtu"], 1446)
    pair.load(pair.side(TRAP), at_b=pair.side())
    before, writes = pair.a.link()["ifindex"], pair.a.counters()
    with pair.pinging():
        pair.wait_up()
    expect("ifindex and writes", (pair.a.link()["ifindex"], pair.a.counters()), (before, writes))
    pair.a.terminate(*pair.a.ike_ids())
    eventually(pair.b.expect_no_links, PATIENCE)
    expect("ifindex without SA", pair.a.link()["ifindex"], before)


def test_vtid_initiates_until_the_peer_is_ready(pair: Pair) -> None:
    """charon does not try again after NO_PROPOSAL_CHOSEN."""
    one, other = pair.a.end.outer4, pair.b.end.outer4
    pair.a.load(connection(one, other, pair.side()))
    pair.a.configure(pair.a.policy(f'child = "{CONNECTION}"\ninitiate = true'))
    eventually(partial(_expect_refusals, pair.a, 2), PATIENCE)
    pair.b.load(connection(other, one, pair.side()))
    pair.wait_up()


def test_a_peer_that_ends_every_sa_is_asked_less_and_less(pair: Pair) -> None:
    """After the second SA, 32 s varied by half; it would be 2 s if each SA began the waits anew."""
    pair.load()
    pair.a.configure(pair.a.policy(f'child = "{CONNECTION}"\ninitiate = true'))
    for _ in range(2):
        eventually(pair.a.expect_up, 2 * PATIENCE)
        ended = time.time()
        pair.b.terminate(*pair.b.ike_ids())
        at = eventually(partial(_next_initiation, pair.a), PATIENCE)
    assert at - ended >= 16


def _next_initiation(gateway: Gateway) -> float:
    """Unix time at which vtid asks charon next. Raises while nothing is due."""
    (one,) = gateway.status()["initiations"]
    if not one["next_at"]:
        raise CheckError(f"{gateway.name}: nothing is to be initiated")
    return float(one["next_at"])


@BOTH_KINDS
def test_an_interface_waits_for_its_sa_down(pair: Pair) -> None:
    for gateway in pair.both:
        gateway.configure(gateway.policy('on_down = "down"'))
    pair.establish()
    with pair.same_interface():
        pair.a.terminate(*pair.a.ike_ids())
        for gateway in pair.both:
            eventually(partial(_expect_down, gateway), PATIENCE)
        pair.initiate()


def test_what_is_named_after_its_sa_waits_down_over_a_restart(pair: Pair) -> None:
    for gateway in pair.both:
        after_its_sa = policy(gateway.end, interface="vti{mark}", more='on_down = "down"')
        gateway.configure(after_its_sa)
    pair.load()
    pair.initiate()
    pair.wait_up("vti42")
    before = pair.a.link("vti42")["ifindex"]
    pair.a.stop_vtid()
    pair.a.terminate(*pair.a.ike_ids())
    pair.a.start_vtid()
    eventually(partial(_expect_down, pair.a, "vti42"), PATIENCE)
    writes = pair.a.counters()
    eventually(partial(_expect_kept, pair.a, HOLD_TIME), PATIENCE)
    expect("writes while it waits", pair.a.counters(), writes)
    pair.initiate()
    pair.wait_up("vti42")
    expect("ifindex", pair.a.link("vti42")["ifindex"], before)


def _expect_refusals(gateway: Gateway, number: int) -> None:
    found = gateway.charon.log.count("received NO_PROPOSAL_CHOSEN notify error")
    if found < number:
        raise CheckError(f"{gateway.name}: {found} refusals")


def _expect_kept(gateway: Gateway, seconds: float) -> None:
    """Raise until vtid has shown the tunnel as down for longer than the hold time."""
    tunnel = gateway.tunnel("vti42")
    expect("state and name", (tunnel["state"], tunnel["tunnel"]), ("down", CONNECTION))
    if time.time() < tunnel["since"] + seconds + 1:
        raise CheckError(f"{gateway.name}: down since {tunnel['since']}")


def _expect_down(gateway: Gateway, interface: str = INTERFACE) -> None:
    if "UP" in gateway.link(interface)["flags"]:
        raise CheckError(f"{gateway.name}: the interface is up")


def _always(pair: Pair) -> str:
    local, remote = pair.a.end.outer4, pair.b.end.outer4
    ends = f'presence = "always"\nlocal = "{local}"\nremote = "{remote}"\nesp = "{GCM}"'
    return pair.a.policy(f"{ends}\n{pair.a.kind.declared()}\n{NO_SOLICITATIONS}")


def _expect_there(gateway: Gateway) -> None:
    if "UP" not in gateway.link()["flags"]:
        raise CheckError(f"{gateway.name}: the interface is down")
