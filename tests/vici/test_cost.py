"""What an event costs between vtid and charon: messages and bytecodes, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.played_charon import PlayedCharon, rekeyed, updown
from tests.counting import bytecodes
from tests.vici.test_client import following
from vtid.model.input import ChildDown, ChildRekeyed, ChildUp
from vtid.vici.codec import decode_packet
from vtid.vici.sas import parse_event

if TYPE_CHECKING:
    from pathlib import Path

REKEYS = 20


async def test_events_are_followed_without_a_message_to_charon(tmp_path: Path) -> None:
    async with (
        PlayedCharon.at(tmp_path / "vici", 50) as charon,
        following(charon.path) as (_, inbox),
    ):
        assert await inbox.snapshot() == set(charon.numbers)
        asked = len(charon.asked)
        charon.down(*charon.numbers)
        charon.up(*charon.numbers)
        charon.rekey(7, REKEYS)
        kinds = [type(await inbox.next()) for _ in range(2 * 50 + 2 * REKEYS)]
        assert kinds == 50 * [ChildDown] + 50 * [ChildUp] + REKEYS * [ChildRekeyed, ChildDown]
        assert len(charon.asked) == asked


@pytest.mark.parametrize(
    ("name", "data", "limit"),
    [
        ("child-updown", updown(7, up=True), 5_800),
        ("child-rekey", rekeyed(7, 7, 8), 6_300),
    ],
)
def test_reading_an_event_costs_no_more_than_it_did(name: str, data: bytes, limit: int) -> None:
    with bytecodes() as counter:
        packet = decode_packet(data[4:])  # without its length
        assert len(parse_event(name, packet.message, now=0.0)) == 1
    assert counter.count <= limit
