"""docs/clouds.md: its configurations have two tunnels each, and lead to the MTUs of its tables."""

from __future__ import annotations

import re
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.core.world import CBC, GCM, desired_of, sa
from vtid.config.load import load
from vtid.core.underlay import Underlay

if TYPE_CHECKING:
    from vtid.config.keys import Config
    from vtid.esp.algorithms import EspAlgorithms

PAGE = (Path(__file__).parents[1] / "docs" / "clouds.md").read_text()

SECTIONS = re.findall(r"^## (\w+).*\n((?:(?!^## ).*\n)+)", PAGE, re.MULTILINE)
CLOUDS = dict(SECTIONS)
NAMES = ("AWS", "Azure", "Google")

FORBIDDEN = [ip_network(f"169.254.{number}.0/30") for number in range(6)]
"""What AWS does not assign."""


def config(name: str) -> Config:
    (text,) = re.findall(r"```toml\n(.*?)```", CLOUDS[name], re.DOTALL)
    return load(text)


def sizes(name: str, esp: EspAlgorithms, *, nat: bool = False, ipv6: bool = False) -> str:
    """MTU and MSS of the first tunnel, as the page writes them."""
    ends = ("2001:db8::1", "2001:db8::2") if ipv6 else ("192.0.2.1", "203.0.113.1")
    child = sa(
        1,
        mark=None,
        if_id_in=1,
        if_id_out=1,
        esp=esp,
        encap=nat,
        local_host=ends[0],
        remote_host=ends[1],
    )
    known = {ends: Underlay(mtu=1500, interface="eth0", error="")}
    desired = desired_of("t", config(name).policies[0], [child], known)
    assert desired.link
    assert desired.clamp
    return f"{desired.link.mtu} and {desired.clamp.mss4}"


@pytest.mark.parametrize("name", NAMES)
def test_there_are_two_tunnels_with_sessions_of_their_own(name: str) -> None:
    policies = config(name).policies
    assert len(policies) == 2
    assert len({policy.interface for policy in policies}) == 2
    for policy in policies:
        (address,) = policy.addresses
        (session,) = policy.bgp
        network = ip_interface(address).network
        assert network.subnet_of(ip_network("169.254.0.0/16"))  # type: ignore[arg-type]
        assert ip_interface(f"{session.neighbor}/30").network == network
        assert network not in FORBIDDEN


@pytest.mark.parametrize("name", NAMES)
def test_swanctl_conf_has_the_connections(name: str) -> None:
    first = config(name).policies[0].connection
    assert f"connections {{ {first} {{" in CLOUDS[name]
    assert len(set(re.findall(r"if_id_(?:in|out) = (\d+)", CLOUDS[name]))) == 1


@pytest.mark.parametrize(
    ("name", "esp", "options"),
    [
        ("AWS", GCM, {}),
        ("AWS", GCM, {"nat": True}),
        ("AWS", CBC, {}),
        ("AWS", CBC, {"nat": True}),
        ("Google", GCM, {}),
        ("Google", GCM, {"ipv6": True}),
    ],
)
def test_mtu_and_mss_are_the_clouds(
    name: str, esp: EspAlgorithms, options: dict[str, bool]
) -> None:
    (row,) = re.findall(r"^\| MTU, MSS \|.*$", CLOUDS[name], re.MULTILINE)
    assert sizes(name, esp, **options) in row


def test_azure_gets_the_mss_that_it_asks_for() -> None:
    assert sizes("Azure", GCM) == "1390 and 1350"
    assert sizes("Azure", CBC, nat=True) == "1390 and 1350"


def test_the_timers_are_the_clouds() -> None:
    timers = {
        name: (session.keepalive_time, session.hold_time)
        for name in NAMES
        for session in config(name).policies[0].bgp
    }
    assert timers == {"AWS": (10, 30), "Azure": (60, 180), "Google": (20, 60)}
