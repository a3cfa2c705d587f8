"""Outer addresses and headers change under a living SA: the interface, MTU and MSS follow.

With AES-GCM and an outer MTU of 1500, the MTU inside is 1446 over IPv4, 1438 with NAT-T, 1426 over
IPv6, and the MSS 40 (IPv4) and 60 (IPv6) bytes less.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine import shell
from tests.lab.machine.shell import eventually
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS
from tests.life.texts import connection
from tests.life.wires import nat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

ROAMING = "mobike = yes\n local_addrs = %any"
ENCAP = "encap = yes"
FOUR, SIX = "192.0.2.1/24", "2001:db8::1/64"
"""Addresses of `a`."""
NODAD = ((), ("nodad",))
MTU = {"IPv4": 1446, "NAT-T": 1438, "IPv6": 1426}


@BOTH_KINDS
def test_the_initiator_moves_to_another_address(pair: Pair) -> None:
    other = "192.0.2.11"
    with _without(pair.a, SIX):
        _roam(pair)
        with pair.same_interface():
            pair.a.ip("address", "add", f"{other}/25", "dev", "eth0")
            with _without(pair.a, FOUR):
                eventually(partial(_expect_ends, pair.a, other, "192.0.2.2"), PATIENCE)
                eventually(partial(_expect_ends, pair.b, "192.0.2.2", other), PATIENCE)
                with pair.undisturbed():
                    pass
            pair.a.ip("address", "del", f"{other}/25", "dev", "eth0")


def test_the_sa_moves_to_ipv6_and_back(pair: Pair) -> None:
    """The kernel has another kind of interface for each family: here a new one takes its place.

    Back in IPv4 no IPv6 is tried inside: strongSwan 5.9 leaves the rest of the longer address
    behind the shorter one in the SA, and the kernel drops what it carries (XfrmInTmplMismatch).
    """
    _roam(pair)
    _expect_sizes(pair, "IPv4")
    with _without(pair.a, FOUR):
        _expect_moved(pair, "vti6", (pair.a.end.outer6, pair.b.end.outer6))
        _expect_sizes(pair, "IPv6")
        _expect_traffic(pair)
    with _without(pair.a, SIX):
        _expect_moved(pair, "vti", (pair.a.end.outer4, pair.b.end.outer4))
        _expect_sizes(pair, "IPv4")
        with pair.pinging():
            pass


@BOTH_KINDS
def test_nat_traversal_appears_and_goes_with_a_new_ike_sa(pair: Pair) -> None:
    pair.establish()
    with pair.same_interface():
        for ike, how in ((ENCAP, "NAT-T"), ("", "IPv4")):
            pair.load(pair.side(ike=ike))
            pair.a.end_sas()
            pair.initiate()
            _expect_sizes(pair, how)
            _expect_traffic(pair)


@BOTH_KINDS
def test_the_initiator_moves_behind_a_nat_and_back(pair: Pair) -> None:
    with nat(pair) as way, _without(pair.a, SIX):
        _roam(pair)
        _expect_sizes(pair, "IPv4")
        with pair.same_interface():
            with _without(pair.a, FOUR):
                eventually(partial(_expect_ends, pair.a, way.inside, "192.0.2.2"), PATIENCE)
                eventually(partial(_expect_ends, pair.b, "192.0.2.2", way.router), PATIENCE)
                assert pair.b.children()[0]["encap"] == "yes"
                _expect_sizes(pair, "NAT-T")
                _expect_traffic(pair)
            pair.a.ip("address", "del", f"{way.inside}/24", "dev", "eth1")
            eventually(partial(_expect_ends, pair.a, "192.0.2.1", "192.0.2.2"), PATIENCE)
            _expect_sizes(pair, "IPv4")


@BOTH_KINDS
def test_ipv4_and_ipv6_inside_of_ipv6(pair: Pair) -> None:
    ends = pair.a.end.outer6, pair.b.end.outer6
    pair.b.load(connection(ends[1], ends[0], pair.side()))
    pair.a.load(connection(*ends, pair.side()))
    pair.initiate()
    pair.wait_up()
    _expect_sizes(pair, "IPv6")
    _expect_traffic(pair)


def test_ipv6_inside_of_ipv4(pair: Pair) -> None:
    pair.establish()
    _expect_sizes(pair, "IPv4")
    _expect_traffic(pair)


def _roam(pair: Pair) -> None:
    """Establish an SA whose initiator may move, as a client on the road does."""
    one, other = pair.a.end.outer4, pair.b.end.outer4
    pair.b.load(connection(other, one, pair.side(ike="mobike = yes\n remote_addrs = %any")))
    pair.a.load(connection(one, other, pair.side(ike=ROAMING)))
    pair.initiate()
    pair.wait_up()


@contextmanager
def _without(gateway: Gateway, *addresses: str) -> Iterator[None]:
    """Take addresses of the wire away for a while."""
    for address in addresses:
        gateway.ip("address", "del", address, "dev", "eth0")
    try:
        yield
    finally:
        for address in addresses:
            gateway.ip("address", "add", address, "dev", "eth0", *NODAD[":" in address])


def _expect_ends(gateway: Gateway, local: str, remote: str) -> None:
    expect(f"{gateway.name}: ends", gateway.ends(), (local, remote))


def _expect_moved(pair: Pair, kind: str, ends: tuple[str, str]) -> None:
    for gateway, (local, remote) in ((pair.a, ends), (pair.b, ends[::-1])):
        eventually(partial(_expect_ends, gateway, local, remote), PATIENCE)
        expect("kind", gateway.link()["linkinfo"]["info_kind"], kind)
    pair.wait_up()


def _expect_sizes(pair: Pair, how: str) -> None:
    for gateway in pair.both:
        eventually(partial(_expect_size, gateway, MTU[how]), PATIENCE)


def _expect_size(gateway: Gateway, mtu: int) -> None:
    expect(f"{gateway.name}: MTU", gateway.link()["mtu"], mtu)
    mss = {
        f"mss{family}_{way}": mtu - headers
        for family, headers in ((4, 40), (6, 60))
        for way in ("in", "out")
    }
    expect(f"{gateway.name}: MSS", gateway.mss(), mss)


def _expect_traffic(pair: Pair) -> None:
    """A packet of either family that just fits arrives, unfragmented."""
    for address, headers in ((pair.b.end.inner4, 28), (pair.b.end.inner6, 48)):
        size = str(pair.a.link()["mtu"] - headers)
        ping = ("ping", "-n", "-c", "3", "-i", "0.05", "-M", "do", "-s", size, address)
        eventually(partial(shell.run, pair.a.netns, *ping), PATIENCE)
