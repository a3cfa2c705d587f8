"""Set-ups that clouds publish for strongSwan; the other gateway plays the cloud.

* AWS Site-to-Site VPN: two tunnels with 169.254 addresses, AS 64512, IKEv1 or IKEv2, and a
  gateway on an instance with 9,001-byte packets, whose private address is behind NAT.
* Google Cloud HA VPN: 1,460-byte packets outside, and IPv6 routes over an IPv4 session of BGP.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually, run
from tests.life.gateways import PATIENCE
from tests.life.kinds import VTI
from tests.life.speakers import bird, expect_established, instance
from tests.life.texts import Side, child, connection
from tests.life.wires import add_address, nat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.birds import RealBird
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

OURS, AWS, GOOGLE = 65000, 64512, 64514

ANNOUNCED = """
protocol kernel {{ ipv4 {{ export where source = RTS_BGP; }}; }}
protocol kernel {{ ipv6 {{ export where source = RTS_BGP; }}; }}
protocol static {{ ipv4; route 10.{number}.0.0/16 blackhole; }}
protocol static {{ ipv6; route 2001:db8:{number}::/48 blackhole; }}
"""


@contextmanager
def networks(pair: Pair) -> Iterator[list[RealBird]]:
    """Have a BIRD at each that announces 10.N.0.0/16 and 2001:db8:N::/48, with address 1 of it."""
    with ExitStack() as stack:
        for gateway in pair.both:
            number = gateway.end.number
            for address in (f"10.{number}.0.1/32", f"2001:db8:{number}::1/128"):
                add_address(gateway.netns, address, "lo")
                stack.callback(gateway.ip, "address", "del", address, "dev", "lo")
        yield [
            stack.enter_context(bird(gateway, ANNOUNCED.format(number=gateway.end.number)))
            for gateway in pair.both
        ]


def expect_ping(gateway: Gateway, source: str, target: str, *more: str) -> None:
    run(
        gateway.netns, "ping", "-n", "-c", "2", "-i", "0.05", "-W", "5", "-I", source, *more, target
    )


def expect_mtu(gateway: Gateway, interface: str, mtu: int) -> None:
    expect(f"MTU of {interface}", gateway.link(interface)["mtu"], mtu)
    expect(f"MSS of {interface}", gateway.mss(interface)["mss4_out"], mtu - 40)


# --- AWS -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One of the two: its number, the version of IKE, and AWS's outer address."""

    number: int
    version: int
    outer: str

    @property
    def name(self) -> str:
        return f"aws-{self.number}"

    def inner(self, end: int) -> str:
        """AWS has address 1 of a /30, the customer 2."""
        return f"169.254.{self.number}.{end}"

    def side(self, more: str, *, ours: bool) -> Side:
        """Write what AWS's example for strongSwan says."""
        mark = VTI.keys(100 * self.number)
        start = "start_action = start\n dpd_action = restart" if ours else ""
        return Side(
            child(
                more=f"{mark}\n {start}",
                esp="aes128-sha1-modp1024",
                ts="local_ts = 0.0.0.0/0\n remote_ts = 0.0.0.0/0",
            ),
            f"version = {self.version}\n proposals = aes128-sha1-modp1024\n dpd_delay = 10\n"
            f" keyingtries = 0\n {more}",
        )

    def policy(self, *, ours: bool) -> str:
        local, remote = (2, 1) if ours else (1, 2)
        local_as, remote_as = (OURS, AWS) if ours else (AWS, OURS)
        return f"""
[[tunnel]]
connection = "{self.name}"
interface = "{self.name}"
addresses = ["{self.inner(local)}/30"]
[tunnel.bgp]
neighbor = "{self.inner(remote)}"
local_as = {local_as}
remote_as = {remote_as}
hold_time = "30s"
keepalive_time = "10s"
export = "all"
"""


