"""Content: what one include file should say, from the blocks of the tunnels. An edge.

Rules of this file:

* A block stays as it came, so that another template of the operator's can render it again.
* A block that cannot be rendered changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.bird.own_template import OwnTemplate
from vtid.bird.render import compose
from vtid.model.operation import DeleteBird, PutBird

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from vtid.bird.blocks import Blocks
    from vtid.model.bgp import BirdBlock
    from vtid.model.operation import Op


class Content:
    """The blocks of one include file, rendered by one template."""

    def __init__(self, template: str, blocks: Blocks) -> None:
        """Prepare; `template` is the name of one that comes with vtid, or a path."""
        self.template = OwnTemplate(template)
        self._blocks = blocks
        self._sources: dict[str, BirdBlock] = {}

    @property
    def sources(self) -> Collection[BirdBlock]:
        """The blocks as they came."""
        return self._sources.values()

    def put(self, block: BirdBlock) -> bool:
        """Set a tunnel's block; return whether that changes anything. Raises RenderError."""
        text = self.template.render(block)
        self._sources[block.tunnel] = block
        return self._blocks.change(block.tunnel, text)

    def delete(self, tunnel: str) -> bool:
        """Remove a tunnel's block; return whether that changes anything."""
        self._sources.pop(tunnel, None)
        return self._blocks.change(tunnel, None)

    async def read_template(self) -> tuple[str, ...]:
        """Read the operator's template, and render all blocks; return the tunnels that changed."""
        texts = await self.template.read(self._sources)
        if self.template.error:
            return ()
        return tuple(
            tunnel
            for tunnel, block in self._sources.items()
            if self._blocks.change(tunnel, texts[block])
        )

    def after(self, texts: dict[str, str], ops: Sequence[Op]) -> str:
        """Return the file that `texts`, by tunnel, become by operations. Raises RenderError."""
        for op in ops:
            match op:
                case PutBird(block=block):
                    texts[block.tunnel] = self.template.render(block)
                case DeleteBird(tunnel=tunnel):
                    texts.pop(tunnel, None)
        return compose(texts)
