"""BIRD's include files: what they say, and what they should say. An edge: it reads them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.bird.include import IncludeError, IncludeFile
from vtid.bird.preview import difference, without_passwords
from vtid.bird.quote import RenderError
from vtid.bird.render import compose, render
from vtid.bird.template import SHIPPED, load, shipped
from vtid.http.api import BirdChange, BirdFile
from vtid.model.operation import DeleteBird, Op, PutBird

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence

    from vtid.bird.client import Bird
    from vtid.config.keys import Bird as BirdConfig
    from vtid.model.bgp import BirdBlock


async def files_of_birds(edges: Mapping[str, Bird], *, passwords: bool) -> tuple[BirdFile, ...]:
    """Return the files as they should be now, and how they differ from what is there."""
    # a reload may add an edge meanwhile
    return tuple(
        [await _file(name, bird, passwords=passwords) for name, bird in tuple(edges.items())]
    )


async def changes_of_birds(edges: Mapping[str, Bird], ops: Iterable[Op]) -> tuple[BirdChange, ...]:
    """Return how the include files would change that operations are about."""
    by_bird: dict[str, list[Op]] = {}
    for op in ops:
        if isinstance(op, PutBird | DeleteBird):
            by_bird.setdefault(op.subject, []).append(op)
    files = [
        await _file(name, edges[name], mine) for name, mine in by_bird.items() if name in edges
    ]
    return tuple(map(_change, files))


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
    texts = asyncio.to_thread(_texts_anew, config, blocks)
    return _change(await _compared(config.name, texts, passwords=False))


def _texts_anew(config: BirdConfig, blocks: Sequence[BirdBlock]) -> tuple[str, str, str]:
    own = config.template not in SHIPPED
    template = load(config.template) if own else shipped(config.template)
    there = IncludeFile(config.include).read() or ""
    wanted = compose({block.tunnel: render(block, template) for block in blocks if block.facts})
    return config.include, there, wanted


async def _file(
    name: str, bird: Bird, ops: Sequence[Op] = (), *, passwords: bool = False
) -> BirdFile:
    return await _compared(name, bird.preview(ops), passwords=passwords)


async def _compared(
    name: str, texts: Awaitable[tuple[str, str, str]], *, passwords: bool
) -> BirdFile:
    """Compare a file's path, what it says and what it should say; or say why that cannot be."""
    try:
        path, there, wanted = await texts
    except (IncludeError, RenderError) as error:
        return BirdFile(name, "", error=str(error))

    def compare() -> BirdFile:
        found = BirdFile(name, path, wanted, difference(path, there, wanted))
        return found if passwords else _concealed(found)

    return await asyncio.to_thread(compare)


def _concealed(file: BirdFile) -> BirdFile:
    return replace(file, text=without_passwords(file.text), diff=without_passwords(file.diff))


def _change(file: BirdFile) -> BirdChange:
    return BirdChange(file.instance, file.path, file.diff, file.error)
