"""The types of an interface's addresses, routes and settings. Pure.

Rules of this file:

* As in `types`: a value is parsed, checked and brought to canonical form, or `ValueError`
  says what is wrong and what to write instead.
* An address with a peer is written as `ip address` has it: `10.0.0.1 peer 10.0.0.2/32`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from vtid.config.tables import Raw, Table, array, between
from vtid.config.types import refuse_special
from vtid.model import sysctls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ipaddress import IPv6Interface

REMOTE_TS: Final = "remote-ts"
"""Stands for routes to the negotiated remote traffic selectors."""

ADDRESS_FIELDS: Final = frozenset(
    {"remote_vip", "remote_vip4", "remote_vip6", "local_vip4", "local_vip6"}
)
"""What an address can have in braces; `vtid.core` fills them in from the SA."""

_SAMPLES = ("192.0.2.77", "2001:db8::77")
_OWN_SAMPLES = ("192.0.2.78", "2001:db8::78")

PEER: Final = " peer "
"""Between our address and the peer's, as `ip address` has it."""

_LOCAL_TABLE = 255
"""linux/rtnetlink.h, RT_TABLE_LOCAL: the kernel's own."""


# --- addresses -----------------------------------------------------------------------------------


def own_address(address: str) -> str:
    """Return our end of an interface address, without prefix length."""
    return address.partition(" ")[0].partition("/")[0]


def on_link(address: str) -> IPv4Network | IPv6Network:
    """Return the prefix that an interface address puts on the link: with a peer, the peer's."""
    return ip_network(address.rpartition(" ")[2], strict=False)


def filled_address(text: str) -> str:
    """Bring an address to canonical form. Raises ValueError with a sentence for one that is bad."""
    return _with_peer(text) if PEER in text else _plain(text)


def _address(text: str) -> str:
    return _template(text) if {"{", "}"} & set(text) else filled_address(text)


def _template(text: str) -> str:
    """Check an address that an SA completes, by what a virtual IP of either family makes of it."""
    try:
        fields = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
    except ValueError:
        raise ValueError(f"{text!r} has unbalanced braces") from None
    for name, *format_of in fields:
        if name not in ADDRESS_FIELDS or any(format_of):
            allowed = ", ".join(f"{{{known}}}" for known in sorted(ADDRESS_FIELDS))
            raise ValueError(f"{text!r}: only {allowed} can be in braces")
    errors = []
    for vip in _SAMPLES:
        try:
            theirs = dict(zip(("remote_vip4", "remote_vip6"), _SAMPLES, strict=True))
            ours = dict(zip(("local_vip4", "local_vip6"), _OWN_SAMPLES, strict=True))
            filled_address(text.format(remote_vip=vip, **theirs, **ours))
        except ValueError as error:
            errors.append(error)
    if len(errors) == len(_SAMPLES):
        raise ValueError(f"{text!r} is no address whatever the virtual IP is: {errors[0]}")
    return text


def _plain(text: str) -> str:
    if "/" not in text:
        raise ValueError(f"{text!r} needs a prefix length, as in {text + '/31'!r}")
    interface = _parsed(text)
    if isinstance(interface, IPv4Interface) and not _is_host(interface):
        raise ValueError(f"{text!r} is the network's own or its broadcast address, not a host's")
    return str(interface)


def _with_peer(text: str) -> str:
    ours, _, theirs = text.partition(PEER)
    try:
        local = ip_address(ours.strip())
    except ValueError:
        hint = "the prefix length belongs to the peer" if "/" in ours else "no IP address"
        example = '"10.0.0.1 peer 10.0.0.2/32"'
        raise ValueError(f"{ours.strip()!r}: {hint}; write it like {example}") from None
    refuse_special(ours, local)
    peer = _parsed(theirs.strip())
    if peer.version != local.version or peer.ip == local:
        raise ValueError(f"{text!r}: the peer has to be another address of the same family")
    return f"{local}{PEER}{peer}"


def _parsed(text: str) -> IPv4Interface | IPv6Interface:
    try:
        interface = ip_interface(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address with prefix length") from None
    refuse_special(text, interface.ip)
    return interface


def _is_host(interface: IPv4Interface) -> bool:
    """Return whether it is a host's address, not the network's own or its broadcast address.

    /31 (RFC 3021) and /32 have neither.
    """
    network = interface.network
    ends = (network.network_address, network.broadcast_address)
    return network.num_addresses <= len(ends) or interface.ip not in ends


Address: TypeAlias = Annotated[str, _address]


# --- routes --------------------------------------------------------------------------------------


def _destination(text: str) -> str:
    if text == REMOTE_TS:
        return text
    try:
        return str(ip_network(text))
    except ValueError:
        pass
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'{text!r} is not a prefix like "10.1.0.0/16" nor "remote-ts"') from None
    raise ValueError(f'{text!r} has bits set behind its prefix length: write "{network}"')


def _table(number: int) -> int:
    if number == _LOCAL_TABLE:
        raise ValueError(f"{number} is the table `local`, which is the kernel's own")
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteKeys(Table):
    """`{to = …}`: a route through the interface."""

    to: Annotated[str, _destination]
    metric: Annotated[int, between(1, 4294967295)] | None = None
    table: Annotated[int, between(1, 4294967295), _table] | None = None


def _routes(value: object) -> tuple[RouteKeys, ...]:
    if value == REMOTE_TS:
        return (RouteKeys(to=REMOTE_TS),)
    if isinstance(value, str):
        raise ValueError(f'{value!r} is not "remote-ts", nor an array of routes [{{to = "…"}}]')  # noqa: TRY004 - of the file, and not of a call
    found: tuple[RouteKeys, ...] = _read_routes(value)
    return found


_read_routes = array(RouteKeys)


Routes: TypeAlias = Annotated[tuple[RouteKeys, ...], Raw(_routes)]


# --- settings ------------------------------------------------------------------------------------


def _known(names: Mapping[str, int]) -> Callable[[dict[str, int]], dict[str, int]]:
    def check(settings: dict[str, int]) -> dict[str, int]:
        for name in settings:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else "known here: " + ", ".join(names)
                raise ValueError(f"{name!r} is no setting that a tunnel can have; {hint}")
        return settings

    return check


_Value: TypeAlias = Annotated[int, between(-2147483648, 2147483647)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SysctlKeys(Table):
    """`[tunnel.sysctls]`: settings in net.ipv4.conf.IFACE and net.ipv6.conf.IFACE."""

    ipv4: Annotated[dict[str, _Value], _known(sysctls.IPV4)] = field(default_factory=dict)
    ipv6: Annotated[dict[str, _Value], _known(sysctls.IPV6)] = field(default_factory=dict)

    def all(self) -> sysctls.Sysctls:
        """Return the settings as the model has them."""
        four = ((f"ipv4.{name}", value) for name, value in self.ipv4.items())
        six = ((f"ipv6.{name}", value) for name, value in self.ipv6.items())
        return tuple(sorted((*four, *six)))
