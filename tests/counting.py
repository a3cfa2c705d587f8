"""Count instead of timing: the bytecodes that vtid executes, whatever the machine."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vtid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_VTID = str(Path(vtid.__file__).parent)


class Bytecodes:
    """A counter; what runs inside the standard library or in C is not counted."""

    def __init__(self) -> None:
        self.count = 0

    def enter(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_VTID):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, _frame: FrameType, event: str, _arg: Any) -> Any:
        self.count += event == "opcode"
        return self._step


@contextmanager
def bytecodes() -> Iterator[Bytecodes]:
    """Count while the context lasts, in this thread."""
    counter, before = Bytecodes(), sys.gettrace()
    sys.settrace(counter.enter)
    try:
        yield counter
    finally:
        sys.settrace(before)
