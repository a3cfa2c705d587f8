"""The address to probe: as configured, else the only one it can be."""

from __future__ import annotations

import pytest

from tests.config.test_load import BIRD, tunnel
from tests.core.world import sa
from vtid.core.peer import probe_peer

BGP = "[tunnel.bgp]\nlocal_as = 1\nremote_as = 2\n"


def peer(*lines: str, remote_vips: tuple[str, ...] = ()) -> str:
    return probe_peer(tunnel(*lines, BIRD), sa(1, remote_vips=remote_vips))


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("169.254.1.0/31", "169.254.1.1"),
        ("169.254.1.1/31", "169.254.1.0"),
        ("192.0.2.1/30", "192.0.2.2"),
        ("192.0.2.6/30", "192.0.2.5"),
        ("2001:db8:ff::/127", "2001:db8:ff::1"),
        ("2001:db8:ff::1/127", "2001:db8:ff::"),
        ("10.0.0.1 peer 10.0.0.2/32", "10.0.0.2"),
        ("10.0.0.1 peer 10.9.0.2/24", "10.9.0.2"),
        ("fe80::1 peer fe80::2/128", "fe80::2"),
        ("192.0.2.1/29", ""),
        ("192.0.2.1/32", ""),
        ("2001:db8::1/126", ""),
        ("2001:db8::1/64", ""),
        ("fe80::1/64", ""),
    ],
)
def test_the_other_end(address: str, found: str) -> None:
    assert peer(f'addresses = ["{address}"]') == found


def test_no_address_no_peer() -> None:
    assert peer() == ""


def test_an_address_that_says_nothing_hides_no_other() -> None:
    assert peer('addresses = ["fe80::1/64", "192.0.2.1/31"]') == "192.0.2.0"


def test_a_neighbour_comes_before_the_addresses() -> None:
    lines = ('addresses = ["169.254.1.0/31"]', BGP + 'neighbor = "fe80::2"')
    assert peer(*lines) == "fe80::2"
    assert peer(lines[0], BGP + 'neighbor = "192.0.2.9"\nmultihop = 2') == "169.254.1.1"


def test_what_is_configured_comes_first() -> None:
    lines = ('addresses = ["169.254.1.0/31"]', '[tunnel.probe]\npeer = "10.9.9.9"')
    assert peer(*lines, BGP + 'neighbor = "fe80::2"') == "10.9.9.9"


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{remote_vip}", "10.3.0.1"),
        ("{remote_vip4}", "10.3.0.1"),
        ("{remote_vip6}", "fd00::7"),
    ],
)
def test_a_virtual_ip(template: str, found: str) -> None:
    vips = ("10.3.0.1", "fd00::7")
    assert peer(f'[tunnel.probe]\npeer = "{template}"', remote_vips=vips) == found
    assert peer(f'[tunnel.probe]\npeer = "{template}"') == ""


def test_an_interface_for_all_peers_has_no_one_peer() -> None:
    assert peer('remote = "any"', 'addresses = ["169.254.1.0/31"]') == ""
