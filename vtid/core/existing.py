"""Existing interfaces: which of them serves a loaded child already. Pure.

Rules of this file:

* Kind, keys and endpoints have to be those of the newest SA. An interface with other keys carries
  nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.core.presence import ANY_HOST
from vtid.model.link import ALIAS_PREFIX, Kind, tunnel_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vtid.core.loaded_child import LoadedChild
    from vtid.model.link import Link
    from vtid.model.present import Present
    from vtid.model.sa import ChildSa

_LINK_LOCAL = "fe80"
"""Addresses that the kernel gives by itself begin with it."""


def serving(child: LoadedChild, there: Iterable[Present]) -> Present | None:
    """Return the interface that serves a child, None where there is none."""
    if child.kind is None:
        return None
    serves = _xfrm if child.kind is Kind.XFRM else _vti
    return next((one for one in there if serves(child.sas[0], one.link)), None)


def _xfrm(sa: ChildSa, link: Link) -> bool:
    return link.kind == "xfrm" and link.if_id == sa.if_id_out == sa.if_id_in


def _vti(sa: ChildSa, link: Link) -> bool:
    kind, any_host = ("vti6", "ipv6") if ":" in sa.remote_host else ("vti", "ipv4")
    marks = sa.mark_in and sa.mark_in.value, sa.mark_out and sa.mark_out.value
    ends = link.kind == kind and link.local == sa.local_host
    return (
        ends
        and (link.ikey, link.okey) == marks
        and link.remote in {sa.remote_host, ANY_HOST[any_host]}
    )


def addresses_of(there: Present) -> tuple[str, ...]:
    """Return the addresses that somebody gave an interface."""
    return tuple(sorted(one for one in there.addresses if not one.startswith(_LINK_LOCAL)))


def is_foreign(link: Link) -> bool:
    """Whether somebody else made an interface."""
    return not link.alias.startswith(ALIAS_PREFIX)


def advice(link: Link) -> str:
    """Return what makes an interface of somebody else vtid's own."""
    name = tunnel_name(link.netns, link.name)
    return f"Its interface is there: `vtictl adopt {name}` makes it vtid's own, once vtid runs."
