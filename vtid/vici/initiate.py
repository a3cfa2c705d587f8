"""Initiate: asks charon to initiate or rekey CHILD_SAs, over the client's connection. An edge.

Rules of this file:

* What is in progress is not initiated again: the SAs are listed first, once for all requests.
* With `timeout = -1`, charon answers at once. An event reports the SA; if none comes, the SA is
  requested again later.
* One child of a connection at a time: a second one would meet the IKE_SA of the first half-open, or
  make another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.input import OpDone, OpFailed
from vtid.model.operation import Initiate, Rekey
from vtid.vici.channel import ViciError
from vtid.vici.progress import ALL_CHILDREN, in_progress
from vtid.vici.sas import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.model.operation import Op
    from vtid.vici.client import ViciClient

AT_ONCE = "-1"
"""Milliseconds that charon waits for the outcome; -1 for not at all."""


async def initiate(client: ViciClient, ops: Sequence[Op]) -> list[OpDone | OpFailed]:
    """Initiate what is not in progress, and rekey what is there.

    `OpDone.changed` is true for what was requested.
    """
    wanted = [op for op in ops if isinstance(op, Initiate)]
    rekeys = [op for op in ops if isinstance(op, Rekey)]
    try:
        busy = await _busy(client) if wanted else set()
        initiated = [await _one(client, op, busy) for op in wanted]
        return [*initiated, *[await _rekey(client, op) for op in rekeys]]
    except ViciError as error:
        return [OpFailed(op, str(error)) for op in (*wanted, *rekeys)]


async def _rekey(client: ViciClient, op: Rekey) -> OpDone | OpFailed:
    answer = await client.request("rekey", {"child-id": str(op.unique_id)})
    if text(answer, "success") != "yes":
        why = text(answer, "errmsg", "charon gives no reason")
        return OpFailed(op, f"charon does not rekey CHILD_SA {op.unique_id}: {why}")
    return OpDone(op)


async def _busy(client: ViciClient) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    await client.request(
        "list-sas", stream="list-sa", part=lambda part: found.update(in_progress(part))
    )
    return found


async def _one(client: ViciClient, op: Initiate, busy: set[tuple[str, str]]) -> OpDone | OpFailed:
    if not busy.isdisjoint({(op.connection, ALL_CHILDREN), (op.connection, op.child)}):
        return OpDone(op, changed=False)
    request = {"ike": op.connection, "child": op.child, "timeout": AT_ONCE}
    answer = await client.request("initiate", {**request})
    if text(answer, "success") != "yes":
        return OpFailed(op, _refusal(op, text(answer, "errmsg", "charon gives no reason")))
    busy.add((op.connection, ALL_CHILDREN))
    return OpDone(op)


def _refusal(op: Initiate, why: str) -> str:
    return (
        f"charon does not initiate {op.connection}/{op.child}: {why}; compare `connection` and "
        "`child` with swanctl.conf, and load it with `swanctl --load-conns`"
    )
