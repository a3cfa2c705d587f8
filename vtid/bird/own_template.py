"""The template of one `[[bird]]`: one that comes with vtid, or the operator's own file. An edge.

Rules of this file:

* The operator's file is read at start and at `reload`. A new one is used only if it renders every
  session; one that does not is read again until it does, and the one before stays in use.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from vtid.bird.quote import RenderError
from vtid.bird.render import render
from vtid.bird.template import SHIPPED, Template, load, shipped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vtid.model.bgp import BirdBlock

RETRY = 10.0
"""Seconds until a template that could not be used is read again."""


class OwnTemplate:
    """Renders blocks with the template of a `[[bird]]`."""

    def __init__(self, name: str) -> None:
        """Prepare; `name` is that of one that comes with vtid, or a path."""
        self.name = name
        self.error = ""
        """Why the operator's file cannot be used; empty if it can."""
        self.due = math.inf if name in SHIPPED else 0.0
        """When to read the operator's file, on the monotonic clock; infinity for never."""
        self._template: Template | None = shipped(name) if name in SHIPPED else None

    def reload(self) -> bool:
        """Have the operator's file read again; return whether there is one."""
        if self.name in SHIPPED:
            return False
        self.due = 0.0
        return True

    def render(self, block: BirdBlock) -> str:
        """Return the text of a block. Raises RenderError."""
        if self._template is None:
            why = self.error or f"{self.name} has not been read yet"
            raise RenderError(f"tunnel {block.tunnel!r}: {why}")
        return render(block, self._template)

    async def read(self, sources: Mapping[str, BirdBlock]) -> dict[BirdBlock, str]:
        """Read the operator's file; return each block rendered with it, none if it is unusable.

        `sources` may change meanwhile: what it has at the end is what is rendered.
        """
        self.due = math.inf
        wanted = tuple(sources.values())
        try:
            template = await asyncio.to_thread(load, self.name)
            texts = await asyncio.to_thread(_rendered, wanted, template)
            texts |= _rendered(set(sources.values()) - texts.keys(), template)
        except RenderError as error:
            self.error = str(error)
            self.due = time.monotonic() + RETRY
            return {}
        self._template, self.error = template, ""
        return texts


def _rendered(blocks: Iterable[BirdBlock], template: Template) -> dict[BirdBlock, str]:
    return {block: render(block, template) for block in blocks}
