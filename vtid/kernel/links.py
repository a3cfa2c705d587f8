"""Links: find them by name or index, and check that they are ours. An edge.

Rules of this file: those of `vtid.kernel.apply`, whose operations start here.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from vtid.kernel import messages
from vtid.kernel import requests as asks
from vtid.kernel.errors import Failed, named
from vtid.kernel.sockets import Refused, Requests

if TYPE_CHECKING:
    from vtid.kernel.messages import LinkInfo


def find(requests: Requests, ifindex: int = 0, name: str = "") -> LinkInfo | None:
    """Return a link, None where there is none."""
    try:
        return requests.get(asks.get_link(ifindex, name), messages.read_link)
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


def require_ours(there: LinkInfo, netns: str) -> None:
    """Raise `Failed` for a link that does not carry our mark."""
    if not there.ours:
        raise Failed(
            f"{named(there.name, netns)} belongs to someone else (kind {there.kind or 'device'}); "
            "choose another `interface = ` or remove it"
        )
