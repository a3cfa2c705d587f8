"""Kinds: what is special about each kind of tunnel interface in rtnetlink. Pure.

Rules of this file:

* A kind is one entry of `KINDS`: how its IFLA_INFO_DATA is read and written, which module has it,
  and what of it the kernel allows only once. Nothing else in this folder knows a kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from vtid.kernel import wire as nl

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtid.model.link import Link

Key: TypeAlias = tuple[str, str, str, int]


class Fields(NamedTuple):
    """What IFLA_INFO_DATA says of a link; empty for other kinds."""

    local: str = ""
    remote: str = ""
    ikey: int = 0
    okey: int = 0
    if_id: int = 0


@dataclass(frozen=True, slots=True)
class Spec:
    """What is special about one kind."""

    module: str
    """Kernel module, for an error that says how to load it."""
    read: Callable[[bytes, dict[int, nl.Span]], Fields]
    pack: Callable[[Link], bytes]
    """IFLA_INFO_DATA with all fields: the kernel takes what is missing for zero."""
    identity: Callable[[Link], str]
    """Describes what no two links of the kind can have in common."""
    taken: str
    """Says that another link has the same identity, and the way out."""


def read(kind: str, data: bytes, span: nl.Span | None) -> Fields:
    """Read IFLA_INFO_DATA of a link of any kind."""
    spec = KINDS.get(kind)
    return spec.read(data, nl.nested(data, span)) if spec else Fields()


def key(link: Link) -> Key:
    """Return what the kernel allows only once: VTIs have no if_id, XFRM interfaces no addresses."""
    return link.kind, link.local, link.remote, link.if_id


# --- VTI: net/ipv4/ip_vti.c, net/ipv6/ip6_vti.c --------------------------------------------------


def _read_vti(data: bytes, found: dict[int, nl.Span]) -> Fields:
    return Fields(
        local=nl.ip(data, found.get(nl.IFLA_VTI_LOCAL)),
        remote=nl.ip(data, found.get(nl.IFLA_VTI_REMOTE)),
        ikey=nl.number(data, found.get(nl.IFLA_VTI_IKEY), nl.BE32),
        okey=nl.number(data, found.get(nl.IFLA_VTI_OKEY), nl.BE32),
    )


def _pack_vti(link: Link) -> bytes:
    return (
        nl.attribute(nl.IFLA_VTI_IKEY, nl.BE32.pack(link.ikey))
        + nl.attribute(nl.IFLA_VTI_OKEY, nl.BE32.pack(link.okey))
        + nl.attribute(nl.IFLA_VTI_LOCAL, nl.packed(link.local))
        + nl.attribute(nl.IFLA_VTI_REMOTE, nl.packed(link.remote))
    )


def _ends(link: Link) -> str:
    return f"from {link.local} to {link.remote}"


def _vti(kind: str, module: str) -> Spec:
    taken = (
        f"has this pair of outer addresses, and the kernel allows one {kind} for each, whatever "
        "the marks; remove it, or give the peer another address"
    )
    return Spec(module, _read_vti, _pack_vti, _ends, taken)


# --- XFRM interface: net/xfrm/xfrm_interface_core.c ----------------------------------------------


def _read_xfrm(data: bytes, found: dict[int, nl.Span]) -> Fields:
    return Fields(if_id=nl.number(data, found.get(nl.IFLA_XFRM_IF_ID), nl.U32))


def _pack_xfrm(link: Link) -> bytes:
    return nl.u32(nl.IFLA_XFRM_IF_ID, link.if_id)


_XFRM = Spec(
    module="xfrm_interface",
    read=_read_xfrm,
    pack=_pack_xfrm,
    identity=lambda link: f"with if_id {link.if_id}",
    taken="has this if_id, and the kernel allows one interface for each; remove it, or give the "
    "CHILD_SA another `if_id_in` and `if_id_out` in swanctl.conf",
)

KINDS: Final = {"vti": _vti("vti", "ip_vti"), "vti6": _vti("vti6", "ip6_vti"), "xfrm": _XFRM}
"""By the kernel's name of the kind (rtnl_link_ops)."""
