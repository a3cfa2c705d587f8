"""How long work may hold the event loop."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import finalize

from vtid.turns import used_up

if TYPE_CHECKING:
    from collections.abc import Callable


class Large:
    """Something that tells which thread frees it."""

    def __init__(self, freed: Callable[[int], object]) -> None:
        finalize(self, lambda: freed(threading.get_ident()))


async def test_what_is_large_is_freed_in_the_worker_thread() -> None:
    threads: list[int] = []

    def work(large: Large) -> int:
        assert isinstance(large, Large)
        return threading.get_ident()

    worker = await used_up(work, [Large(threads.append)])
    assert threads == [worker]
    assert worker != threading.get_ident()
