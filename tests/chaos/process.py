"""A process from outside: what it has open, its limits, and its sockets' buffers.

Rules of this file: Linux only, as root; numbers from /proc, nothing asked of the process itself.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import socket
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
SO_RCVBUFFORCE = 33

POOL = min(32, (os.cpu_count() or 1) + 4)
"""Threads that asyncio makes by and by for what blocks, and keeps."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its number."""

    pid: int

    @property
    def _folder(self) -> Path:
        return Path(f"/proc/{self.pid}")

    def open(self) -> dict[str, int]:
        """Count its threads, and its open files by kind."""
        found = Counter(re.sub(r"[\[(].*", "", target) for target in self._targets().values())
        return {**found, "threads": len(list((self._folder / "task").iterdir()))}

    def more_than(self, before: Mapping[str, int]) -> str:
        """Return what there is more of than before, empty if nothing."""
        now = self.open()
        before = {**before, "threads": before.get("threads", 0) + POOL}
        more = {
            name: f"{n}, not {before.get(name, 0)}"
            for name, n in now.items()
            if n > before.get(name, 0)
        }
        return ", ".join(f"{name} {words}" for name, words in more.items())

    def memory(self) -> int:
        """Bytes of memory that it has in use."""
        pages = (self._folder / "statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def _targets(self) -> dict[int, str]:
        found = {}
        for file in (self._folder / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                found[int(file.name)] = str(file.readlink())
        return found

    @contextmanager
    def limited(self, what: int, limit: int) -> Iterator[None]:
        """Lower a limit of `resource` for as long as the context lasts."""
        before = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (limit, before[1]))
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                resource.prlimit(self.pid, what, before)

    def address_space(self) -> int:
        """Bytes of its address space."""
        pages = (self._folder / "statm").read_text().split()[0]
        return int(pages) * resource.getpagesize()

    def set_netlink_buffers(self, size: int) -> None:
        """Give its netlink sockets another receive buffer."""
        pidfd = _called(SYS_PIDFD_OPEN, self.pid, 0)
        try:
            for number, target in self._targets().items():
                if target.startswith("socket:"):
                    with suppress(OSError):  # closed meanwhile
                        _set_buffer(pidfd, number, size)
        finally:
            os.close(pidfd)


def _set_buffer(pidfd: int, number: int, size: int) -> None:
    with socket.socket(fileno=_called(SYS_PIDFD_GETFD, pidfd, number, 0)) as shared:
        if shared.family == socket.AF_NETLINK:
            shared.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)


def _called(number: int, *arguments: int) -> int:
    answer = int(_libc.syscall(number, *arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
