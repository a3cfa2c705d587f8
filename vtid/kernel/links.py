"""Links: find them by name or index, and check that they are ours. An edge.

Rules of this file: those of `vtid.kernel.apply`, whose operations start here.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeVar

from vtid.kernel import messages
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.errors import Failed, named
from vtid.kernel.follow import UNKNOWN_MASTER
from vtid.kernel.sockets import Refused, Requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.kernel.messages import LinkInfo, Mark
    from vtid.kernel.wire import Request

T = TypeVar("T")


def find(requests: Requests, ifindex: int = 0, name: str = "") -> LinkInfo | None:
    """Return a link, None where there is none."""
    return _found(requests, asks.get_link(ifindex, name), messages.read_link)


def find_mark(requests: Requests, ifindex: int) -> Mark | None:
    """Return what `find` does, but for what takes time to read."""
    return _found(requests, asks.get_link(ifindex), messages.read_mark)


def _found(requests: Requests, ask: Request, read: Callable[[nl.Message], T]) -> T | None:
    try:
        return requests.get(ask, read)
    except Refused as error:
        if error.number == errno.ENODEV:
            return None
        raise


def need(requests: Requests, netns: str, name: str) -> LinkInfo:
    """Return a link of ours; raises `Failed` where it is gone or someone else's."""
    there = find(requests, name=name)
    if there is None:
        raise Failed(f"{named(name, netns)} is gone; it is made again on the next try")
    require_ours(there, netns)
    return there


def master_of(requests: Requests, there: LinkInfo) -> str:
    """Return the name of the VRF that a link is enslaved to; empty if to none."""
    master = find(requests, ifindex=there.master) if there.master else None
    if master is None:
        return ""
    return master.name if master.kind == nl.VRF_KIND else UNKNOWN_MASTER


def require_ours(there: LinkInfo, netns: str) -> None:
    """Raise `Failed` for a link that does not carry our mark."""
    if not there.ours:
        raise Failed(
            f"{named(there.name, netns)} belongs to someone else (kind {there.kind or 'device'}); "
            "choose another `interface = ` or remove it"
        )
