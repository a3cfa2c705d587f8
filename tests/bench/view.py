"""What the kernel has made of interfaces and clamps, counted by its own events.

Rules of this file:

* Looking takes next to nothing from what is measured: nothing is dumped, as a dump of ten thousand
  interfaces keeps the kernel, and so vtid, for long. A filter in the kernel lets only those events
  through that tell of an interface that came up, went down or went away, and of these the head.
* Who waits does so in recv(2), and knows at once.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Self

from vtid.kernel import wire as nl
from vtid.kernel.sockets import RTMGRP_LINK, SO_RCVBUFFORCE, attach_filter, bpf
from vtid.nft.library import NETLINK_NETFILTER, NFNLGRP_NFTABLES, NLMSGHDR

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 600.0
"""Seconds until what does not come ends the run; an emulated machine is slow."""

_BUFFER = 256 << 20
"""Bytes of events that the kernel keeps for us: those of 20,000 interfaces."""
_HEAD = struct.Struct("=4xH18xII")
"""Of nlmsghdr the type, of the ifinfomsg behind it the flags, and which of them have changed."""
_NEW = 0xFFFFFFFF
"""All flags have changed: those of an interface that was just made."""
_LOAD, _LOAD_HALF, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x28, 0x15, 0x45, 0x06
_FILTER = (
    bpf(_LOAD_HALF, 4),
    bpf(_JUMP_IF_EQUAL, socket.htons(nl.RTM_DELLINK), 3),
    bpf(_JUMP_IF_EQUAL, socket.htons(nl.RTM_NEWLINK), 0, 3),
    bpf(_LOAD, 28),
    bpf(_JUMP_IF_SET, socket.htonl(nl.IFF_UP), 0, 1),
    bpf(_RETURN, _HEAD.size),
    bpf(_RETURN, 0),
)
_CLAMP = {10 << 8 | 12: 1, 10 << 8 | 14: -1}
"""NFT_MSG_NEWSETELEM and _DELSETELEM (linux/netfilter/nf_tables.h)."""
_MAP = b"mss6_out\0"
"""That of the IPv6 MSS on the way out, one for each interface."""


class View:
    """What has come since this was made, and is still there."""

    def __init__(self) -> None:
        self.links = self.up = self.clamps = 0
        self._links = _events(socket.NETLINK_ROUTE, RTMGRP_LINK)
        attach_filter(self._links, _FILTER)
        self._clamps = _events(NETLINK_NETFILTER, 1 << (NFNLGRP_NFTABLES - 1))
        self._both = select.poll()
        self._both.register(self._links, select.POLLIN)
        self._both.register(self._clamps, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._links.close()
        self._clamps.close()

    async def until(self, holds: Callable[[], bool]) -> float:
        """Wait until a condition on what is there holds; return since when."""
        return await asyncio.to_thread(self._follow, holds)

    async def complete(self, count: int) -> float:
        """Wait until so many interfaces are up and clamped; return since when."""
        return await self.until(lambda: min(self.up, self.clamps) >= count)

    def _follow(self, holds: Callable[[], bool]) -> float:
        while not holds():
            ready = [number for number, _ in self._both.poll(PATIENCE * 1e3)]
            if self._links.fileno() in ready:
                self._read_link()
            if self._clamps.fileno() in ready:
                self._read_clamps()
            if not ready:
                raise TimeoutError(f"{self.links} interfaces, {self.up} up, {self.clamps} clamped")
        return time.perf_counter()

    def _read_link(self) -> None:
        kind, flags, changed = _HEAD.unpack(self._links.recv(_HEAD.size))
        if kind == nl.RTM_DELLINK:
            self.links -= 1
            return
        new, up = changed == _NEW, bool(flags & nl.IFF_UP)
        self.links += new
        self.up += up if new or up else -1

    def _read_clamps(self) -> None:
        data, at = self._clamps.recv(1 << 20), 0
        while at < len(data):
            length, kind, *_ = NLMSGHDR.unpack_from(data, at)
            if kind in _CLAMP and data.find(_MAP, at, at + length) >= 0:
                self.clamps += _CLAMP[kind]
            at += length + 3 & ~3


def _events(family: int, groups: int) -> socket.socket:
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, family)
    events.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _BUFFER)
    events.bind((0, groups))
    return events


def used() -> float:
    """Return the seconds of processor time that we took so far, with our children."""
    return sum(os.times()[:4])
