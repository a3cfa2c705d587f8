"""Naming: fills the templates of a policy with the facts of an SA. Pure.

Rules of this file:

* `_FACTS` lists everything that a template may have in braces. A fact that the SA lacks is an
  error that says what to add to swanctl.conf.
* A peer chooses its `remote_id` and `remote_vip`. In an interface name, characters that the kernel
  refuses become `-`, and a name that was changed or cut ends in a hash of the whole. So it stays
  the same for one peer, and no other peer can take it.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.config.interface import filled_address
from vtid.config.types import is_static

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vtid.config.bgp import Bgp
    from vtid.config.keys import Policy
    from vtid.model.sa import ChildSa, Mark

IFNAMSIZ = 16
"""Bytes of an interface name in the kernel, with the final NUL (include/uapi/linux/if.h)."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9_.@+=-]+")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.@+=-]")

_TAKEN = frozenset({".", "..", "all", "default", "lo"})
"""Names in use: by the file system, net.ipv4.conf.* (sysctl_dev_name_is_allowed), each netns."""

_OF_THE_PEER = re.compile(r"\{remote_")

_HASH_MARK = "="
"""Precedes a hash; names without a hash never contain it."""

_HASH_LENGTH = 6
"""Characters of base 32: 30 bits."""


class PolicyError(Exception):
    """An SA cannot have a tunnel; the text names the SA and the way out."""


def _value(mark: Mark | None) -> int | None:
    return mark.value if mark else None


def _of_family(addresses: Iterable[str], *, ipv6: bool) -> str | None:
    return next((one for one in addresses if (":" in one) == ipv6), None)


_FACTS: dict[str, Callable[[ChildSa], str | int | None]] = {
    "connection": lambda sa: sa.connection,
    "child": lambda sa: sa.child,
    "mark_in": lambda sa: _value(sa.mark_in),
    "mark_out": lambda sa: _value(sa.mark_out),
    "mark": lambda sa: _value(sa.mark_in or sa.mark_out),
    "if_id_in": lambda sa: sa.if_id_in or None,
    "if_id_out": lambda sa: sa.if_id_out or None,
    "if_id": lambda sa: sa.if_id_out or sa.if_id_in or None,
    "remote_id": lambda sa: sa.remote_id or None,
    "remote_vip": lambda sa: next(iter(sa.remote_vips), None),
    "remote_vip4": lambda sa: _of_family(sa.remote_vips, ipv6=False),
    "remote_vip6": lambda sa: _of_family(sa.remote_vips, ipv6=True),
    "local_vip4": lambda sa: _of_family(sa.local_vips, ipv6=False),
    "local_vip6": lambda sa: _of_family(sa.local_vips, ipv6=True),
}
"""The facts of an SA for templates; None for one that it lacks."""


class _Facts(dict[str, str | int]):
    """The facts of an SA, as far as a template asks for them."""

    def __init__(self, sa: ChildSa) -> None:
        super().__init__()
        self._sa = sa

    def __missing__(self, name: str) -> str | int:
        if (fact := _FACTS[name](self._sa)) is None:
            raise KeyError(name)
        return fact


def fill(template: str, key: str, sa: ChildSa) -> str:
    """Fill the template of a policy's `key` with the facts of an SA.

    Raises PolicyError where a fact is missing.
    """
    if is_static(template):
        return template
    try:
        return template.format_map(_Facts(sa))
    except KeyError as error:
        field = str(error.args[0])
    what, advice = _missing(field)
    advice = advice.format(connection=sa.connection, child=sa.child)
    raise PolicyError(f"{sa}: {key} = {template!r} needs {{{field}}}, but {what}; {advice}")


def interface_name(policy: Policy, sa: ChildSa) -> str:
    """Fill the policy's interface template with the SA's facts.

    Raises PolicyError where a fact is missing or the kernel would not take the name
    (net/core/dev.c, dev_valid_name).
    """
    if is_static(policy.interface):
        return policy.interface
    name = fill(policy.interface, "interface", sa)
    if _OF_THE_PEER.search(policy.interface):
        return _made_safe(name)
    if not _is_name(name):
        raise PolicyError(
            f"{sa}: interface = {policy.interface!r} gives {name!r}, which is no interface name: "
            f"1 to {IFNAMSIZ - 1} letters, digits or ._-+=@ are, but for all, default and lo; "
            "shorten or change the template"
        )
    return name


def addresses(policy: Policy, sa: ChildSa) -> tuple[str, ...]:
    """Fill the policy's addresses with the SA's facts.

    Raises PolicyError where a fact is missing or the result is no address.
    """
    return tuple([_address(one, sa) if "{" in one else one for one in policy.addresses])


def _address(template: str, sa: ChildSa) -> str:
    text = fill(template, "addresses", sa)
    try:
        return filled_address(text)
    except ValueError as error:
        raise PolicyError(f"{sa}: addresses = {template!r}: {error}") from None


def sessions(policy: Policy, sa: ChildSa) -> tuple[Bgp, ...]:
    """Fill the neighbours of the policy's BGP sessions with the SA's facts.

    Raises PolicyError where a fact is missing.
    """
    return tuple([_session(one, sa) if "{" in one.neighbor else one for one in policy.bgp])


def _session(bgp: Bgp, sa: ChildSa) -> Bgp:
    text = fill(bgp.neighbor, "neighbor", sa)
    try:
        return replace(bgp, neighbor=str(ipaddress.ip_address(text)))
    except ValueError as error:
        raise PolicyError(f"{sa}: neighbor = {bgp.neighbor!r}: {error}") from None


def _is_name(name: str) -> bool:
    return len(name) < IFNAMSIZ and bool(_SAFE_NAME.fullmatch(name)) and name not in _TAKEN


def _made_safe(name: str) -> str:
    if _is_name(name) and _HASH_MARK not in name:
        return name
    digest = hashlib.sha256(name.encode()).digest()
    ending = base64.b32encode(digest).decode().lower()[:_HASH_LENGTH]
    kept = _UNSAFE.sub("-", name)[: IFNAMSIZ - 2 - _HASH_LENGTH]
    return f"{kept}{_HASH_MARK}{ending}"


MARK_ADVICE = (
    "put `mark_in = 42` and `mark_out = 42` (a number of its own per peer, or %unique) into "
    "connections.{connection}.children.{child} of swanctl.conf, load it with "
    "`swanctl --load-conns` and establish the SA again"
)

IF_ID_ADVICE = (
    "put `if_id_in = 42` and `if_id_out = 42` (a number of its own per interface, or %unique) into "
    "connections.{connection}.children.{child} of swanctl.conf, load it with "
    "`swanctl --load-conns` and establish the SA again"
)

VIP_ADVICE = (
    "put `pools = NAME` into connections.{connection} and the pool into `pools` of swanctl.conf, "
    "and have the peer ask with `vips = 0.0.0.0`"
)


LOCAL_VIP_ADVICE = (
    "put `vips = 0.0.0.0` (or `::`) into connections.{connection} of swanctl.conf, and `pools` "
    "into the peer's"
)


def _missing(field: str) -> tuple[str, str]:
    if field.startswith("if_id"):
        return "the CHILD_SA has no if_id", IF_ID_ADVICE
    if field.startswith("remote_vip"):
        return "the peer has no such virtual IP", VIP_ADVICE
    if field.startswith("local_vip"):
        return "the peer gave us no such virtual IP", LOCAL_VIP_ADVICE
    if field == "remote_id":
        return "the peer has no identity", "change the template"
    return "the CHILD_SA has no mark", MARK_ADVICE
