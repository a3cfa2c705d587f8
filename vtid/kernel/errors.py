"""Errors: what the kernel refused, as one line with the way out. Pure.

Rules of this file:

* Every error names the interface, and its namespace unless it is vtid's own.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from vtid.model.operation import (
    AddAddress,
    AddRoute,
    CreateLink,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    SetLink,
    SetUp,
)
from vtid.netns import PRIVILEGE

if TYPE_CHECKING:
    from pathlib import Path

    from vtid.kernel.sockets import Refused
    from vtid.model.link import Link
    from vtid.model.operation import Op

_MODULES = {"vti": "ip_vti", "vti6": "ip6_vti", "xfrm": "xfrm_interface"}


class Failed(Exception):  # noqa: N818 - reads as what became of the operation
    """An operation failed; the text is for people."""


class Taken(Failed):
    """Another link, in some namespace, has the name or the keys of the new one."""


def named(name: str, netns: str) -> str:
    """Write a name with its namespace, for people."""
    return f"{name} in namespace {netns!r}" if netns else name


def name_of(link: Link) -> str:
    """Return the name of a link with its namespace, for people."""
    return named(link.name, link.netns)


def creation_error(link: Link, error: Refused) -> Failed:
    """Return the error of a link that could not be created or changed."""
    if error.number == errno.EEXIST:
        return Taken(f"{name_of(link)} {_what(link)}: {error}")
    if error.number == errno.EOPNOTSUPP:
        module = _MODULES.get(link.kind, link.kind)
        return Failed(
            f"{name_of(link)}: this kernel has no {link.kind}; load the module with "
            f"`modprobe {module}`, or install a kernel that has it"
        )
    if error.number == errno.EAFNOSUPPORT:
        return Failed(
            f"{name_of(link)}: {error}; it has no IPv6: is the kernel's switched off "
            "(ipv6.disable=1)? Then remove IPv6 addresses and neighbours from the configuration"
        )
    return Failed(f"{name_of(link)}: {explain(error)}")


def sysctl_error(link: Link, path: Path, error: OSError) -> str:
    """Return why a sysctl could not be written."""
    way_out = {
        errno.EROFS: "; under systemd the unit needs ReadWritePaths=/proc/sys/net, as vtid.service "
        "has it; a container --security-opt systempaths=unconfined",
        errno.EACCES: f": {PRIVILEGE}",
        errno.ENOENT: "; this kernel has no such setting, or the interface no IPv6",
    }.get(error.errno or 0, "")
    return f"{name_of(link)}: {path}: {error.strerror}{way_out}"


def explain(error: Refused) -> str:
    """Return the kernel's message, with the way out for a missing privilege."""
    if error.number in {errno.EPERM, errno.EACCES}:
        return f"{error}, CAP_NET_ADMIN is missing: {PRIVILEGE}"
    return str(error)


def subject(op: Op) -> str:
    """Return what an operation is about, for people."""
    match op:
        case CreateLink(link=link) | SetLink(link=link):
            return name_of(link)
        case SetUp(netns=netns, name=name) | DeleteLink(netns=netns, name=name):
            return named(name, netns)
        case AddAddress() | DeleteAddress():
            return f"{named(op.interface, op.netns)}, {op.address}"
        case AddRoute() | DeleteRoute():
            return f"{named(op.interface, op.netns)}, route to {op.route.to}"
        case _:
            return op.tunnel


_ONE_ADDRESS_PAIR = (
    "has this pair of outer addresses, and the kernel allows one {kind} for each, whatever the "
    "marks; remove it, or give the peer another address"
)
ONE_EACH = {
    "vti": _ONE_ADDRESS_PAIR,
    "vti6": _ONE_ADDRESS_PAIR,
    "xfrm": "has this if_id, and the kernel allows one interface for each; remove it, or give the "
    "CHILD_SA another `if_id_in` and `if_id_out` in swanctl.conf",
}
"""Error texts about a link that prevents the creation of another."""


def key(link: Link) -> tuple[str, str, str, int]:
    """Return what the kernel allows only once: VTIs have no if_id, XFRM interfaces no addresses."""
    return link.kind, link.local, link.remote, link.if_id


def _what(link: Link) -> str:
    return f"with if_id {link.if_id}" if link.if_id else f"from {link.local} to {link.remote}"
