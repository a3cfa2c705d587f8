"""A path that drops larger packets without a word: MTU and MSS follow what really passes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.lab.checks.checks import expect
from tests.lab.machine.shell import eventually, run
from tests.life.texts import MARKS, Side, child, policy
from vtid.core.pmtud import CONFIRMATION_TIMER, RAISE_SOON

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
