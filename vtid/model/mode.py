"""Mode: how far vtid looks after a tunnel, as the operator wants it. Pure."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """What vtid does for a tunnel. None outlives vtid, which has no database."""

    MANAGED = "managed"
    """Everything."""
    PAUSED = "paused"
    """Nothing: whatever happens is noted, and the tunnel stays as it is until it is resumed."""
    DRAINED = "drained"
    """All but its routes and BGP sessions, so that traffic takes another way."""
