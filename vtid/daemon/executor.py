"""Executor: hands the operations of one pass to the edges, in parts, stage by stage.

Rules of this file:

* Every operation is answered exactly once, with `OpDone` or `OpFailed`.
* A link that cannot be created or deleted takes the later operations of its tunnel in that pass
  with it (`Op.gates`). Any other failure stops nothing: a tunnel without one of its addresses still
  gets its clamp and its sessions.
* Parts of a pass do not wait for each other. A tunnel is in one part. No other tunnel has its
  interface (`model/link.tunnel_name`); where addresses or keys of two tunnels collide, that is the
  kernel's edge to see to.
* Links are made, configured and set up in one go of the kernel's edge, which keeps that order.
* Within a stage kernel, nftables, BIRD and charon work side by side.
"""

from __future__ import annotations

import asyncio
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from vtid.model.input import OpDone, OpFailed
from vtid.model.levels import Subsystem
from vtid.model.operation import (
    DeleteBird,
    DeleteClamp,
    Initiate,
    PutBird,
    Rekey,
    SendProbe,
    SetClamp,
    Stage,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence

    from vtid.bird.client import Bird
    from vtid.kernel.client import Kernel
    from vtid.model.operation import Op
    from vtid.nft.client import Nft

    Execute = Callable[[Sequence[Op]], Awaitable[Sequence["Result"]]]

log = structlog.get_logger(Subsystem.DAEMON)

T = TypeVar("T")
Result = OpDone | OpFailed

PART = 64
"""Tunnels of a part."""


class Executor:
    """Runs operations on the edges and passes each result to `report`."""

    def __init__(
        self,
        kernel: Kernel,
        nft: Nft,
        birds: Mapping[str, Bird],
        *,
        charon: Execute,
        echo: Callable[[Sequence[SendProbe]], Awaitable[Sequence[Result]]],
        report: Callable[[Result], None],
    ) -> None:
        self._birds = birds
        self._report = report
        self._kernel: Execute = kernel.execute
        self._others: dict[type[Op], Any] = {
            SetClamp: nft.execute,
            DeleteClamp: nft.execute,
            PutBird: self._hand_to_birds,
            DeleteBird: self._hand_to_birds,
            Initiate: charon,
            Rekey: charon,
            SendProbe: echo,
        }
        """What does not go to the kernel."""

    async def run(self, ops: Sequence[Op]) -> None:
        """Run one pass. It returns when every operation has been answered."""
        await _together([self._run_part(part) for part in parts(ops)])

    async def _run_part(self, ops: Sequence[Op]) -> None:
        failed: dict[str, str] = {}
        for _, group in groupby(sorted(ops, key=_stage), _go):
            for result in await self._run_stage(list(group), failed):
                if isinstance(result, OpFailed) and result.op.gates:
                    failed.setdefault(result.op.tunnel, result.error)
                self._report(result)

    async def _run_stage(self, ops: Sequence[Op], failed: Mapping[str, str]) -> list[Result]:
        results: list[Result] = []
        edges: dict[Execute, list[Op]] = {}
        for op in ops:
            if op.tunnel in failed:
                results.append(OpFailed(op, failed[op.tunnel]))
            else:
                edges.setdefault(self._others.get(type(op), self._kernel), []).append(op)
        for answers in await _together([_answered(*each) for each in edges.items()]):
            results += answers
        return results

    async def _hand_to_birds(self, ops: Sequence[Op]) -> list[Result]:
        results: list[Result] = []
        for op in ops:
            results += await self._birds[_instance(op)].execute([op])
        return results


def parts(ops: Sequence[Op]) -> Iterator[list[Op]]:
    """Divide a pass; what looks, what deletes and all else are apart, some tunnels each."""
    tunnels: dict[str, list[Op]] = {}
    for op in ops:
        tunnels.setdefault(op.tunnel, []).append(op)
    groups: dict[int, list[list[Op]]] = {}
    for mine in tunnels.values():
        groups.setdefault(min(op.stage for op in mine), []).append(mine)
    for _, group in sorted(groups.items()):
        for at in range(0, len(group), PART):
            yield list(chain.from_iterable(group[at : at + PART]))


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> Sequence[T]:
    """Do all at once; a single one without the detour of a task."""
    return [await work[0]] if len(work) == 1 else await asyncio.gather(*work)


async def _answered(execute: Execute, ops: Sequence[Op]) -> Sequence[Result]:
    """Run operations on an edge; a defect in it must leave none of them unanswered."""
    try:
        return await execute(ops)
    except Exception as error:
        log.exception("internal error")
        return [OpFailed(op, f"a defect in vtid, please report it: {error!r}") for op in ops]


def _instance(op: Op) -> str:
    match op:
        case PutBird(block=block):
            return block.instance
        case DeleteBird(instance=instance):
            return instance
    raise TypeError(f"not an operation of a BIRD's: {op}")


def _stage(op: Op) -> Stage:
    return op.stage


def _go(op: Op) -> Stage:
    """Return the first of the stages that are executed together."""
    return Stage.CREATE if op.stage in {Stage.CONFIGURE, Stage.UP} else op.stage
