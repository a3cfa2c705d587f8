"""The workers of all namespaces, reached from the event loop; counts what they do."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from vtid.kernel.apply import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.netns import Namespaces, NetnsThread

T = TypeVar("T")


class Workers:
    """One `Worker` in each namespace's thread."""

    def __init__(self, namespaces: Namespaces) -> None:
        self.writes = 0
        self.dumps: Counter[str] = Counter()
        """Listings of all links, by namespace."""
        self.overruns: Counter[str] = Counter()
        """Times that the kernel dropped events because too many waited, by namespace."""
        self.success_at: dict[str, float] = {}
        """Unix time at which a namespace was seen to be as it is known, by its name."""
        self._namespaces = namespaces

    def thread(self, netns: str) -> NetnsThread:
        """Thread of a namespace; raises `NetnsError` where there is no such namespace."""
        return self._namespaces.thread(netns)

    async def use(self, thread: NetnsThread, fn: Callable[[Worker], T]) -> T:
        """Run `fn(worker)` in a thread; raises `NetnsError`, and what `fn` raises."""

        def counted(worker: Worker) -> tuple[T, int]:
            before = worker.requests.writes
            result = fn(worker)
            return result, worker.requests.writes - before

        result, writes = await thread.use(Worker, counted)
        self.writes += writes
        return result
