"""A gateway that is a client itself: the virtual IP that charon got is on the interface."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.texts import CONNECTION, INTERFACE, Side, connection, swanctl_conf

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

POLICY = f"""
[[tunnel]]
connection = "{CONNECTION}"
interface = "{INTERFACE}"
addresses = ["{{local_vip4}}/32"]
"""


def offer(pair: Pair, pool: str) -> None:
    """Have `b` give virtual IPs from a pool."""
    ends = pair.b.end.outer4, pair.a.end.outer4
    text = swanctl_conf(connection(*ends, Side(ike="pools = life")))
    pair.b.path("swanctl.conf").write_text(f"{text}pools {{\n life {{\n addrs = {pool}\n }}\n}}\n")
    pair.b.charon.load()


def expect_address(gateway: Gateway, beginning: str) -> None:
    found = [one["local"] for one in gateway.link()["addr_info"] if one["family"] == "inet"]
    if [one for one in found if not one.startswith(beginning)] or not found:
        raise CheckError(f"{gateway.name}: {found}, not {beginning}*")


def test_the_virtual_ip_is_on_the_interface_and_follows_a_change(pair: Pair) -> None:
    pair.a.configure(POLICY)
    offer(pair, "10.77.0.0/24")
    ends = pair.a.end.outer4, pair.b.end.outer4
    pair.a.load(connection(*ends, Side(ike="vips = 0.0.0.0")))
    pair.initiate()
    eventually(partial(expect_address, pair.a, "10.77.0."), PATIENCE)
    before = pair.a.link()["ifindex"]
    for gateway in pair.both:
        gateway.terminate(*gateway.ike_ids())
    offer(pair, "10.78.0.0/24")
    pair.initiate()
    eventually(partial(expect_address, pair.a, "10.78.0."), PATIENCE)
    assert pair.a.link()["ifindex"] == before
