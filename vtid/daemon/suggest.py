"""`vtid --suggest`: ask charon once, and write a configuration for what it has."""

from __future__ import annotations

import asyncio

from vtid.core.suggest import suggest
from vtid.core.suggest_text import suggested
from vtid.vici.listing import listing


def suggestion(socket: str) -> str:
    """Return the text of a `vtid.toml` for the charon at `socket`. Raises `ViciError`."""
    found = asyncio.run(listing(socket))
    return suggested(suggest(found.connections, found.sas), found.version, socket)
