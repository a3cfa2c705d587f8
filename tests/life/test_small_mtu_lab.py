"""A small outer MTU takes no IPv6 from the tunnel, and everything returns with the path."""

from __future__ import annotations

import json
import shlex
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.checks.traffic import arriving_syn
from tests.lab.machine.shell import eventually, run
from tests.life.gateways import PATIENCE
from tests.life.kinds import BOTH_KINDS, XFRM_ONLY
from tests.life.texts import CONNECTION, EVERYTHING, INTERFACE, Side, child, policy

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab


def limit(pair: Pair, mtu: int) -> None:
    """Limit the path from `a` to `b`, as an administrator does."""
    pair.a.ip("route", "replace", pair.b.end.outer4, "dev", "eth0", "mtu", str(mtu))


def free(pair: Pair) -> None:
    pair.a.ip("route", "del", pair.b.end.outer4, "dev", "eth0")


def expect_sizes(gateway: Gateway, mtu: int, mss4: int, mss6: int) -> None:
    gateway.expect_up()
    expect("MTU", gateway.link()["mtu"], mtu)
    found = gateway.mss()
    expect("MSS", (found.get("mss4_out"), found.get("mss6_out")), (mss4, mss6))
    addresses = {one["local"] for one in gateway.link()["addr_info"]}
    wanted = {gateway.end.inner4, gateway.end.inner6}
    expect("addresses that are missing", wanted - addresses, set())


def expect_both_families(pair: Pair, data: int) -> None:
    for address, headers in ((pair.b.end.inner4, 28), (pair.b.end.inner6, 48)):
        size = str(data - headers)
        run(pair.a.netns, "ping", "-c", "2", "-W", "5", "-M", "do", "-s", size, address)


def own_mss(pair: Pair) -> tuple[int, ...]:
    """MSS of SYNs that `a` itself sends, as they arrive behind the tunnel."""
    found = []
    for address in (pair.b.end.inner4, pair.b.end.inner6):
        connect = f"import socket; socket.create_connection(({address!r}, 9), 3)"
        with arriving_syn(pair.b.netns, INTERFACE) as syn:
            run(pair.a.netns, "sh", "-c", f"python3 -S -c {shlex.quote(connect)} || true")
        found.append(syn.mss()[1])
    return tuple(found)


@pytest.mark.parametrize(("outer", "inner"), [(1460, 1406), (9001, 8946)], ids=["Google", "AWS"])
def test_the_outer_mtus_of_clouds(pair: Pair, outer: int, inner: int) -> None:
    """Google Cloud has 1460 bytes, AWS 9001; the tunnel follows, also while it is up."""
    pair.establish()
    try:
        for gateway in pair.both:
            gateway.ip("link", "set", "eth0", "mtu", str(outer))
        eventually(partial(expect_sizes, pair.a, inner, inner - 40, inner - 60), PATIENCE)
        expect_both_families(pair, inner)
    finally:
        for gateway in pair.both:
            gateway.ip("link", "set", "eth0", "mtu", "1500")
    eventually(partial(expect_sizes, pair.a, 1446, 1406, 1386), PATIENCE)


@BOTH_KINDS
def test_ipv6_stays_while_the_path_is_small_and_all_returns_with_it(pair: Pair) -> None:
    pair.establish()
    eventually(partial(expect_sizes, pair.a, 1446, 1406, 1386), PATIENCE)
    try:
        limit(pair, 1300)
        eventually(partial(expect_sizes, pair.a, 1280, 1206, 1186), PATIENCE)
        expect_both_families(pair, 1246)
        expect("MSS of our own connections", own_mss(pair), (1206, 1186))
        reason = pair.a.tunnel()["reason"]
        assert "the minimum for IPv6; IPv6 packets of 1247 to 1280 bytes are lost" in reason
        expect("path MTU", observe.metric(pair.a, "vtid_tunnel_path_mtu_bytes"), 1246)
    finally:
        free(pair)
    eventually(partial(expect_sizes, pair.a, 1446, 1406, 1386), PATIENCE)
    expect_both_families(pair, 1446)


@BOTH_KINDS
def test_a_tunnel_comes_up_over_a_small_path(pair: Pair) -> None:
    limit(pair, 1290)
    try:
        pair.establish()
        eventually(partial(expect_sizes, pair.a, 1280, 1194, 1174), PATIENCE)
        expect_both_families(pair, 1234)
    finally:
        free(pair)
    eventually(partial(expect_sizes, pair.a, 1446, 1406, 1386), PATIENCE)