def test_aws_two_tunnels_from_behind_nat(pair: Pair) -> None:
    a, b = pair.both
    with nat(pair, mtu=9001) as way, networks(pair) as birds:
        tunnels = [Tunnel(1, 1, way.b[0]), Tunnel(2, 2, way.b[1])]
        for gateway, one in zip(pair.both, birds, strict=True):
            policies = [tunnel.policy(ours=gateway is a) for tunnel in tunnels]
            gateway.configure("".join(policies) + instance(one))
        public = way.router
        b.load(
            "".join(
                connection(
                    each.outer, public, each.side("remote_addrs = %any", ours=False), each.name
                )
                for each in tunnels
            )
        )
        private = f"local_addrs = {way.inside}"
        a.load(
            "".join(
                connection(public, each.outer, each.side(private, ours=True), each.name)
                for each in tunnels
            )
        )
        for tunnel in tunnels:
            for gateway in pair.both:
                eventually(partial(gateway.expect_up, tunnel.name), PATIENCE)
                expect_mtu(gateway, tunnel.name, 8926)
            data = a.data(tunnel.name)
            expect("ends", (data["local"], data["remote"]), (way.inside, tunnel.outer))
        for one in birds:
            eventually(partial(expect_established, one, 2), PATIENCE)
        just_fits = ("-M", "do", "-s", str(8926 - 28))
        eventually(partial(expect_ping, a, "10.1.0.1", "10.2.0.1", *just_fits), PATIENCE)

        a.charon.swanctl("--terminate", "--ike", tunnels[0].name)
        for one in birds:
            eventually(partial(expect_established, one, 1), PATIENCE)
        eventually(partial(expect_ping, a, "10.1.0.1", "10.2.0.1", *just_fits), PATIENCE)
        a.expect_up(tunnels[1].name)


# --- Google Cloud --------------------------------------------------------------------------------

NEXT_HOP = "2600:2d00:0:2::{number}"
"""Google assigns both ends an address for next hops of IPv6 routes."""

CLOUD_ROUTER = """
connection = "net"
interface = "gcp{{mark}}"
addresses = ["169.254.1.{ours}/30", "{next_hop}/125"]
[tunnel.bgp]
neighbor = "169.254.1.{theirs}"
local_as = {local_as}
remote_as = {remote_as}
families = ["ipv4", "ipv6"]
next_hop = ["{next_hop}"]
hold_time = "60s"
keepalive_time = "20s"
export = "all"
"""


def cloud_router(gateway: Gateway, one: RealBird) -> str:
    ours = gateway.end.number
    local_as, remote_as = (OURS, GOOGLE) if ours == 1 else (GOOGLE, OURS)
    text = CLOUD_ROUTER.format(
        ours=ours,
        theirs=3 - ours,
        next_hop=NEXT_HOP.format(number=ours),
        local_as=local_as,
        remote_as=remote_as,
    )
    return f"[[tunnel]]{text}{instance(one)}"


def test_google_cloud_ipv6_over_an_ipv4_session(pair: Pair) -> None:
    with networks(pair) as birds:
        for gateway, one in zip(pair.both, birds, strict=True):
            gateway.ip("link", "set", "eth0", "mtu", "1460")
            gateway.configure(cloud_router(gateway, one))
        try:
            pair.load(Side(child(more=VTI.keys("%unique"))))
            pair.initiate()
            for gateway, one in zip(pair.both, birds, strict=True):
                (name,) = eventually(partial(expect_one_link, gateway), PATIENCE)
                eventually(partial(gateway.expect_up, name), PATIENCE)
                expect_mtu(gateway, name, 1406)
                eventually(partial(expect_established, one), PATIENCE)
                eventually(partial(expect_next_hop, gateway, name), PATIENCE)
            expect_ping(pair.a, "10.1.0.1", "10.2.0.1")
            expect_ping(pair.a, "2001:db8:1::1", "2001:db8:2::1", "-M", "do", "-s", str(1406 - 48))
        finally:
            for gateway in pair.both:
                gateway.ip("link", "set", "eth0", "mtu", "1500")


def expect_one_link(gateway: Gateway) -> set[str]:
    if len(links := gateway.links()) != 1:
        raise CheckError(f"{gateway.name}: interfaces {links}")
    return links


def expect_next_hop(gateway: Gateway, interface: str) -> None:
    """Raise unless the other's IPv6 network is reached by the address that the cloud assigned."""
    other = 3 - gateway.end.number
    found = run(gateway.netns, "ip", "-6", "route", "show", f"2001:db8:{other}::/48")
    wanted = f"via {NEXT_HOP.format(number=other)} dev {interface} proto bird"
    if wanted not in found:
        raise CheckError(f"{gateway.name}: {found or 'no route'}, not {wanted}")
