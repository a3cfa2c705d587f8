"""Long answers: the event loop turns between their pieces."""

from __future__ import annotations

import asyncio

from vtid.http.exchange import in_turns


async def test_others_get_their_turn_between_the_pieces_of_a_long_answer() -> None:
    happened = []

    async def other() -> None:
        for number in range(3):
            happened.append(f"other {number}")
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    async for piece in in_turns([b"a", b"b", b"c"]):
        happened += [piece.decode()]
    await waiting
    assert happened == ["a", "other 0", "b", "other 1", "c", "other 2"]
