"""Network namespaces: worker threads in them, for everything that blocks there.

Rules of this file:

* `Namespaces` has one thread in each. Who must not wait for others has a `Namespaces` of his own:
  interfaces and routes, probes, and nftables.
* A thread enters its namespace with setns(2) before its first work and never leaves it; the
  process itself, and so the event loop, stays where it was started.
* A namespace is a name below /run/netns, as `ip netns` keeps them; "" is the process's own. None
  is ever created here.
* A thread that is held over an `await` may be closed afterwards: that is a `NetnsError`, too.
* A thread keeps its namespace alive, so its inode number is not reused meanwhile: a namespace that
  was deleted and created again under the same name is recognised by its inode.
* Sockets stay in the namespace they were opened in: they are opened in the thread and can be
  read anywhere.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

RUN_NETNS = Path("/run/netns")

CLONE_NEWNET = 0x40000000
"""linux/sched.h; `os.setns` exists from Python 3.12 on only."""

Identity = tuple[int, int]
"""Device and inode of a namespace."""

OWN: Identity = (0, 0)
"""Stands for the process's own namespace, which cannot be replaced."""

PRIVILEGE = (
    "under systemd, install vtid.service.d/namespaces.conf; in a container, add "
    "--cap-add NET_ADMIN --cap-add SYS_ADMIN"
)


class NetnsError(Exception):
    """A namespace cannot be entered; the text names it and the way out."""


class Closable(Protocol):
    """What a thread keeps for its namespace."""

    def close(self) -> None:
        """Close sockets and the like."""


R = TypeVar("R", bound=Closable)


class NetnsThread:
    """One worker thread in one namespace; its work is done in the order it was asked for."""

    def __init__(self, netns: str, identity: Identity) -> None:
        self.netns = netns
        self.identity = identity
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"netns-{netns or 'own'}")
        self._entered = self._closed = False
        self._kept: dict[object, Closable] = {}

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` in the thread; raises what it raises, or `NetnsError`."""
        if self._closed:
            raise NetnsError(f"namespace {self.netns!r} has been replaced; entered on the next try")

        def work() -> T:
            self._enter()
            return fn(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    async def use(
        self,
        factory: Callable[[], R],
        fn: Callable[Concatenate[R, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run `fn(kept, ...)`; `kept` is made by `factory` once and closed with the thread."""

        def work() -> T:
            if factory not in self._kept:
                self._kept[factory] = factory()
            return fn(cast("R", self._kept[factory]), *args, **kwargs)

        return await self.call(work)

    def close(self) -> None:
        """End the thread after the work it has, and release the namespace."""
        self._closed = True
        self._executor.submit(self._let_go)
        self._executor.shutdown(wait=False)

    def _enter(self) -> None:
        if not self._entered and self.netns:
            _enter(self.netns, self.identity)
        self._entered = True

    def _let_go(self) -> None:
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()


class Namespaces:
    """The threads, one per name."""

    def __init__(self) -> None:
        self._threads: dict[str, NetnsThread] = {}

    def thread(self, netns: str) -> NetnsThread:
        """Thread of a namespace, a new one if the namespace has been replaced.

        Raises `NetnsError` where there is no such namespace. Never blocks.
        """
        known = self._threads.get(netns)
        try:
            identity = _identity(netns)
        except NetnsError:
            self.forget(netns)
            raise
        if known and known.identity == identity:
            return known
        self.forget(netns)
        return self._threads.setdefault(netns, NetnsThread(netns, identity))

    def close(self) -> None:
        """End all threads."""
        for netns in tuple(self._threads):
            self.forget(netns)

    def forget(self, netns: str) -> None:
        """End the thread of a namespace, if there is one."""
        thread = self._threads.pop(netns, None)
        if thread:
            thread.close()


def _identity(netns: str) -> Identity:
    if not netns:
        return OWN
    if "/" in netns or netns in {".", ".."}:
        raise NetnsError(
            f"namespace {netns!r}: not a name below {RUN_NETNS}; correct `netns = `, which takes "
            "a name that `ip netns` lists"
        )
    try:
        found = (RUN_NETNS / netns).stat()
    except OSError as error:
        raise _error(netns, error) from error
    return found.st_dev, found.st_ino


def _enter(netns: str, identity: Identity) -> None:
    try:
        fd = os.open(RUN_NETNS / netns, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _error(netns, error) from error
    try:
        found = os.fstat(fd)
        if (found.st_dev, found.st_ino) != identity:
            raise NetnsError(f"namespace {netns!r} is being replaced; entered on the next try")
        _setns(fd)
    except OSError as error:
        raise _error(netns, error) from error
    finally:
        os.close(fd)


def _setns(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _error(netns: str, error: OSError) -> NetnsError:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return NetnsError(
            f"namespace {netns!r} does not exist: create it with `ip netns add {netns}` or "
            "correct `netns = ` in the configuration"
        )
    if error.errno in {errno.EPERM, errno.EACCES}:
        return NetnsError(
            f"namespace {netns!r} cannot be entered without CAP_SYS_ADMIN: {PRIVILEGE}"
        )
    if error.errno == errno.EINVAL:
        return NetnsError(
            f"{RUN_NETNS / netns} is not a network namespace, perhaps left over from a deleted "
            f"one, or from outside of this container: `ip netns delete {netns}` and add it again"
        )
    return NetnsError(f"namespace {netns!r} cannot be entered: {error.strerror}")
