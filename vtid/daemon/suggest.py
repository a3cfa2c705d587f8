"""`vtid --suggest`: ask charon and kernel once, and write a configuration for what they have."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from vtid.core.suggest import suggest
from vtid.core.suggest_text import suggested
from vtid.kernel.present import present
from vtid.vici.listing import listing

if TYPE_CHECKING:
    from vtid.model.present import Present
    from vtid.vici.listing import Listing


def suggestion(socket: str) -> str:
    """Return the text of a `vtid.toml` for the charon at `socket`. Raises `ViciError`."""
    found, there = asyncio.run(_ask(socket))
    suggestions = suggest(found.connections, found.sas, there)
    return suggested(suggestions, found.version, socket)


async def _ask(socket: str) -> tuple[Listing, tuple[Present, ...]]:
    return await listing(socket), await present()
