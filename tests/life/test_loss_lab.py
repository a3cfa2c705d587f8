"""The last SA goes: when BGP and routes notice, with each `on_loss`."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.checks.traffic import pinging
from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.speakers import bird, expect_established, instance
from tests.life.texts import HOLD_TIME

if TYPE_CHECKING:
    from tests.birds import RealBird
    from tests.lab.checks.traffic import Ping
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

NETWORK = "10.77.0.0/16"
KEYS = """
on_loss = "{on_loss}"
routes = [{{ to = "10.99.0.0/16" }}]
[tunnel.bgp]
neighbor = "10.255.0.{peer}"
local_as = 65000
remote_as = 65000
"""
STATIC = f"protocol static {{ ipv4; route {NETWORK} unreachable; }}"


def configure(gateway: Gateway, on_loss: str, one: RealBird, bgp: str = "") -> None:
    keys = KEYS.format(on_loss=on_loss, peer=3 - gateway.end.number)
    gateway.configure(gateway.policy(f"{keys}{bgp}\n{instance(one)}"))


@pytest.mark.parametrize(("on_loss", "soon"), [("hold", False), ("withdraw", True)])
def test_traffic_leaves_when_the_last_sa_goes(pair: Pair, on_loss: str, *, soon: bool) -> None:
    """With "withdraw" well within the hold time; with "hold" not before it is over."""
    with ExitStack() as stack:
        near, far = (stack.enter_context(bird(gateway, STATIC)) for gateway in pair.both)
        for gateway, one in ((pair.a, near), (pair.b, far)):
            configure(gateway, on_loss, one)
        pair.establish()
        eventually(partial(expect_established, near), PATIENCE)
        before = pair.a.link()
        pair.a.terminate(*pair.a.ike_ids())
        eventually(partial(expect_no_sa, pair.a), PATIENCE)
        lost = time.monotonic()
        eventually(partial(expect_withdrawn, pair.a, near), PATIENCE)
        expect("withdrawn within the hold time", time.monotonic() < lost + HOLD_TIME / 2, soon)
        if soon:
            now = pair.a.link()
            expect(
                "interface", (now["ifindex"], now["flags"]), (before["ifindex"], before["flags"])
            )
        pair.initiate()
        pair.wait_up()
        eventually(partial(expect_established, near), PATIENCE)
        eventually(partial(expect_route, pair.a), PATIENCE)
        # a BIRD that ends with sessions of vtid in its file is one that vtid goes on asking for
        pair.clear()
        for one in (near, far):
            eventually(partial(expect_no_session, one), PATIENCE)


def expect_no_sa(gateway: Gateway) -> None:
    """Raise until vtid knows of no SA."""
    expect("SAs", gateway.tunnel()["sas"], [])


def expect_no_session(one: RealBird) -> None:
    """Raise while the BIRD has a session."""
    if " BGP " in one.ask("show protocols"):
        raise CheckError(f"{one.name}: still has a session")


def expect_route(gateway: Gateway) -> None:
    """Raise while our route is missing."""
    if "10.99.0.0/16" not in gateway.charon.ip("route"):
        raise CheckError(f"{gateway.name}: no route")


def expect_withdrawn(gateway: Gateway, one: RealBird) -> None:
    """Raise while the session is established, or our route is there."""
    found = [line for line in one.ask("show protocols").splitlines() if "Established" in line]
    if found or "10.99.0.0/16" in gateway.charon.ip("route"):
        raise CheckError(f"{gateway.name}: {found or 'the route is there'}")


# --- reauthentication, break before make ----------------------------------------------------------

BEHIND = "10.78.0.2"
"""An address behind `b`, to which BGP leads."""
KERNEL = "protocol kernel { ipv4 { export all; }; }"
ANNOUNCED = f'protocol static {{ ipv4; route {BEHIND}/32 via "lo"; }}'
EVERY = 0.01
"""Seconds between two pings."""


@pytest.mark.parametrize("on_loss", ["hold", "withdraw"])
def test_what_reauthentication_costs(pair: Pair, on_loss: str) -> None:
    """charon deletes the IKE_SA and makes a new one: what is lost by BGP, and of what is connected.

    With "hold" BGP sees nothing of it; with "withdraw" its session ends and has to come back.
    """
    with ExitStack() as stack:
        near = stack.enter_context(bird(pair.a, KERNEL))
        far = stack.enter_context(bird(pair.b, ANNOUNCED))
        pair.b.ip("address", "add", f"{BEHIND}/32", "dev", "lo")
        stack.callback(pair.b.ip, "address", "delete", f"{BEHIND}/32", "dev", "lo")
        for gateway, one in ((pair.a, near), (pair.b, far)):
            configure(gateway, on_loss, one, 'export = "all"')
        pair.establish(pair.side(ike="keyingtries = 0"))
        eventually(partial(expect_established, near), PATIENCE)
        eventually(partial(expect_by_bgp, pair.a), PATIENCE)
        before, session = pair.a.ike_ids(), sessions(near)
        with ping(pair.a, pair.b.end.inner4) as inner, ping(pair.a, BEHIND) as behind:
            pair.a.charon.swanctl("--rekey", "--ike", "net", "--reauth")
            eventually(partial(expect_other_ike_sa, pair.a, before), PATIENCE)
            pair.wait_up()
            eventually(partial(expect_established, near), PATIENCE)
            eventually(partial(expect_by_bgp, pair.a), PATIENCE)
        lost = {name: one.lost()[0] * EVERY for name, one in (("in", inner), ("by", behind))}
        print(
            f"\non_loss {on_loss}: {lost['in']:.2f} s lost to the peer, {lost['by']:.2f} s by BGP"
        )
        expect("the session went on", sessions(near) == session, on_loss == "hold")
        assert lost["in"] < HOLD_TIME
        if on_loss == "hold":
            assert lost["by"] < HOLD_TIME
        pair.clear()
        for one in (near, far):
            eventually(partial(expect_no_session, one), PATIENCE)


def ping(gateway: Gateway, address: str) -> AbstractContextManager[Ping]:
    """Ping through the tunnel while something happens."""
    return pinging(gateway.netns, address, gateway.path(f"ping-{address}.log"), "-i", str(EVERY))


def sessions(one: RealBird) -> list[str]:
    """Sessions of BGP, each with the time since when it is what it is."""
    return [line for line in one.ask("show protocols").splitlines() if " BGP " in line]


def expect_by_bgp(gateway: Gateway) -> None:
    """Raise while BGP leads to nobody behind the other."""
    if "proto bird" not in gateway.charon.ip("route", "show", BEHIND):
        raise CheckError(f"{gateway.name}: no route to {BEHIND}")


def expect_other_ike_sa(gateway: Gateway, before: set[str]) -> None:
    """Raise until there is one IKE_SA, and a new one."""
    now = gateway.ike_ids()
    expect("IKE_SAs", (len(now), now & before), (1, set()))
