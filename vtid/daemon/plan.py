"""Plan: what operations would make of BIRD's files. An edge: it reads them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vtid.bird.include import IncludeError, IncludeFile
from vtid.bird.preview import difference, without_passwords
from vtid.bird.quote import RenderError
from vtid.bird.render import compose, render
from vtid.bird.template import SHIPPED, load, shipped
from vtid.http.api import BirdChange
from vtid.model.operation import DeleteBird, Op, PutBird

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from vtid.bird.client import Bird
    from vtid.config.keys import Bird as BirdConfig
    from vtid.model.bgp import BirdBlock


async def changes_of_birds(edges: Mapping[str, Bird], ops: Iterable[Op]) -> tuple[BirdChange, ...]:
    """Return how the include files would change that operations are about."""
    by_bird: dict[str, list[Op]] = {}
    for op in ops:
        if isinstance(op, PutBird | DeleteBird):
            by_bird.setdefault(op.subject, []).append(op)
    return tuple(
        [await _change(name, edges[name], mine) for name, mine in by_bird.items() if name in edges]
    )


async def change_anew(
    config: BirdConfig, blocks: Sequence[BirdBlock], in_use: Collection[str]
) -> BirdChange:
    """Return how the file changes of a BIRD that is new, or has another file or template now.

    Of an operator's template that is not `in_use` nothing is shown: whoever may ask need not be
    allowed to read every file that vtid can read.
    """
    if config.template not in {*SHIPPED, *in_use}:
        why = f"what {config.template} makes of it is shown when the template is in use"
        return BirdChange(config.name, config.include, error=why)
    try:
        return await asyncio.to_thread(_compare_anew, config, blocks)
    except (IncludeError, RenderError) as error:
        return BirdChange(config.name, error=str(error))


def _compare_anew(config: BirdConfig, blocks: Sequence[BirdBlock]) -> BirdChange:
    own = config.template not in SHIPPED
    template = load(config.template) if own else shipped(config.template)
    there = IncludeFile(config.include).read() or ""
    wanted = compose({block.tunnel: render(block, template) for block in blocks if block.facts})
    diff = difference(config.include, there, wanted)
    return BirdChange(config.name, config.include, without_passwords(diff))


async def _change(name: str, bird: Bird, ops: Sequence[Op]) -> BirdChange:
    try:
        path, there, wanted = await bird.preview(ops)
    except (IncludeError, RenderError) as error:
        return BirdChange(name, error=str(error))
    diff = await asyncio.to_thread(difference, path, there, wanted)
    return BirdChange(name, path, await asyncio.to_thread(without_passwords, diff))
