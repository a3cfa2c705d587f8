"""Present: the VTIs and XFRM interfaces that there are, whoever made them.

Rules of this file:

* It only reads, and needs no privilege in vtid's own namespace. Another one that cannot be entered
  is skipped.
* An interface whose outer side is in another namespace than vtid's own serves no SA of its charon.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.dumps import read_addresses, read_found_routes, read_links
from vtid.kernel.kinds import KINDS
from vtid.kernel.links import master_of
from vtid.kernel.observe import TROUBLES
from vtid.kernel.sockets import Requests
from vtid.model.present import Present
from vtid.netns import RUN_NETNS, Namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.model.present import FoundRoute


async def present() -> tuple[Present, ...]:
    """Return the interfaces of vtid's own namespace and of those with a name."""
    namespaces = Namespaces()
    found: list[Present] = []
    try:
        for netns in ("", *_names()):
            with suppress(*TROUBLES):
                thread = namespaces.thread(netns)
                found += await thread.use(Requests, partial(_look, netns))
    finally:
        namespaces.close()
    return tuple(found)


def _names() -> list[str]:
    with suppress(OSError):  # no namespace was ever created
        return sorted(path.name for path in RUN_NETNS.iterdir())
    return []


def _look(netns: str, requests: Requests) -> tuple[Present, ...]:
    """Look, in the namespace's thread."""
    return tuple(_found(netns, requests))


def _found(netns: str, requests: Requests) -> Iterator[Present]:
    own = None
    if netns:
        own = requests.ask(lambda ipr: ipr.get_netnsid(pid=os.getpid()))["nsid"]
    infos = [info for info in read_links(requests.dump(asks.DUMP_LINKS)) if info.kind in KINDS]
    addresses = tuple(read_addresses(requests.dump(asks.DUMP_ADDRESSES))) if infos else ()
    for info in infos:
        link = info.link(netns, own, master_of(requests, info))
        if link.outer_netns_ok:
            mine = frozenset(each.text for each in addresses if each.ifindex == info.ifindex)
            yield Present(link, mine, tuple(_routes(info.ifindex, requests)))


def _routes(ifindex: int, requests: Requests) -> Iterator[FoundRoute]:
    """Yield the routes of one interface: the kernel selects, for a BIRD may have a full table."""
    for family in (nl.AF_INET, nl.AF_INET6):
        yield from read_found_routes(requests.dump(asks.routes_through(ifindex, family)))
