"""A played kernel that refuses requests of a kind, until it no longer does.

It keeps links as their attributes came, addresses and routes as their requests, and answers with
what it keeps. Unlike `played`, which counts, it serves every operation of `vtid.kernel.apply`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from vtid.kernel import wire as nl
from vtid.kernel.sockets import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vtid.kernel.wire import Request

T = TypeVar("T")

UNDERLAY = 1
"""Index of the interface that every route leads to."""

_REMOVES = {nl.RTM_DELADDR: nl.RTM_NEWADDR, nl.RTM_DELROUTE: nl.RTM_NEWROUTE}


@dataclass
class Kept:
    """A link."""

    flags: int = 0
    attributes: dict[int, bytes] = field(default_factory=dict)


class RefusingKernel:
    """Stands for `Requests`."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        mtu = nl.U32.pack(1500)
        self.links = {UNDERLAY: Kept(nl.IFF_UP, {nl.IFLA_IFNAME: b"eth0\0", nl.IFLA_MTU: mtu})}
        self.things: set[tuple[int, bytes]] = set()
        """Addresses and routes: kind and body of the requests that made them."""
        self.refuses: dict[int, int] = {}
        """Error number by kind of request."""
        self.fails: dict[int, int] = {}
        """The same, of send(2) itself."""
        self.writes = 0

    def close(self) -> None:
        pass

    def write(self, request: Request) -> None:
        self.writes += 1
        self._answer(request)

    def write_all(self, requests: Sequence[Request]) -> list[Refused | None]:
        return [self._try(partial(self.write, request)) for request in requests]

    def get(self, request: Request, read: Callable[[nl.Message], T]) -> T:
        answer = self._answer(request)
        assert answer
        return read(answer)

    def get_all(
        self, requests: Sequence[Request], read: Callable[[nl.Message], T]
    ) -> list[T | Refused]:
        return [self._try(partial(self.get, request, read)) for request in requests]

    def write_and_get(
        self,
        writes: Sequence[Request],
        reads: Sequence[Request],
        read: Callable[[nl.Message], T],
    ) -> list[tuple[Refused | None, T | Refused]]:
        return list(zip(self.write_all(writes), self.get_all(reads, read), strict=True))

    def dump(self, request: Request) -> list[bytes]:
        self._refuse(request.kind)
        if request.kind == nl.RTM_GETLINK:
            return [self._link(ifindex).data for ifindex in self.links]
        kind = nl.RTM_NEWADDR if request.kind == nl.RTM_GETADDR else nl.RTM_NEWROUTE
        return [_message(kind, body).data for kept, body in self.things if kept == kind]

    @staticmethod
    def _try(call: Callable[[], T]) -> T | Refused:
        try:
            return call()
        except Refused as refused:
            return refused

    def _refuse(self, kind: int) -> None:
        if number := self.fails.get(kind):
            raise OSError(number, errno.errorcode[number])
        if number := self.refuses.get(kind):
            raise Refused(number)

    def _answer(self, request: Request) -> nl.Message | None:
        kind, body = request.kind, request.body
        self._refuse(kind)
        match kind:
            case nl.RTM_GETROUTE:
                out = nl.attribute(nl.RTA_OIF, nl.S32.pack(UNDERLAY))
                return _message(nl.RTM_NEWROUTE, nl.ROUTE.pack(*[0] * 9) + out)
            case nl.RTM_NEWADDR | nl.RTM_NEWROUTE:
                if (kind, body) in self.things:
                    raise Refused(errno.EEXIST)
                self.things.add((kind, body))
                return None
            case nl.RTM_DELADDR | nl.RTM_DELROUTE:
                self.things.discard((_REMOVES[kind], body))
                return None
        return self._answer_link(request)

    def _answer_link(self, request: Request) -> nl.Message | None:
        _, _, ifindex, flags, mask = nl.LINK.unpack_from(request.body)
        spans = nl.attributes(request.body, nl.LINK.size, len(request.body))
        given = {kind: nl.raw(request.body, span) for kind, span in spans.items()}
        if request.flags & nl.NLM_F_CREATE:
            self.links[max(self.links) + 1] = Kept(0, given)
            return None
        named = (i for i, kept in self.links.items() if _name(kept.attributes) == _name(given))
        found = ifindex or next(named, 0)
        if found not in self.links:
            raise Refused(errno.ENODEV)
        if request.kind == nl.RTM_GETLINK:
            return self._link(found)
        if request.kind == nl.RTM_DELLINK:
            del self.links[found]
            return None
        self.links[found].flags = self.links[found].flags & ~mask | flags & mask
        given.pop(nl.IFLA_AF_SPEC, None)  # it comes back in another form
        self.links[found].attributes |= given
        return None

    def _link(self, ifindex: int) -> nl.Message:
        kept = self.links[ifindex]
        body = nl.LINK.pack(0, 0, ifindex, kept.flags, 0)
        return _message(
            nl.RTM_NEWLINK, body + b"".join(nl.attribute(*one) for one in kept.attributes.items())
        )


def _name(attributes: dict[int, bytes]) -> bytes:
    return attributes.get(nl.IFLA_IFNAME, b"")


def _message(kind: int, body: bytes) -> nl.Message:
    return next(nl.split(nl.Request(kind, 0, body).encode(1)))
