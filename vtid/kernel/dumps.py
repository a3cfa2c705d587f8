"""Dumps: what the kernel lists of links, addresses, routes and counters. Pure.

Rules of this file: a message that cannot be read is skipped.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from vtid.kernel import found_routes, messages, path_mtu, stats
from vtid.kernel import wire as nl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vtid.kernel.messages import AddressInfo, LinkInfo, RouteInfo
    from vtid.kernel.wire import Message
    from vtid.model.counts import LinkCounters
    from vtid.model.link import Route
    from vtid.model.present import FoundRoute

T = TypeVar("T")


class Dump(NamedTuple):
    """All of a namespace, as datagrams: the links are older than the rest."""

    links: Iterable[bytes]
    addresses: Iterable[bytes] = ()
    routes: Iterable[bytes] = ()
    """Those of ours."""
    strict_all: bool = False
    """Whether net.ipv4.conf.all.rp_filter is 1."""


def read_links(dump: Iterable[bytes]) -> Iterator[LinkInfo]:
    """Links of a dump."""
    return _read(dump, nl.RTM_NEWLINK, messages.read_link)


def read_leaving(dump: Iterable[bytes]) -> set[int]:
    """Indexes of the links of a dump that are in the group of those that go."""
    found = _read(dump, nl.RTM_NEWLINK, messages.leaving_ifindex)
    return {ifindex for ifindex in found if ifindex}


def read_addresses(dump: Iterable[bytes]) -> Iterator[AddressInfo]:
    """Addresses of a dump."""
    return _read(dump, nl.RTM_NEWADDR, messages.read_address)


def read_routes(dump: Iterable[bytes]) -> Iterator[tuple[int, Route]]:
    """Interface indexes and routes of a dump: those of ours that lead to one interface."""
    infos: Iterator[RouteInfo] = _read(dump, nl.RTM_NEWROUTE, messages.read_route)
    for info in infos:
        if info.ours and len(info.interfaces) == 1:
            (ifindex,) = info.interfaces
            yield ifindex, info.ours


def read_found_routes(dump: Iterable[bytes]) -> Iterator[FoundRoute]:
    """Routes of a dump that somebody made, whoever it was; the kernel's own are left out."""
    found = _read(dump, nl.RTM_NEWROUTE, found_routes.read_found_route)
    return (route for route in found if route)


def read_stats(dump: Iterable[bytes]) -> Iterator[tuple[int, LinkCounters]]:
    """Interface indexes and counters of a dump."""
    return _read(dump, nl.RTM_NEWSTATS, stats.read_stats)


def read_learnt(dump: Iterable[bytes]) -> Iterator[tuple[str, int]]:
    """Peers and path MTUs of a dump of exceptions, those to other things left out."""
    found: Iterator[tuple[str, int]] = _read(dump, nl.RTM_NEWROUTE, path_mtu.read_learnt)
    return ((peer, mtu) for peer, mtu in found if peer and mtu)


def _read(dump: Iterable[bytes], kind: int, read: Callable[[Message], T]) -> Iterator[T]:
    for datagram in dump:
        for message in split(datagram):
            if message.kind == kind:
                with suppress(nl.MessageError):
                    yield read(message)


def split(datagram: bytes) -> Iterator[Message]:
    """Messages of a datagram up to the first that is cut."""
    try:
        yield from nl.split(datagram)
    except nl.MessageError:
        return
