"""Identities that a peer chose, through two real charons, as far as they let one.

A KEY_ID (RFC 7296, section 3.5) may be any bytes; the peer's charon sends them, ours shows them
over VICI. What ours escapes itself is tried in tests/test_hostile_names.py, with a played one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.charon import Charon, pair
from tests.core.world import World
from tests.test_hostile_names import WORDS
from vtid.config.load import load
from vtid.model.input import SaSnapshot
from vtid.vici.listing import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]

MOST = 32_000
"""Bytes of an identity that VICI still takes, in hexadecimal."""

CONFIG = load('[[tunnel]]\nconnection = "peer"\ninterface = "rw-{remote_id}"\n')

CONNECTION = """
connections {{
 peer {{
  version = 2
  remote_addrs = {remote}
  local {{
   auth = psk
   {identity}
  }}
  remote {{
   auth = psk
   {expected}
  }}
  children {{
   net {{
    local_ts = 0.0.0.0/0
    remote_ts = 0.0.0.0/0
    mark_in = 42
    mark_out = 42
   }}
  }}
 }}
}}
secrets {{
 ike-all {{
  secret = of nobody in particular
 }}
}}
"""


@pytest.fixture(scope="module")
def ours() -> Iterator[tuple[Charon, Charon]]:
    """The peer's charon, and ours, which takes every identity."""
    conf = CONNECTION.format(remote="%any", identity="id = ours", expected="id = %any")
    with pair("", conf, extra="fragment_size = 0\n max_packet = 100000") as both:
        yield both


@pytest.mark.parametrize("word", list(WORDS))
async def test_an_identity_reaches_nothing_but_as_text(
    ours: tuple[Charon, Charon], word: str
) -> None:
    peer, charon = ours
    identity = f'id = "@#{WORDS[word][:MOST].hex()}"'
    text = CONNECTION.format(remote="192.0.2.2", identity=identity, expected="id = ours")
    (peer.directory / "swanctl.conf").write_text(text)
    peer.load()
    peer.swanctl("--initiate", "--child", "net", "--timeout", "30")
    try:
        found = await listing(charon.vici)
    finally:
        peer.swanctl("--terminate", "--ike", "peer", "--timeout", "30")
    (sa,) = found.sas
    assert sa.remote_id
    assert sa.remote_id.isprintable()
    world = World(config=CONFIG).start()
    world.tell(SaSnapshot(found.sas))
    (name,) = (link.name for link in world.links.values())
    assert re.fullmatch(r"rw-[\w.=-]{1,12}", name, re.ASCII), name
