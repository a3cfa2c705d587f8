"""VXLANs in place of vtid's interfaces, for kernels that have neither VTI nor XFRM interfaces.

So faults and storms run on the processor itself where only an emulated machine has those: all else
is real, but that what passes is not encrypted. A VXLAN has a number and two outer addresses, as a
VTI has, and its outer side stays where it was made.

Rules of this file: it changes how the data of these kinds are written and read, in the process of
vtid, and nothing else of it.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vtid.kernel import kinds, messages
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.model.link import Link

KIND = "vxlan"
ID, PORT = 1, 15
REMOTE, LOCAL = {4: 2, 6: 16}, {4: 4, 6: 17}
"""IFLA_VXLAN_ID, _PORT; by family _GROUP and _GROUP6, _LOCAL and _LOCAL6 (linux/if_link.h)."""


def _pack(link: Link) -> bytes:
    data = nl.attribute(ID, nl.U32.pack(link.if_id or link.ikey))
    data += nl.attribute(PORT, struct.pack("!H", 4789))
    for types, address in ((REMOTE, link.remote), (LOCAL, link.local)):
        if address:
            data += nl.attribute(types[6 if ":" in address else 4], nl.packed(address))
    return data


def _read(instead_of: Callable[[int], str], data: bytes, found: dict[int, nl.Span]) -> kinds.Fields:
    number = nl.number(data, found.get(ID), nl.U32)
    if instead_of(number) == "xfrm":
        return kinds.Fields(if_id=number)
    local, remote = (
        nl.ip(data, found.get(types[4]) or found.get(types[6])) for types in (LOCAL, REMOTE)
    )
    return kinds.Fields(local, remote, ikey=number, okey=number)


def _linkinfo(link: Link) -> bytes:
    kind = nl.attribute(nl.IFLA_INFO_KIND, KIND.encode() + b"\0")
    return nl.attribute(nl.IFLA_LINKINFO, kind + nl.attribute(nl.IFLA_INFO_DATA, _pack(link)))


_read_link = messages.read_link


def use(instead_of: Callable[[int], str]) -> None:
    """Put the stand-in into place in this process, before anything else imports what it replaces.

    `instead_of` returns the kind that a VXLAN of a number stands for.
    """

    def read_link(message: nl.Message) -> messages.LinkInfo:
        info = _read_link(message)
        if info.kind != KIND:
            return info
        return replace(info, kind=instead_of(info.if_id or info.ikey))

    kinds.KINDS[KIND] = replace(kinds.KINDS["vti"], read=partial(_read, instead_of))
    asks._linkinfo = _linkinfo
    messages.read_link = read_link
