"""Progress: the operations of one tunnel, and the back-off after a failure. Pure.

Rules of this file:

* The state changes by `lifecycle.WORK` alone.
* A failure counts once for all operations that were planned together.
* A new input clears the back-off, also while the failed operations are still being answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.core.backoff import back_off
from vtid.core.lifecycle import Step, Work, after

if TYPE_CHECKING:
    from vtid.model.operation import Op

RETRY_FIRST = 0.5
RETRY_LAST = 60.0
"""Seconds until a failed operation is tried again: doubled each time up to the last."""


@dataclass(slots=True)
class Progress:
    """How far one tunnel is; times are seconds of the state's clock."""

    work: Work = Work.OPEN
    pending: int = 0
    """Operations not answered yet."""
    last_ops: tuple[Op, ...] = ()
    """Operations that were planned last and may not be planned again unless one failed."""
    clamps_listed: bool = False
    """nftables was listed while the operations were under way."""
    failures: int = 0
    """Failures in a row."""
    retry_at: float = 0.0
    """When to try again after a failure; 0 for at once."""
    error: str = ""
    """The last failure; empty once everything is as desired."""

    @property
    def settled(self) -> bool:
        """Whether everything was as desired when the tunnel was planned last."""
        return self.work is Work.SETTLED

    def waits(self, now: float) -> bool:
        """Whether the back-off has not passed; if it has, the work is open again."""
        if self.work is Work.BACK_OFF and self.retry_at <= now:
            self.work = after(self.work, Step.RETRY)
        return self.work is Work.BACK_OFF

    def retry_now(self) -> None:
        """Clear the back-off: something new happened."""
        self.retry_at = 0.0

    def start(self, ops: tuple[Op, ...], *, may_repeat: bool) -> None:
        """Note what was planned; `may_repeat` where the same may rightly be planned again."""
        self.work = after(self.work, Step.PLANNED if ops else Step.NOTHING_TO_DO)
        self.pending, self.clamps_listed = len(ops), False
        self.last_ops = () if may_repeat else ops
        if not ops:
            self.failures, self.error = 0, ""

    def repeats(self, ops: tuple[Op, ...]) -> bool:
        """Whether operations that all succeeded are planned again: they had no effect."""
        return bool(ops) and ops == self.last_ops

    def no_effect(self, error: str, now: float) -> bool:
        """Back off from operations that had no effect; return whether the error is a new one."""
        self.work = after(self.work, Step.NO_EFFECT)
        return self._fail(error, now)

    def failed(self, error: str, now: float) -> bool:
        """File a failed operation; return whether its error is a new one, worth a line."""
        first = self.work is not Work.FAILING
        self.work = after(self.work, Step.FAILED)
        return first and self._fail(error, now)

    def answered(self) -> bool:
        """File an answer; return whether it was the last one."""
        self.pending -= 1
        if self.pending:
            return False
        self.work = after(self.work, Step.ANSWERED)
        return True

    def _fail(self, error: str, now: float) -> bool:
        self.failures += 1
        self.retry_at = now + back_off(RETRY_FIRST, RETRY_LAST, self.failures - 1)
        self.last_ops = ()
        news, self.error = error != self.error, error
        return news
