"""The lab's own figures and arithmetic, without a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tests.lab import failures, mesh_checks, network, settings
from tests.lab.figures import ALL, PAIRS, Gateway, Router, Tunnel
from tests.lab.transcript import note, transcript

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
    assert {len(settings.peers(gateway)) for gateway in ALL} == {4}
    assert len(PAIRS) == 12


def test_names_of_ports_fit_the_kernel_and_differ() -> None:
    names = [port.far_end for port in network.ports()]
    assert len(set(names)) == len(names) == 21
    assert max(map(len, names)) <= 15


def test_one_side_starts() -> None:
    for a, b in PAIRS:
        for here, there, action in ((a, b, "start"), (b, a, "none")):
            text = settings.swanctl_conf(here, without=[p for p in ALL if p != there])
            assert f"start_action = {action}" in text


def test_outage_is_the_time_between_replies(tmp_path: Path) -> None:
    log = tmp_path / "ping.log"
    log.write_text(PINGED)
    process = cast("subprocess.Popen[bytes]", None)
    ping = failures.Ping(Router(1), Router(2), "10.0.2.1", log, process)
    outage = ping.outage(began=99.5)
    assert (outage.replies, outage.lost) == (4, 9)
    assert [(one.start, one.seconds) for one in outage.windows] == [(0.6, 0.9)]


def test_routes_by_protocol() -> None:
    assert mesh_checks._routes(ROUTES) == {
        "2001:db8:a2::/64": ["IBGP_V2_1", "IBGP_V2_2"],
        "2001:db8:a1::/64": ["PRIVATE6"],
    }


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
