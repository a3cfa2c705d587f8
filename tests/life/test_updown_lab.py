"""The usual updown scripts, line by line: each line's effect is there without the script.

The lines are those of the script that AWS publishes for strongSwan (aws-updown.sh) and of
strongSwan's own examples for VTIs. docs/strongswan.md tells the same to administrators.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually, run
from tests.life.gateways import PATIENCE
from tests.life.texts import CONNECTION, INTERFACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.life.gateways import Gateway, Pair

POLICY = f"""
[[tunnel]]
connection = "{CONNECTION}"
interface = "{INTERFACE}"
addresses = ["10.255.0.1 peer 10.255.0.2/30"]
routes = [{{ to = "10.2.0.0/16", metric = 100 }}]
"""
CONF = f"net.ipv4.conf.{INTERFACE}"
ALL_FILTER = "net.ipv4.conf.all.rp_filter"
ENDS = {"local": "192.0.2.1", "remote": "192.0.2.2"}
SYN = "-p tcp --tcp-flags SYN,RST SYN"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a script, as docs/strongswan.md has it, and the effect that it is for."""

    text: str
    look: Callable[[Gateway], object]
    wanted: object


def keys(gateway: Gateway) -> object:
    data = gateway.data()
    return {name: data[name] for name in ("local", "remote", "ikey", "okey")}


def address(gateway: Gateway) -> object:
    (found,) = (one for one in gateway.link()["addr_info"] if one["family"] == "inet")
    return found["local"], found["address"], found["prefixlen"]


def mtu(gateway: Gateway) -> object:
    link = gateway.link()
    return "UP" in link["flags"], link["mtu"]


def sysctl(name: str) -> Callable[[Gateway], object]:
    return lambda gateway: run(gateway.netns, "sysctl", "-n", name).strip()


def route(gateway: Gateway) -> object:
    routes = json.loads(run(gateway.netns, "ip", "-j", "route", "show", "10.2.0.0/16"))
    return [(one["dev"], one["metric"]) for one in routes]


def reached(address: str) -> Callable[[Gateway], object]:
    """Ping, and return what IPsec refused meanwhile."""

    def look(gateway: Gateway) -> object:
        before = refused(gateway)
        run(gateway.netns, "ping", "-n", "-c", "2", "-i", "0.05", "-W", "5", address)
        return refused(gateway) - before

    return look


def refused(gateway: Gateway) -> set[str]:
    """Counters of packets that no policy or no SA fitted."""
    text = run(gateway.netns, "cat", "/proc/net/xfrm_stat")
    return {line for line in text.splitlines() if "Pol" in line or "Mismatch" in line}


LINES = (
    Line(
        "ip tunnel add IF mode vti local ME remote PEER okey MARK ikey MARK",
        keys,
        {**ENDS, "ikey": "0.0.0.42", "okey": "0.0.0.42"},
    ),
    Line(
        "ip addr add ADDRESS remote PEER_ADDRESS dev IF", address, ("10.255.0.1", "10.255.0.2", 30)
    ),
    Line("ip link set IF up mtu 1419", mtu, (True, 1446)),
    Line("sysctl -w net.ipv4.conf.IF.disable_policy=1", sysctl(f"{CONF}.disable_policy"), "1"),
    Line(
        "sysctl -w net.ipv4.conf.IF.rp_filter=2",
        sysctl(f"net.ipv4.conf.{INTERFACE}.rp_filter"),
        "2",
    ),
    Line("sysctl -w net.ipv4.conf.eth0.disable_xfrm=1", reached("192.0.2.2"), set()),
    Line("sysctl -w net.ipv4.conf.eth0.disable_policy=1", reached("192.0.2.2"), set()),
    Line(
        f"iptables -t mangle -I FORWARD -o IF {SYN} -j TCPMSS --clamp-mss-to-pmtu",
        lambda gateway: gateway.mss(),
        {"mss4_out": 1406, "mss4_in": 1406, "mss6_out": 1386, "mss6_in": 1386},
    ),
    Line(
        "iptables -t mangle -I INPUT -p esp -s PEER -d ME -j MARK --set-xmark MARK",
        reached("10.255.0.2"),
        set(),
    ),
    Line("ip route add NETWORK dev IF metric 100", route, [(INTERFACE, 100)]),
)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.text.split()[0])
def test_the_documentation_has_the_line(line: Line) -> None:
    text = Path(__file__).parents[2].joinpath("docs/strongswan.md").read_text()
    assert f"`{line.text}`" in text


@pytest.mark.lab
def test_every_line_of_a_script_has_its_effect_without_it(pair: Pair) -> None:
    """Strict filtering on all links, as hardening guides have it, is no obstacle either."""
    before = run(pair.a.netns, "sysctl", "-n", ALL_FILTER).strip()
    run(pair.a.netns, "sysctl", "-qw", f"{ALL_FILTER}=1")
    try:
        pair.a.configure(POLICY)
        pair.establish()
        for line in LINES:
            eventually(partial(expect_effect, pair.a, line), PATIENCE)
        expect(
            "other programs' marks", run(pair.a.netns, "nft", "list", "ruleset").count("mark"), 0
        )
    finally:
        run(pair.a.netns, "sysctl", "-qw", f"{ALL_FILTER}={before}")


def expect_effect(gateway: Gateway, line: Line) -> None:
    expect(line.text, line.look(gateway), line.wanted)
