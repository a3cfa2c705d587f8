"""The page of a real vtid, over real SAs and a real interface."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.http.html import ELEMENTS, Reader
from tests.lab.checks import observe
from tests.lab.machine.shell import CheckError, eventually
from tests.life.gateways import PATIENCE
from tests.life.texts import INTERFACE

if TYPE_CHECKING:
    from tests.life.gateways import Gateway, Pair

pytestmark = pytest.mark.lab


def test_the_page_follows_a_tunnel(pair: Pair) -> None:
    pair.establish()
    mtu = pair.a.link()["mtu"]
    eventually(partial(_expect, pair.a, "● up", f"MTU {mtu}", "CreateLink"), PATIENCE)
    pair.a.terminate(*pair.a.ike_ids())
    eventually(partial(_expect, pair.a, "✕ down", "no interface", "DeleteLink"), PATIENCE)


def _expect(gateway: Gateway, *words: str) -> None:
    """Raise unless the page shows the tunnel with these words."""
    read = Reader(observe.control(gateway, f"/?text={INTERFACE}"))
    assert set(read.tags) <= ELEMENTS
    missing = [word for word in (INTERFACE, *words) if word not in read.text]
    if missing:
        raise CheckError(f"{gateway.name}: the page lacks {missing}: {read.text}")
