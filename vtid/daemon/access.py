"""Access: what `[metrics]` of the configuration means for the HTTP server. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.http.server import Access

if TYPE_CHECKING:
    from vtid.config.keys import Metrics


def access(keys: Metrics) -> Access:
    """Return who may use the metrics addresses."""
    return Access(hosts=keys.hosts)
