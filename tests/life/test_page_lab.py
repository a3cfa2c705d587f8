"""The page of real gateways: the tunnel as charon, kernel and BIRD have it, up and down."""

from __future__ import annotations

import re
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.http.html import Reader
from tests.lab.checks import observe
from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.speakers import bird, instance

if TYPE_CHECKING:
    from tests.birds import RealBird
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab

SESSION = """
[tunnel.bgp]
neighbor = "10.255.0.{peer}"
local_as = 65000
remote_as = 65000
"""

UP = (
    r"1 of 1 tunnel up",
    r"charon \(VICI\) ● connected",
    r"1 of 1 sessions established",
    r"What is wrong ● Nothing\.",
    # the picture, and the row of the table: 1446 is 1500 less IPv4 and ESP with AES-GCM
    r"inner: up, MTU 1446, BGP Established ● up MTU 1446 · BGP Established",
    r"inner ● up {peer} {peer} 1446 .* 1406 / 1386 10\.255\.0\.\d Established",
    r"net/net\{{\d+\}} is up: MTU 1446 from AES_GCM_16-256 in IPv4, outer MTU 1500 on eth0",
)
DOWN = (
    r"0 of 1 tunnel up",
    r"1 of 1 tunnel is not up",
    r"inner: down, no interface ✕ down no interface",
    r"inner ✕ down net .* no CHILD_SA",
)
ALONE = (r"charon \(VICI\) ✕ not connected",)


def test_the_page_follows_a_tunnel_up_and_down(pair: Pair) -> None:
    with ExitStack() as stack:
        for gateway in pair.both:
            configure(gateway, stack.enter_context(bird(gateway)))
        pair.establish()
        for gateway, peer in ((pair.a, pair.b), (pair.b, pair.a)):
            eventually(partial(expect_page, gateway, UP, peer.end.outer4), 2 * PATIENCE)
        stack.callback(pair.b.charon.start)
        pair.b.charon.stop()
        eventually(partial(expect_page, pair.a, DOWN), 2 * PATIENCE)
        eventually(partial(expect_page, pair.b, ALONE), PATIENCE)


def configure(gateway: Gateway, one: RealBird) -> None:
    session = SESSION.format(peer=3 - gateway.end.number)
    gateway.configure(gateway.policy(session + instance(one)))


def expect_page(gateway: Gateway, patterns: tuple[str, ...], peer: str = "") -> None:
    """Raise unless the page has all of it."""
    text = Reader(observe.control(gateway, "/")).text
    wanted = [pattern.format(peer=re.escape(peer)) for pattern in patterns]
    if missing := [pattern for pattern in wanted if not re.search(pattern, text)]:
        raise CheckError(f"{gateway.name}: the page lacks {missing}: {text}")
