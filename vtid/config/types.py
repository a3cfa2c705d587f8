"""Types of single configuration values: each one parses, checks and brings to canonical form.

Rules of this file:

* A type is `Annotated` with one function that returns the value or raises `ValueError` with a
  sentence that says what is wrong and what to write instead (`tables`).
* A type looks at its value alone; rules between keys are in `checks`.
* Values end up in interface names, BIRD's configuration and nftables, so the allowed characters
  are listed, never the forbidden ones.
"""

from __future__ import annotations

import posixpath
import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from vtid.config.tables import Raw, between
from vtid.esp.proposal import parse

if TYPE_CHECKING:
    from collections.abc import Callable

INTERFACE_FIELDS: Final = frozenset(
    {
        *("mark", "mark_in", "mark_out", "if_id", "if_id_in", "if_id_out"),
        *("connection", "child", "remote_id", "remote_vip", "remote_vip4", "remote_vip6"),
    }
)
"""What an interface template can have in braces; `vtid.core` fills them in from the SA."""

NUMBERED_FIELDS: Final = frozenset(
    {"mark", "mark_in", "mark_out", "if_id", "if_id_in", "if_id_out"}
)
"""Those that can be hexadecimal, `{if_id:x}`: 4294967295 leaves little of 15 characters."""

ANY_REMOTE: Final = "any"
"""As `remote`: one interface for all peers that a policy matches."""

NEIGHBOR_TEMPLATES: Final = frozenset({"{remote_vip4}", "{remote_vip6}"})
"""What stands for a virtual IP of the peer as `neighbor`: the family has to be known."""

ONE_FAMILY_TEMPLATE: Final = "bgp-1.6"
SHIPPED_TEMPLATES: Final = ("bgp", ONE_FAMILY_TEMPLATE)
"""Those that come with vtid (`vtid.bird.template`); daemons of BIRD 1.6 have one family each."""

IFNAME_MAX: Final = 15
"""Bytes of an interface name: the kernel's IFNAMSIZ without the terminating zero."""

_SUN_PATH_MAX = 107
"""Bytes of a Unix socket's path: sockaddr_un.sun_path without the terminating zero (unix(7))."""

_MTU_MIN, _MTU_MAX = 68, 65535
"""RFC 791; the kernel's ETH_MIN_MTU and IP_MAX_MTU."""

_PORT_MAX = 65535
_NUMBER_MAX = 4294967295

_DAY = 86400.0

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_seconds(value: object) -> float:
    """Parse a duration; a bare number is in seconds. Raises ValueError."""
    seconds: float
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (
        found := re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s|m|h)", value.strip(), re.ASCII)
    ):
        seconds = float(found[1]) * _UNITS[found[2]]
    else:
        raise ValueError(f'{value!r} is not a duration: write it like "3s", "500ms" or "1m"')
    if not 0 <= seconds <= _DAY:
        raise ValueError(f"{value!r} is not between 0 and a day")
    return float(seconds)


def _mtu(value: object) -> int | str:
    if value in ("auto", "underlay"):
        return str(value)
    if type(value) is int and _MTU_MIN <= value <= _MTU_MAX:
        return value
    raise ValueError(
        f'{value!r} is not "auto", "underlay" or a number from {_MTU_MIN} to {_MTU_MAX}'
    )


