"""Errors: what the kernel refused, as one line with the way out. Pure.

Rules of this file:

* Every error names the interface, and its namespace unless it is vtid's own.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from vtid.kernel.kinds import KINDS
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    AdoptLink,
    CreateLink,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    SetLink,
    SetUp,
)

if TYPE_CHECKING:
    from pathlib import Path

    from vtid.kernel.sockets import Refused
    from vtid.model.link import Link
    from vtid.model.operation import Op


PRIVILEGE = "run vtid by vtid.service, as root, or in a container with --cap-add NET_ADMIN"


class Failed(Exception):  # noqa: N818 - reads as what became of the operation
    """An operation failed; the text is for people."""


class Taken(Failed):
    """Another link, in some namespace, has the name or the keys of the new one."""

    def __init__(self, text: str, link: Link) -> None:
        super().__init__(text)
        self.link = link


def named(name: str, netns: str) -> str:
    """Write a name with its namespace, for people."""
    return f"{name} in namespace {netns!r}" if netns else name


def name_of(link: Link) -> str:
    """Return the name of a link with its namespace, for people."""
    return named(link.name, link.netns)


def creation_error(link: Link, error: Refused) -> Failed:
    """Return the error of a link that could not be created or changed."""
    if error.number == errno.EEXIST:
        return Taken(f"{name_of(link)} {KINDS[link.kind].identity(link)}: {error}", link)
    if error.number == errno.EOPNOTSUPP:
        return Failed(
            f"{name_of(link)}: this kernel has no {link.kind}; load the module with "
            f"`modprobe {KINDS[link.kind].module}`, or install a kernel that has it"
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
        case CreateLink(link=link) | AdoptLink(link=link) | SetLink(link=link):
            return name_of(link)
        case SetUp(netns=netns, name=name) | DeleteLink(netns=netns, name=name):
            return named(name, netns)
        case AddAddress() | DeleteAddress():
            return f"{named(op.interface, op.netns)}, {op.address}"
        case AddRoute() | DeleteRoute():
            return f"{named(op.interface, op.netns)}, route to {op.route.to}"
        case _:
            return op.tunnel
