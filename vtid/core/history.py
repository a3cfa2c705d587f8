"""History: the last operations of each tunnel, for the operator who asks what happened. Pure.

It is kept as text and holds no operation, so that it costs little memory: 10,000 tunnels have up to
200,000 entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.input import OpFailed
from vtid.model.status import PastOp

if TYPE_CHECKING:
    from vtid.core.tunnels import Tunnel
    from vtid.model.input import OpDone

KEPT = 20
"""Operations that each tunnel remembers."""


def remember(tunnel: Tunnel, event: OpDone | OpFailed, now: float) -> None:
    """Add an answered operation to the history of its tunnel."""
    op, result, error = event.op, "failed", ""
    if isinstance(event, OpFailed):
        error = event.error
    else:
        result = "done" if event.changed else "unchanged"
    past = PastOp(now, type(op).__name__, op.subject, result, op.reason, error)
    tunnel.history = (*tunnel.history[1 - KEPT :], past)
