"""A played kernel for `vtid.kernel.batch`: it has links, and counts what it is asked.

It knows only what a batch asks. What a real one answers is tried in `test_batch_lab`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from vtid.kernel import wire as nl
from vtid.kernel.sockets import AT_ONCE, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vtid.kernel.wire import Request

T = TypeVar("T")


@dataclass
class PlayedLink:
    ifindex: int
    name: str
    group: int
    up: bool = False
    mtu: int = 1406
    master: int = 0

    def message(self) -> nl.Message:
        body = (
            nl.LINK.pack(0, 0, self.ifindex, nl.IFF_UP if self.up else 0, 0)
            + nl.string(nl.IFLA_IFNAME, self.name)
            + nl.attribute(nl.IFLA_GROUP, nl.U32.pack(self.group))
            + nl.attribute(nl.IFLA_MTU, nl.U32.pack(self.mtu))
            + nl.attribute(nl.IFLA_MASTER, nl.U32.pack(self.master))
        )
        data = nl.Request(nl.RTM_NEWLINK, 0, body).encode(1)
        return next(nl.split(data))


class PlayedKernel:
    """Stands for `Requests`. `refused` has names of links that it makes no more, or not so."""

    def __init__(self) -> None:
        self.links: dict[int, PlayedLink] = {}
        self.refused: dict[tuple[int, str], int] = {}
        self.unsettable: set[str] = set()
        """Names of links that are made, and take no settings."""
        self.messages = self.datagrams = 0
        self.written: list[tuple[int, str]] = []
        """Kinds of requests, and the links that they changed."""

    def add(self, name: str, group: int) -> PlayedLink:
        ifindex = max(self.links, default=1) + 1
        self.links[ifindex] = PlayedLink(ifindex, name, group)
        return self.links[ifindex]

    def write_all(self, requests: Sequence[Request]) -> list[Refused | None]:
        self._count(requests)
        return [self._write(request) for request in requests]

    def write(self, request: Request) -> None:
        if refused := self.write_all([request])[0]:
            raise refused

    def write_and_get(
        self,
        writes: Sequence[Request],
        reads: Sequence[Request],
        read: Callable[[nl.Message], T],
    ) -> list[tuple[Refused | None, T | Refused]]:
        self.datagrams -= -(-len(writes) // AT_ONCE)  # they share them
        return list(zip(self.write_all(writes), self.get_all(reads, read), strict=True))

    def get_all(
        self, requests: Sequence[Request], read: Callable[[nl.Message], T]
    ) -> list[T | Refused]:
        self._count(requests)
        found = [self._find(request) for request in requests]
        return [read(link.message()) if link else Refused(errno.ENODEV) for link in found]

    def dump(self, request: Request) -> list[bytes]:
        self._count([request])
        return [link.message().data for link in self.links.values()]

    def _count(self, requests: Sequence[Request]) -> None:
        self.messages += len(requests)
        self.datagrams += -(-len(requests) // AT_ONCE)

    def _find(self, request: Request) -> PlayedLink | None:
        ifindex, _, _, found = _read(request)
        if ifindex:
            return self.links.get(ifindex)
        name = nl.text(request.body, found.get(nl.IFLA_IFNAME))
        return next((link for link in self.links.values() if link.name == name), None)

    def _write(self, request: Request) -> Refused | None:
        ifindex, flags, mask, found = _read(request)
        if request.kind == nl.RTM_DELLINK:
            group = nl.number(request.body, found[nl.IFLA_GROUP], nl.U32)
            gone = [link for link in self.links.values() if link.group == group]
            for link in gone:
                del self.links[link.ifindex]
            return None if gone else Refused(errno.ENODEV)
        there = self.links.get(ifindex)
        name = there.name if there else nl.text(request.body, found.get(nl.IFLA_IFNAME))
        if number := self.refused.get((request.kind, name)):
            return Refused(number)
        if there and request.kind == nl.RTM_NEWLINK and name in self.unsettable:
            return Refused(errno.EINVAL)
        self.written.append((request.kind, name))
        if request.flags & nl.NLM_F_CREATE and request.kind == nl.RTM_NEWLINK:
            self.add(name, nl.number(request.body, found[nl.IFLA_GROUP], nl.U32))
        elif there and request.kind == nl.RTM_SETLINK:
            there.up = bool(flags & nl.IFF_UP) if mask else there.up
            if nl.IFLA_GROUP in found:
                there.group = nl.number(request.body, found[nl.IFLA_GROUP], nl.U32)
        return None


def _read(request: Request) -> tuple[int, int, int, dict[int, nl.Span]]:
    """Index, flags, their mask and attributes of a request about a link, or what is on it."""
    if request.kind == nl.RTM_NEWADDR:
        return nl.ADDRESS.unpack_from(request.body)[-1], 0, 0, {}
    if request.kind == nl.RTM_NEWROUTE:
        found = nl.attributes(request.body, nl.ROUTE.size, len(request.body))
        return nl.number(request.body, found[nl.RTA_OIF], nl.U32), 0, 0, {}
    _, _, ifindex, flags, mask = nl.LINK.unpack_from(request.body)
    return ifindex, flags, mask, nl.attributes(request.body, nl.LINK.size, len(request.body))
