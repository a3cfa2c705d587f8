"""A path that drops larger packets without a word, one that says so, and a peer that is silent."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks import observe
from tests.lab.checks.checks import expect
from tests.lab.machine.shell import CheckError, eventually, run
from tests.life.kinds import BOTH_KINDS
from tests.life.texts import MARKS, Side, child, policy
from vtid.core.pmtud import CONFIRMATION_TIMER, RAISE_SOON
from vtid.daemon.learnt import INTERVAL

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

KEYS = {"vti": MARKS, "xfrm": "if_id_in = 42\n if_id_out = 42"}

SEARCH = 60.0
"""Seconds for a search of ten sizes, some of them lost; emulated."""

COMPUTED, OUTER, FITS = 1446, 1400, 1346
"""Bytes: AES-GCM in IPv4 with 1,500 outside, what the path carries, and what fits into that."""


def establish(pair: Pair, kind: str, more: str = "") -> None:
    for gateway, other in (pair.both, pair.both[::-1]):
        probe = f'[tunnel.probe]\npeer = "{other.end.inner4}"\ninterval = "5s"\n{more}'
        gateway.configure(policy(gateway.end, more=f'kind = "{kind}"\n{probe}'))
    pair.establish(Side(child(more=KEYS[kind])))


def drop_large(pair: Pair) -> None:
    for gateway in pair.both:
        gateway.nft(f"add rule inet life input iif eth0 meta length > {OUTER} drop")


def expect_proven(gateway: Gateway, mtu: int) -> None:
    gateway.expect_up()
    expect("proven", gateway.tunnel()["probe"]["proven_mtu"], mtu)
    expect("MTU", gateway.link()["mtu"], mtu)
    expect("MSS", gateway.mss().get("mss4_out"), mtu - 40)


def both_proven(pair: Pair, mtu: int, patience: float) -> None:
    for gateway in pair.both:
        eventually(partial(expect_proven, gateway, mtu), patience)


def ping(pair: Pair, size: int) -> None:
    data = str(size - 28)
    run(pair.a.netns, "ping", "-c", "3", "-W", "5", "-M", "do", "-s", data, pair.b.end.inner4)


@pytest.mark.parametrize("kind", KEYS)
def test_mtu_and_mss_follow_what_passes_and_a_restart_keeps_them(pair: Pair, kind: str) -> None:
    establish(pair, kind)
    both_proven(pair, COMPUTED, SEARCH)
    drop_large(pair)
    both_proven(pair, FITS, CONFIRMATION_TIMER + SEARCH)
    ping(pair, FITS)
    assert f"MTU {FITS} proven by probes, instead of MTU {COMPUTED}" in pair.a.tunnel()["reason"]
    pair.a.stop_vtid()
    pair.a.start_vtid()
    expect("MTU after a restart", pair.a.link()["mtu"], FITS)
    both_proven(pair, FITS, SEARCH)


def test_a_path_that_heals_is_used_again(pair: Pair) -> None:
    establish(pair, "vti")
    drop_large(pair)
    both_proven(pair, FITS, CONFIRMATION_TIMER + SEARCH)
    for gateway in pair.both:
        gateway.hearing()
    both_proven(pair, COMPUTED, RAISE_SOON + SEARCH)
    ping(pair, COMPUTED)
    assert pair.a.tunnel()["probe"]["alive"]


def test_a_peer_that_answers_nothing_changes_nothing(pair: Pair) -> None:
    for gateway in pair.both:
        gateway.nft("add rule inet life input iifname inner icmp type echo-request drop")
    establish(pair, "vti", "count = 2")  # what was proven before is of other settings
    eventually(partial(expect_silent, pair.a), SEARCH)
    expect("MTU", pair.a.link()["mtu"], COMPUTED)


def expect_silent(gateway: Gateway) -> None:
    probe = gateway.tunnel()["probe"]
    expect("probes", (probe["proven_mtu"], probe["alive"]), (0, False))


# --- what the kernel learnt -----------------------------------------------------------------------

FORGE = """
import socket, struct
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
near, far = socket.inet_aton("{near}"), socket.inet_aton("{far}")
quoted = struct.pack("!BBHHHBBH4s4s", 69, 0, 1500, 0, 0x4000, 64, 1, 0, near, far)
body = struct.pack("!HH", 0, {mtu}) + quoted + bytes(8)
head = bytes((3, 4))
error = head + struct.pack("!H", checksum(head + bytes(2) + body)) + body
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.sendto(error, ("{near}", 0))
"""
"""Packet Too Big, as a router between the two would send it."""


@BOTH_KINDS
def test_what_a_router_says_bounds_mtu_and_mss_until_the_kernel_forgets(pair: Pair) -> None:
    establish(pair, pair.a.kind.name)
    both_proven(pair, COMPUTED, SEARCH)
    a, b = pair.both
    text = FORGE.format(near=a.end.outer4, far=b.end.outer4, mtu=OUTER)
    run(b.netns, "sh", "-c", f"python3 -S -c {shlex.quote(text)}")
    assert f"mtu {OUTER}" in a.charon.ip("route", "get", b.end.outer4)
    eventually(partial(expect_proven, a, FITS), INTERVAL + SEARCH)
    assert f"outer MTU {OUTER} learnt, instead of 1500 on eth0" in a.tunnel()["reason"]
    assert a.tunnel()["mtu_limit"] == "learnt"
    expect("MTU at the other end", b.link()["mtu"], COMPUTED)
    a.ip("route", "flush", "cache")
    eventually(partial(expect_proven, a, COMPUTED), INTERVAL + SEARCH)
    ping(pair, COMPUTED)


# --- a silent peer --------------------------------------------------------------------------------

QUICK = 'interval = "2s"\ncount = 3\non_fail = "down"'


@BOTH_KINDS
def test_an_interface_with_a_silent_peer_goes_down_and_comes_back(pair: Pair) -> None:
    for gateway, other in (pair.both, pair.both[::-1]):
        probe = f'[tunnel.probe]\npeer = "{other.end.inner4}"\n{QUICK}'
        gateway.configure(gateway.policy(probe))
    pair.establish()
    for gateway in pair.both:
        eventually(partial(expect_answering, gateway), SEARCH)
    for gateway in pair.both:
        gateway.nft("add rule inet life input icmp type echo-request drop")
    for gateway in pair.both:
        eventually(partial(expect_set_down, gateway), SEARCH)
        gateway.hearing()
    pair.a.charon.swanctl("--rekey", "--child", "net")
    for gateway in pair.both:
        eventually(gateway.expect_up, SEARCH)
        eventually(partial(expect_answering, gateway), SEARCH)


def expect_answering(gateway: Gateway) -> None:
    probe = gateway.tunnel()["probe"]
    expect("alive and proven", (probe["alive"], probe["proven_mtu"]), (1, COMPUTED))


def expect_set_down(gateway: Gateway) -> None:
    tunnel = gateway.tunnel()
    expect("state", tunnel["state"], "down")
    if "set down: 3 probes in a row" not in tunnel["reason"] or "UP" in gateway.link()["flags"]:
        raise CheckError(f"{tunnel['reason']}, {gateway.link()['flags']}")


# --- packets that die in the kernel ---------------------------------------------------------------


@BOTH_KINDS
def test_a_tunnel_whose_packets_die_in_the_kernel_is_named(pair: Pair) -> None:
    """`a` loses its inbound SA in the kernel, and charon does not know."""
    establish(pair, pair.a.kind.name, "count = 2")
    both_proven(pair, COMPUTED, SEARCH)
    expect("dropped", pair.a.tunnel()["dropped"], "")
    a, b = pair.a.end.outer4, pair.b.end.outer4
    pair.a.ip("xfrm", "state", "deleteall", "src", b, "dst", a)
    eventually(partial(expect_named, pair.a), SEARCH)
    expect("SAs", len(pair.a.tunnel()["sas"]), 1)


def expect_named(gateway: Gateway) -> None:
    tunnel = gateway.tunnel()
    words = "probes have no answer, and IPsec drops packets: "
    if words not in tunnel["dropped"] or tunnel["dropped"] not in tunnel["reason"]:
        raise CheckError(f"{gateway.name}: {tunnel['dropped']!r} in {tunnel['reason']!r}")
    expect("metric", observe.metric(gateway, "vtid_tunnel_ipsec_drops"), 1)
