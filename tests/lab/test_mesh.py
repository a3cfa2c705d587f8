"""The lab's own figures and arithmetic, without a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.lab.checks import failures, mesh_checks, narrow
from tests.lab.checks.scenarios import SCENARIOS
from tests.lab.machine.shell import CheckError, eventually
from tests.lab.report.transcript import note, transcript
from tests.lab.topology import network, settings
from tests.lab.topology.figures import GCM, IPV4, MESH, PLANS, Gateway, Plan, Router, Tunnel, Way
from vtid.config.load import load

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

PINGED = """\
[100.00] 64 bytes from 10.0.2.1: icmp_seq=1 ttl=62 time=1 ms
[100.10] 64 bytes from 10.0.2.1: icmp_seq=2 ttl=62 time=1 ms
[100.15] From 192.168.1.11 icmp_seq=3 Destination Host Unreachable
[101.10] 64 bytes from 10.0.2.1: icmp_seq=12 ttl=62 time=1 ms
[101.20] 64 bytes from 10.0.2.1: icmp_seq=13 ttl=62 time=1 ms
"""

ROUTES = """\
Table master6:
2001:db8:a2::/64     unicast [IBGP_V2_1 13:00:00.000] * (160) [AS65002i]
\tvia 2001:db8:ff::1 on vti3
                     unicast [IBGP_V2_2 13:00:00.000] (160) [AS65002i]
\tvia 2001:db8:ff::3 on vti4
2001:db8:a1::/64     unicast [PRIVATE6 13:00:00.000] * I (150/20) [0.0.0.1]
\tvia fe80::1 on eth2
"""


OLD_ROUTES = """\
2001:db8:a2::/64   via 2001:db8:ff::1 on vti3 [IBGP_V2_1 13:23:43] * (160) [AS65002i]
                   via 2001:db8:ff::3 on vti4 [IBGP_V2_2 13:23:34] (160) [AS65002i]
10.0.2.0/24        multipath [PRIVATE4 13:23:34] * E2 (150/10/10000) [1.0.1.2]
\tvia 192.168.1.11 on eth2 weight 1
\tvia 192.168.1.12 on eth2 weight 1
192.168.1.0/24     dev eth2 [PRIVATE4 13:23:34] * I (150/10) [0.0.0.1]
"""


def test_figures_of_the_lab() -> None:
    v11, v22 = Gateway(1, 1), Gateway(2, 2)
    tunnel = Tunnel(v11, v22)
    assert (tunnel.interface, tunnel.inner6, tunnel.inner4) == (
        "vti4",
        "2001:db8:ff::2",
        "169.254.1.2",
    )
    assert Tunnel(v22, v11).inner4 == "169.254.1.3"
    assert Tunnel(Gateway(2, 2), Gateway(3, 2)).inner6 == "2001:db8:ff::22"


def test_figures_of_the_forerunner() -> None:
    v12, v31 = IPV4.gateways[1], IPV4.gateways[4]
    tunnel = Tunnel(v12, v31)
    assert (v12.address, v12.network) == ("203.0.113.33", "203.0.113.32/27")
    assert (tunnel.interface, tunnel.prefixes, tunnel.peers) == (
        "vti5",
        ("172.22.15.12/31",),
        ("172.22.15.13",),
    )
    assert [router.addresses for router in IPV4.routers] == [
        ("192.168.1.1",),
        ("192.168.1.65",),
        ("192.168.1.129",),
    ]
    assert IPV4.routers[1].networks == ("192.168.1.64/26",)
    assert v31.private_address == "192.168.1.139/26"
    assert {gateway.asn for gateway in IPV4.gateways} == {65100}
    assert IPV4.size.mss == {4: 1398, 6: 1378}


@pytest.mark.parametrize("plan", PLANS)
def test_tunnels_between_all_sites(plan: Plan) -> None:
    assert {len(settings.peers(gateway)) for gateway in plan.gateways} == {4}
    assert len(plan.pairs) == 12
    assert len({prefix for pair in plan.pairs for prefix in Tunnel(*pair).prefixes}) == 12 * len(
        plan.inside
    )
    assert len(plan.ways) == 6 * len(plan.inside)


@pytest.mark.parametrize("plan", PLANS)
def test_names_of_ports_fit_the_kernel_and_differ(plan: Plan) -> None:
    names = [port.far_end for port in network.ports(plan)]
    assert len(set(names)) == len(names) == 21
    assert max(map(len, names)) <= 15


def test_one_side_starts() -> None:
    for a, b in MESH.pairs:
        for here, there, action in ((a, b, "start"), (b, a, "none")):
            text = settings.swanctl_conf(here, (there,), GCM)
            assert f"start_action = {action}" in text


@pytest.mark.parametrize("plan", PLANS)
def test_vtid_takes_what_the_administrators_write(plan: Plan) -> None:
    gateway = plan.gateways[0]
    usual = load(settings.vtid_toml(gateway, settings.peers(gateway)))
    assert {one.probe.interval for one in usual.policies} == {settings.PROBE_INTERVAL}
    other = load(settings.vtid_toml(gateway, settings.peers(gateway), narrow.BLIND, "withdraw"))
    assert {(one.probe.mtu, one.on_loss) for one in other.policies} == {(False, "withdraw")}


def test_failures_have_names_of_their_own() -> None:
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)


def test_outage_is_the_time_between_replies(tmp_path: Path) -> None:
    log = tmp_path / "ping.log"
    log.write_text(PINGED)
    process = cast("subprocess.Popen[bytes]", None)
    way = Way(Router(1), Router(2), 4, "10.0.1.1", "10.0.2.1")
    ping = failures.Ping(way, log, process)
    outage = ping.outage(began=99.5)
    assert (outage.replies, outage.lost) == (4, 9)
    assert [(one.start, one.seconds) for one in outage.windows] == [(0.6, 0.9)]


def test_the_forerunner_has_nothing_of_ipv6() -> None:
    gateway = IPV4.gateways[0]
    peers = settings.peers(gateway)
    text = settings.swanctl_conf(gateway, peers, GCM) + settings.vtid_toml(gateway, peers)
    assert "::" not in text
    assert 'netns = ""' in text


def test_routes_of_an_old_bird() -> None:
    assert mesh_checks._routes(OLD_ROUTES) == {
        "2001:db8:a2::/64": ["IBGP_V2_1", "IBGP_V2_2"],
        "10.0.2.0/24": ["PRIVATE4"],
        "192.168.1.0/24": ["PRIVATE4"],
    }


def test_routes_by_protocol() -> None:
    assert mesh_checks._routes(ROUTES) == {
        "2001:db8:a2::/64": ["IBGP_V2_1", "IBGP_V2_2"],
        "2001:db8:a1::/64": ["PRIVATE6"],
    }


def test_transcript_has_the_last_look_only() -> None:
    answers = iter(("bad", "good"))

    def look() -> None:
        answer = next(answers)
        note("r1", "ping", answer)
        note("r2", "ping", answer)
        if answer == "bad":
            raise CheckError(answer)

    with transcript() as commands:
        note("r3", "ping", "before")
        eventually(look, 5)
    assert [one.output for one in commands] == ["before", "good", "good"]


def test_transcript_keeps_what_was_asked() -> None:
    with transcript() as commands:
        note("r1", "ping", "bad")
        note("r1", "ping", "good\n")
        note("r2", "ping", "good")
    note("r1", "ping", "nobody listens")
    assert [(one.netns, one.line, one.output) for one in commands] == [
        ("r1", "ping", "good"),
        ("r2", "ping", "good"),
    ]