@BOTH_KINDS
def test_an_mtu_that_another_program_sets_takes_ipv6_for_a_moment_only(pair: Pair) -> None:
    pair.establish()
    pair.a.ip("link", "set", INTERFACE, "mtu", "1000")
    eventually(partial(expect_sizes, pair.a, 1446, 1406, 1386), PATIENCE)
    expect_both_families(pair, 1446)


@BOTH_KINDS
def test_a_flush_and_the_end_of_the_sa_do_not_wait_for_back_off(pair: Pair) -> None:
    """Our route cannot be added beside another program's; the next try is far off."""
    pair.a.configure(pair.a.policy('routes = [{ to = "203.0.113.0/24" }]'))
    pair.a.ip("route", "add", "203.0.113.0/24", "dev", "dummy0")
    try:
        pair.establish_in_error()
        eventually(partial(expect_failures, pair.a, 5), 60)
        began = time.monotonic()
        answer = json.loads(observe.control(pair.a, "/v1/flush", "POST"))
        expect("answer", answer, {"removed": 1, "left": []})
        pair.a.expect_no_links()
        assert time.monotonic() - began < 5
    finally:
        pair.a.ip("route", "del", "203.0.113.0/24", "dev", "dummy0")


def expect_failures(gateway: Gateway, least: int) -> None:
    expect("state", gateway.tunnel()["state"], "error")
    expect(f"the first {least} failures", min(gateway.tunnel()["failures"], least), least)


IPCOMP = "ipcomp = yes"


def test_ipcomp_is_refused_on_a_vti(pair: Pair) -> None:
    """The kernel drops all that arrives: ESP is in transport mode (xfrm_tunnel_check)."""
    pair.load(pair.side(IPCOMP))
    pair.initiate()
    eventually(partial(expect_problem, pair.a, "has IPComp, and a VTI drops"), PATIENCE)


def expect_problem(gateway: Gateway, words: str) -> None:
    expect(
        f"problems with {words!r}", [words in one for one in gateway.status()["problems"]], [True]
    )


@XFRM_ONLY
def test_ipcomp_passes_ipv4_through_an_xfrm_interface_with_the_same_mtu(pair: Pair) -> None:
    pair.establish(pair.side(IPCOMP))
    eventually(partial(expect_sizes, pair.a, 1446, 1406, 1386), PATIENCE)
    run(pair.a.netns, "ping", "-c", "2", "-W", "5", "-M", "do", "-s", "1418", pair.b.end.inner4)


AH = "ah_proposals = sha256\n rekey_time = 0\n {ts}\n {more}"


@BOTH_KINDS
def test_an_ah_tunnel_has_the_mtu_that_fits(pair: Pair) -> None:
    """RFC 4302: 20 bytes outside, 12 and an ICV of 16, filled up to a multiple of 8."""
    text = AH.format(ts=EVERYTHING, more=pair.a.kind.keys())
    pair.establish(Side(f"{CONNECTION} {{\n {text}\n }}\n"))
    eventually(partial(expect_sizes, pair.a, 1448, 1408, 1388), PATIENCE)
    expect("protocol", pair.a.tunnel()["sas"][0]["protocol"], "AH")
    assert "from AH HMAC_SHA2_256_128 in IPv4" in pair.a.tunnel()["reason"]
    expect_both_families(pair, 1448)


def test_a_tunnel_that_never_came_up_is_shown(pair: Pair) -> None:
    """Its name for operators and metrics does not change when its interface is known."""
    pair.a.configure(policy(pair.a.end, interface="vti{mark}"))
    waiting = pair.a.tunnel("vti{mark}")
    expect("name, state", (waiting["tunnel"], waiting["state"]), ("net", "down"))
    expect("reason", waiting["reason"], "no CHILD_SA of net since start")
    expect("metric", observe.metric(pair.a, "vtid_tunnel_up", tunnel="net"), 0)
    pair.load(Side(child()))
    pair.initiate()
    eventually(partial(pair.a.expect_up, "vti42"), PATIENCE)
    expect("name", pair.a.tunnel("vti42")["tunnel"], "net")
    expect("metric", observe.metric(pair.a, "vtid_tunnel_up", tunnel="net"), 1)
