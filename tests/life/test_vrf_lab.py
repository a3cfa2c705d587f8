"""A tunnel inside a VRF: its outer packets stay outside, and all that is inside works."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.checks.traffic import arriving_syn
from tests.lab.machine.shell import CheckError, eventually, run
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS
from tests.life.speakers import bird, expect_established, instance
from tests.life.wires import host, vrf

if TYPE_CHECKING:
    from tests.birds import RealBird
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

TABLE = 100
SESSION = """
[tunnel.bgp]
neighbor = "10.255.0.{peer}"
local_as = {ours}
remote_as = {theirs}
export = "all"
"""
KERNEL = """
protocol kernel kernel4 {{ vrf "blue"; kernel table {table}; ipv4 {{ export all; }}; }}
protocol kernel kernel6 {{ vrf "blue"; kernel table {table}; ipv6 {{ export all; }}; }}
protocol static {{ ipv4; route 10.{number}.0.0/24 via "lan"; }}
protocol static {{ ipv6; route 2001:db8:{number}::/64 via "lan"; }}
"""


def session(gateway: Gateway, one: RealBird) -> str:
    ours, theirs = gateway.end.number, 3 - gateway.end.number
    text = SESSION.format(peer=theirs, ours=65000 + ours, theirs=65000 + theirs)
    return text + instance(one)


def networks(number: int) -> tuple[str, str]:
    return f"10.{number}.0.0/24", f"2001:db8:{number}::0/64"


@BOTH_KINDS
def test_bgp_and_the_clamp_work_in_a_vrf(pair: Pair) -> None:
    """`b` clamps nothing, so that what arrives is the work of `a`: 1406 is 1446 less 40 bytes."""
    with ExitStack() as stack:
        hosts, birds = [], []
        for gateway in pair.both:
            stack.enter_context(vrf(gateway, "blue", TABLE))
            number = gateway.end.number
            hosts.append(stack.enter_context(host(gateway, *networks(number), vrf="blue")))
            one = stack.enter_context(bird(gateway, KERNEL.format(table=TABLE, number=number)))
            birds.append(one)
            clamp = "" if gateway is pair.a else "mss_clamp = false\n"
            gateway.configure(gateway.policy(f'vrf = "blue"\n{clamp}{session(gateway, one)}'))
        pair.establish()
        expect("master", pair.a.link()["master"], "blue")
        for gateway, one in zip(pair.both, birds, strict=True):
            eventually(partial(expect_established, one), PATIENCE)
            eventually(partial(expect_routes, gateway), PATIENCE)
        near, far = hosts
        for address, mss in (("10.2.0.2", 1406), ("2001:db8:2::2", 1386)):
            expect(f"MSS of SYN and SYN-ACK of {address}", both_mss(near, far, address), (mss, mss))
        # the VRF goes, and its interfaces with it: what vtid made leaves first
        pair.clear()


def expect_routes(gateway: Gateway) -> None:
    """Raise unless BGP brought the routes to the other's host into the VRF's table."""
    other = 3 - gateway.end.number
    for family, network in (("-4", f"10.{other}.0.0/24"), ("-6", f"2001:db8:{other}::/64")):
        table = ("route", "show", "table", str(TABLE), network)
        if "proto bird" not in run(gateway.netns, "ip", family, *table):
            raise CheckError(f"{gateway.name}: no route to {network} in table {TABLE}")


def both_mss(near: str, far: str, address: str) -> tuple[int, int]:
    """Connect two hosts: MSS of the SYN as it arrives, and of the SYN-ACK."""
    connect = f"import socket; socket.create_connection(({address!r}, 7), 20).close()"
    with arriving_syn(far) as syn, arriving_syn(near) as answer:
        run(near, "sh", "-c", f"python3 -S -c {shlex.quote(connect)}")
    return syn.mss()[1], answer.mss()[1]
