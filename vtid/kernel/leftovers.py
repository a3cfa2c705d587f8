"""Leftovers: interfaces of ours in namespaces that the configuration no longer names.

Rules of this file:

* It only reads, in a thread, one namespace after the other. One that cannot be entered is skipped.
* An interface whose outer side is in another namespace than vtid's own is another vtid's.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from vtid.kernel import requests as asks
from vtid.kernel.dumps import read_links
from vtid.kernel.observe import TROUBLES
from vtid.kernel.sockets import Requests
from vtid.model.link import LINK_GROUP
from vtid.netns import RUN_NETNS, Namespaces

if TYPE_CHECKING:
    from collections.abc import Collection

_NAMED = 3
"""Interfaces that a line names."""


async def leftovers(watched: Collection[str]) -> tuple[str, ...]:
    """Return a line, with the way out, for each namespace not watched that has links of ours."""
    names = await asyncio.to_thread(_names)
    lines = [await _leftovers_in(netns) for netns in names if netns not in watched]
    return tuple(filter(None, lines))


def _names() -> list[str]:
    try:
        return sorted(path.name for path in RUN_NETNS.iterdir())
    except OSError:
        return []  # no namespace was ever created


async def _leftovers_in(netns: str) -> str:
    namespaces = Namespaces()
    try:
        with suppress(*TROUBLES):
            return await namespaces.thread(netns).use(Requests, partial(_look, netns))
    finally:
        namespaces.close()
    return ""


def _look(netns: str, requests: Requests) -> str:
    """Look for links of ours, in the namespace's thread."""
    marked = [info for info in read_links(requests.dump(asks.DUMP_LINKS)) if info.ours]
    if not marked:
        return ""
    own = requests.ask(lambda ipr: ipr.get_netnsid(pid=os.getpid()))["nsid"]
    ours = [info.name for info in marked if info.netnsid == own]
    return _line(netns, ours, alone=len(ours) == len(marked)) if ours else ""


def _line(netns: str, ours: list[str], *, alone: bool) -> str:
    names = ", ".join(ours[:_NAMED]) + (", …" if len(ours) > _NAMED else "")
    which = f"group {LINK_GROUP}" if alone else "NAME"  # the rest of the group is another vtid's
    return (
        f"namespace {netns!r} has {len(ours)} interface{'s' * (len(ours) > 1)} of vtid ({names}), "
        "and no `netns = ` of the configuration names it; remove what is there with "
        f"`ip -n {netns} link delete {which}`, or name the namespace, and vtid does"
    )
