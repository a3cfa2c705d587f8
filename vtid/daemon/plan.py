"""Plan: what operations would make of BIRD's files. An edge: it reads them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vtid.bird.include import IncludeError
from vtid.bird.preview import difference, without_passwords
from vtid.bird.quote import RenderError
from vtid.http.api import BirdChange
from vtid.model.operation import DeleteBird, Op, PutBird

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vtid.bird.client import Bird


async def changes_of_birds(edges: Mapping[str, Bird], ops: Iterable[Op]) -> tuple[BirdChange, ...]:
    """Return how the include files would change that operations are about."""
    by_bird: dict[str, list[Op]] = {}
    for op in ops:
        if isinstance(op, PutBird | DeleteBird):
            by_bird.setdefault(op.subject, []).append(op)
    return tuple(
        [await _change(name, edges[name], mine) for name, mine in by_bird.items() if name in edges]
    )


async def _change(name: str, bird: Bird, ops: Sequence[Op]) -> BirdChange:
    try:
        path, there, wanted = await bird.preview(ops)
    except (IncludeError, RenderError) as error:
        return BirdChange(name, error=str(error))
    diff = await asyncio.to_thread(difference, path, there, wanted)
    return BirdChange(name, path, await asyncio.to_thread(without_passwords, diff))
