"""Executor: hands the operations of one pass to the edges, stage by stage.

Rules of this file:

* Every operation is answered exactly once, with `OpDone` or `OpFailed`.
* A link that cannot be created or deleted takes the later operations of its tunnel in that pass
  with it (`Op.gates`). Any other failure stops nothing: a tunnel without one of its addresses still
  gets its clamp and its sessions.
* Links are made, configured and set up in one go of the kernel's edge, which keeps that order.
* Within a stage kernel, nftables, BIRD and charon work side by side.
"""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

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
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from vtid.bird.client import Bird
    from vtid.kernel.client import Kernel
    from vtid.model.operation import Op
    from vtid.nft.client import Nft

    Execute = Callable[[Sequence[Op]], Awaitable[Sequence["Result"]]]

log = structlog.get_logger(Subsystem.DAEMON)

Kind = TypeVar("Kind", bound="Op")
Result = OpDone | OpFailed

_FOR_NFT = SetClamp | DeleteClamp
_FOR_BIRD = PutBird | DeleteBird
_FOR_CHARON = Initiate | Rekey


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
        self._kernel = kernel
        self._nft = nft
        self._birds = birds
        self._charon = charon
        self._echo = echo
        self._report = report

    async def run(self, ops: Sequence[Op]) -> None:
        """Run one pass. It returns when every operation has been answered."""
        failed: dict[str, str] = {}
        for _, group in groupby(sorted(ops, key=_stage), _go):
            for result in await self._run_stage(list(group), failed):
                if isinstance(result, OpFailed) and result.op.gates:
                    failed.setdefault(result.op.tunnel, result.error)
                self._report(result)

    async def _run_stage(self, ops: Sequence[Op], failed: Mapping[str, str]) -> list[Result]:
        skipped = [OpFailed(op, failed[op.tunnel]) for op in ops if op.tunnel in failed]
        todo = [op for op in ops if op.tunnel not in failed]
        clamps = [op for op in todo if isinstance(op, _FOR_NFT)]
        blocks = [op for op in todo if isinstance(op, _FOR_BIRD)]
        sas = [op for op in todo if isinstance(op, _FOR_CHARON)]
        probes = [op for op in todo if isinstance(op, SendProbe)]
        others = _FOR_NFT | _FOR_BIRD | _FOR_CHARON | SendProbe
        links = [op for op in todo if not isinstance(op, others)]
        answers = await asyncio.gather(
            _answered(self._kernel.execute, links),
            _answered(self._nft.execute, clamps),
            _answered(self._hand_to_birds, blocks),
            _answered(self._charon, sas),
            _answered(self._echo, probes),
        )
        return [*skipped, *(result for results in answers for result in results)]

    async def _hand_to_birds(self, ops: Sequence[Op]) -> list[Result]:
        results: list[Result] = []
        for op in ops:
            results += await self._birds[_instance(op)].execute([op])
        return results


async def _answered(
    execute: Callable[[Sequence[Kind]], Awaitable[Sequence[Result]]], ops: Sequence[Kind]
) -> Sequence[Result]:
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