def single_host(text: str) -> str:
    """Return the address of a host in canonical form. Raises ValueError for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None
    refuse_special(text, address)
    return str(address)


def _bgp_neighbor(text: str) -> str:
    if not {"{", "}"} & set(text):
        return single_host(text)
    if text not in NEIGHBOR_TEMPLATES:
        allowed = " or ".join(sorted(NEIGHBOR_TEMPLATES))
        raise ValueError(f"{text!r}: a neighbour is an address, or {allowed}")
    return text


def refuse_special(text: str, address: IPv4Address | IPv6Address) -> None:
    """Raise ValueError for what is no address of a single host on a link."""
    if "%" in text:
        raise ValueError(f"{text!r} has an interface name, which is the tunnel's")
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise ValueError(f"{text!r} is no address of a single host on a link")


def _outer(text: str) -> str:
    if "%" in text:
        raise ValueError(f"{text!r} has an interface name: write the address alone")
    return single_host(text)


def _remote(text: str) -> str:
    try:
        return text if text == ANY_REMOTE else _outer(text)
    except ValueError as error:
        raise ValueError(f'{error}; write "{ANY_REMOTE}" for all peers') from None


def _esp(text: str) -> str:
    parse(text)
    return text


def _interface(text: str) -> str:
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError(f"{text!r} has unbalanced braces") from None
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if name not in INTERFACE_FIELDS or conversion:
            allowed = ", ".join(f"{{{known}}}" for known in sorted(INTERFACE_FIELDS))
            raise ValueError(f"{text!r}: only {allowed} can be in braces")
        if spec and (spec != "x" or name not in NUMBERED_FIELDS):
            allowed = ", ".join(f"{{{known}:x}}" for known in sorted(NUMBERED_FIELDS))
            raise ValueError(f"{text!r}: a format is `:x` (hexadecimal), in {allowed}")
    literal = "".join(part[0] for part in parts)
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]*", literal):
        raise ValueError(f"{text!r}: an interface name has letters, digits and _ . @ + - only")
    fields = sum(name is not None for _, name, _, _ in parts)
    if not 1 <= len(literal) + fields <= IFNAME_MAX:
        raise ValueError(f"{text!r} is not 1 to {IFNAME_MAX} characters long")
    if text in {".", "..", "all", "default", "lo"}:
        raise ValueError(f"{text!r} is taken: choose another interface name")
    if text.startswith("{remote_id}"):
        why = "a peer could take the name of any interface"
        raise ValueError(f'{text!r}: {why}: put something in front, as in "p-{text}"')
    return text


def _vrf(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{0,15}", text):
        raise ValueError(f"{text!r} is not the name of a VRF: as `ip vrf` lists it")
    return text


def is_static(interface: str) -> bool:
    """Return whether an interface template is a plain name, the same for every SA."""
    return "{" not in interface


def session_name(interface: str, neighbor: str) -> str:
    """BIRD symbol for a session: from interface and family alone, so that it stays the same.

    No two interfaces have the same one: peers choose names (`{remote_id}`), and one of them could
    take another's session from BIRD. What a symbol cannot have is written as `:` and its number,
    for `:` is in no interface name.
    """
    version = family_of(neighbor).removeprefix("ip")
    safe = re.sub(r"[^A-Za-z0-9_.-]", lambda found: f":{ord(found[0]):02x}", interface)
    return f"vtid_{safe}_{version}"


def _netns(text: str) -> str:
    if text in {".", ".."} or not re.fullmatch(r"[A-Za-z0-9_.@:+-]{0,255}", text):
        raise ValueError(
            f"{text!r} is not the name of a namespace: as `ip netns` lists it, without a slash"
        )
    return text


def _pattern(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError(f'{text!r} matches no name: write one, or a glob like "site-*"')
    return text


def _symbol(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", text):
        raise ValueError(f"{text!r} is not a BIRD symbol: letters, digits and _, no digit first")
    return text


def _filter(text: str) -> str:
    try:
        return _symbol(text)
    except ValueError:
        raise ValueError(f'{text!r} is not "all", "none" or the name of a filter') from None


def _instance_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", text):
        raise ValueError(f"{text!r} is not a name: letters, digits and _ . - only")
    return text


def absolute_path(text: str) -> str:
    """Return an absolute path without `..` and double slashes. Raises ValueError."""
    if not text.startswith("/") or not text.isprintable() or '"' in text:
        raise ValueError(f"{text!r} is not an absolute path")
    return posixpath.normpath(text)


def _socket_path(text: str) -> str:
    path = absolute_path(text)
    if len(path.encode()) > _SUN_PATH_MAX:
        raise ValueError(f"{text!r} is longer than the {_SUN_PATH_MAX} bytes of a Unix socket path")
    return path


def _group_name(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}|0|[1-9][0-9]{0,8}", text):
        raise ValueError(f'{text!r} is not the name or the number of a group, "1001"')
    return text


def _template(text: str) -> str:
    if text in SHIPPED_TEMPLATES:
        return text
    try:
        return absolute_path(text)
    except ValueError:
        names = ", ".join(f'"{name}"' for name in SHIPPED_TEMPLATES)
        raise ValueError(f"{text!r} is not {names} or the absolute path of a template") from None


def _or_empty(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: text and check(text)


def _vars(value: object) -> tuple[tuple[str, str | int | bool], ...]:
    """Take a table; or the pairs that this returned before, as a recording has them."""
    try:
        found = dict(value)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise ValueError("has to be a table") from None
    for name, one in found.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(name)):
            raise ValueError(f"{name!r} is not a name: letters, digits and _, no digit first")
        if not isinstance(one, str | int):
            raise ValueError(f"{name} is no string, no whole number, true or false")  # noqa: TRY004
        if isinstance(one, str) and not one.isprintable():
            raise ValueError(f"{name} has characters that cannot be printed")
        if not isinstance(one, str) and not 0 <= one <= _NUMBER_MAX:
            raise ValueError(f"{name} is not from 0 to {_NUMBER_MAX}, as BIRD's numbers are")
    return tuple(sorted(found.items()))


def _listen(text: str) -> str:
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})", text, re.ASCII)
    if not found or int(found[3]) > _PORT_MAX:
        raise ValueError(f'{text!r} is not "address:port" or "[IPv6 address]:port"')
    host = found[1] or found[2]
    if (found[1] or re.fullmatch(r"[\d.]+", host)) and not _is_address(host, 6 if found[1] else 4):
        raise ValueError(f"{text!r} has no valid address before its port")
    return text


def _is_address(text: str, version: int) -> bool:
    try:
        return ip_address(text).version == version
    except ValueError:
        return False


def family_of(address: str) -> Family:
    """Return the family of an IP address, with or without prefix length, or of its template."""
    return "ipv6" if ":" in address or "_vip6}" in address else "ipv4"


Seconds: TypeAlias = Annotated[float, Raw(parse_seconds)]
Mtu: TypeAlias = Annotated[int | Literal["auto", "underlay"], Raw(_mtu)]
UnderlayMtu: TypeAlias = Annotated[int, between(576, 65535)]
Neighbor: TypeAlias = Annotated[str, _bgp_neighbor]
NeighborOrEmpty: TypeAlias = Annotated[str, _or_empty(single_host)]
InterfaceTemplate: TypeAlias = Annotated[str, _interface]
InterfaceTemplateOrEmpty: TypeAlias = Annotated[str, _or_empty(_interface)]
NetnsName: TypeAlias = Annotated[str, _netns]
OuterAddress: TypeAlias = Annotated[str, _outer]
Remote: TypeAlias = Annotated[str, _remote]
EspProposal: TypeAlias = Annotated[str, _esp]
Key: TypeAlias = Annotated[int, between(1, 0xFFFFFFFF)]
"""A mark or an interface ID; 0 is none (ip-xfrm(8))."""
VrfName: TypeAlias = Annotated[str, _vrf]
Pattern: TypeAlias = Annotated[str, _pattern]
SymbolOrEmpty: TypeAlias = Annotated[str, _or_empty(_symbol)]
Filter: TypeAlias = Annotated[str, _filter]
InstanceName: TypeAlias = Annotated[str, _instance_name]
InstanceNameOrEmpty: TypeAlias = Annotated[str, _or_empty(_instance_name)]
AbsolutePath: TypeAlias = Annotated[str, absolute_path]
BirdTemplate: TypeAlias = Annotated[str, _template]
SocketPath: TypeAlias = Annotated[str, _socket_path]
GroupName: TypeAlias = Annotated[str, _group_name]
Listen: TypeAlias = Annotated[str, _listen]
AsNumber: TypeAlias = Annotated[int, between(1, 4294967295)]
"""RFC 6793; 0 is reserved (RFC 7607)."""
Vars: TypeAlias = Annotated[tuple[tuple[str, str | int | bool], ...], Raw(_vars)]
Family: TypeAlias = Literal["ipv4", "ipv6"]
Families: TypeAlias = Annotated[tuple[Family, ...], lambda families: tuple(sorted(set(families)))]
