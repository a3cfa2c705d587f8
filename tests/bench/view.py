"""What the kernel has made of interfaces, counted by its own events; and waiting for it.

Rules of this file:

* Looking takes next to nothing from what is measured. A filter in the kernel lets only those events
  through that tell of an interface that came up, went down or went away, and of these nothing but
  the head is read. No dump: that of ten thousand links keeps the kernel, and so vtid, for long.
* Nothing wakes us: who waits looks again after a hundredth of the time that it has waited.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import subprocess
import time
from typing import TYPE_CHECKING, Self

from vtid.kernel import wire as nl
from vtid.kernel.sockets import RTMGRP_LINK, SO_RCVBUFFORCE, attach_filter, bpf

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 600.0
"""Seconds until what does not come ends the run; an emulated machine is slow."""
STEP = 0.005
"""Seconds between the first looks."""

_BUFFER = 256 << 20
"""Bytes of events that the kernel keeps for us: some for 20,000 links."""
_HEAD = struct.Struct("=4xH18xII")
"""Of nlmsghdr the type, of the ifinfomsg behind it the flags, and which of them have changed."""
_LOAD, _LOAD_HALF, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x28, 0x15, 0x45, 0x06
_NEW = 0xFFFFFFFF
"""All flags have changed: those of an interface that was just made."""
_FILTER = (
    bpf(_LOAD_HALF, 4),
    bpf(_JUMP_IF_EQUAL, socket.htons(nl.RTM_DELLINK), 3),
    bpf(_JUMP_IF_EQUAL, socket.htons(nl.RTM_NEWLINK), 0, 3),
    bpf(_LOAD, 28),
    bpf(_JUMP_IF_SET, socket.htonl(nl.IFF_UP), 0, 1),
    bpf(_RETURN, _HEAD.size),
    bpf(_RETURN, 0),
)


class View:
    """How many interfaces have come since this was made and are still there."""

    def __init__(self) -> None:
        self._links = self._up = 0
        self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._events.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _BUFFER)
        attach_filter(self._events, _FILTER)
        self._events.settimeout(0)
        self._events.bind((0, RTMGRP_LINK))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()

    def links(self) -> int:
        """Count the interfaces."""
        self._read()
        return self._links

    def up(self) -> int:
        """Count those that are up."""
        self._read()
        return self._up

    async def complete(self, count: int) -> float:
        """Wait until so many interfaces are up and clamped; return when they were."""
        await until(lambda: self.up() >= count)
        return await until(lambda: clamps() >= count)

    async def until_up(self, act: Callable[[], None]) -> float:
        """Return the seconds from an act until the kernel says that one more interface is up."""
        wanted, arrived = self.up() + 1, asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._events, arrived.set)
        start = time.perf_counter()
        act()
        try:
            async with asyncio.timeout(PATIENCE):
                while self.up() < wanted:
                    arrived.clear()
                    await arrived.wait()
                return time.perf_counter() - start
        finally:
            loop.remove_reader(self._events)

    def _read(self) -> None:
        while True:
            try:
                kind, flags, changed = _HEAD.unpack(self._events.recv(_HEAD.size))
            except BlockingIOError:
                return
            if kind == nl.RTM_DELLINK:
                self._links -= 1
            else:
                self._links += changed == _NEW
                up = bool(flags & nl.IFF_UP)
                self._up += up if changed == _NEW or up else -1


def clamps() -> int:
    """Count the interfaces whose IPv6 MSS is lowered on the way out."""
    command = ["nft", "list", "map", "inet", "vtid", "mss6_out"]
    return subprocess.run(command, check=False, capture_output=True).stdout.count(b'" :')


async def until(condition: Callable[[], bool]) -> float:
    """Wait until a condition is true; return when the look at it began that found it true."""
    start = time.perf_counter()
    async with asyncio.timeout(PATIENCE):
        while True:
            began = time.perf_counter()
            if condition():
                return began
            ended = time.perf_counter()
            await asyncio.sleep(max(STEP, (ended - start) / 100, 5 * (ended - began)))


def used() -> float:
    """Return the seconds of processor time that we took so far, with our children."""
    return sum(os.times()[:4])
