"""IKE_SAs of a real charon, also of a kernel without ESP: one that is on its way is listed, too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.charon import Charon, pair
from tests.vici.record import conf
from vtid.vici.channel import Channel, Limits
from vtid.vici.listing import ike_sas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.model.ike import ListedIke

pytestmark = [pytest.mark.lab, pytest.mark.any_kernel]


@pytest.fixture
def charon() -> Iterator[Charon]:
    """A charon whose peer is stopped, so that it goes on asking."""
    with pair(conf(1, 2, "192.0.2.2"), conf(2, 1, "%any")) as (one, other):
        one.load()
        other.stop()
        yield one


async def _listed(charon: Charon, connection: str = "") -> tuple[ListedIke, ...]:
    found, errors = await ike_sas(charon.vici, connection)
    assert errors == ()
    return found


async def test_an_ike_sa_that_is_on_its_way(charon: Charon) -> None:
    assert await _listed(charon) == ()
    link = await Channel.open(charon.vici, Limits(), lambda _name, _message: None)
    reading = asyncio.create_task(link.read())
    await link.request("initiate", {"ike": "four", "timeout": "-1"})
    (ike,) = await _listed(charon)
    assert (ike.connection, ike.state, ike.version) == ("four", "CONNECTING", 2)
    assert (ike.initiator, ike.remote_host, ike.established_at) == (True, "192.0.2.2", 0.0)
    assert len(ike.initiator_spi) == 16
    assert any(task.startswith("IKE_") for task in ike.tasks)
    assert await _listed(charon, "four") == (ike,)
    assert await _listed(charon, "six") == ()
    reading.cancel()
    link.close("seen")
