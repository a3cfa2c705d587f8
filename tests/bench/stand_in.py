"""A vtid whose vti6 interfaces are VXLANs, for kernels that have no VTI.

    python -m tests.bench.stand_in ARGUMENTS OF VTID

So storms can be measured on the processor itself where only an emulated machine has VTI. A VXLAN
has a number and two outer addresses, as a VTI has; nothing passes through it here.

Turns of the loop are measured in processor time of its thread: a busy machine does not count. With
BLAME=1 in the environment, each callback that takes more than 20 ms of it is printed.

Rules of this file:

* It changes how the data of one kind are written and read, and by which clock turns are measured;
  nothing else of vtid.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

from vtid.daemon import loop
from vtid.kernel import kinds, messages
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl

if TYPE_CHECKING:
    from vtid.model.link import Link

LONG = 0.02
"""Seconds."""
KIND = "vxlan"
_ID, _PORT, _REMOTE, _LOCAL = 1, 15, 16, 17
"""IFLA_VXLAN_ID, _PORT, _GROUP6 and _LOCAL6 of linux/if_link.h."""


def _pack(link: Link) -> bytes:
    return (
        nl.attribute(_ID, nl.U32.pack(link.ikey))
        + nl.attribute(_PORT, struct.pack("!H", 4789))
        + nl.attribute(_REMOTE, nl.packed(link.remote))
        + nl.attribute(_LOCAL, nl.packed(link.local))
    )


def _read(data: bytes, found: dict[int, nl.Span]) -> kinds.Fields:
    number = nl.number(data, found.get(_ID), nl.U32)
    return kinds.Fields(
        local=nl.ip(data, found.get(_LOCAL)),
        remote=nl.ip(data, found.get(_REMOTE)),
        ikey=number,
        okey=number,
    )


def _linkinfo(link: Link) -> bytes:
    kind = nl.attribute(nl.IFLA_INFO_KIND, KIND.encode() + b"\0")
    return nl.attribute(nl.IFLA_LINKINFO, kind + nl.attribute(nl.IFLA_INFO_DATA, _pack(link)))


_read_link = messages.read_link


def _as_vti6(message: nl.Message) -> messages.LinkInfo:
    info = _read_link(message)
    return replace(info, kind="vti6") if info.kind == KIND else info


def use() -> None:
    """Put the stand-in into place, before anything else imports what it replaces."""
    kinds.KINDS[KIND] = replace(kinds.KINDS["vti6"], read=_read)
    asks._linkinfo = _linkinfo
    messages.read_link = _as_vti6
    setattr(loop, "time", SimpleNamespace(monotonic=time.thread_time))  # noqa: B010
    if os.environ.get("BLAME"):
        asyncio.tasks.Task = asyncio.tasks._PyTask  # type: ignore[misc,attr-defined]
        asyncio.events.Handle._run = _blamed  # type: ignore[assignment,method-assign]


_run = asyncio.events.Handle._run


def _blamed(handle: asyncio.Handle) -> None:
    began = time.thread_time()
    _run(handle)
    if (took := time.thread_time() - began) > LONG:
        who = getattr(handle._callback, "__self__", handle)  # type: ignore[attr-defined]
        print(f"{took * 1e3:.0f} ms: {who!r}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    use()
    from vtid.__main__ import main

    sys.exit(main())
