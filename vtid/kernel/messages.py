"""rtnetlink messages about links, addresses and routes: bytes to values and back.

Rules of this file:

* Pure. It covers what is hot or what pyroute2 has no words for: events, dumps, counters and the
  requests that change links, addresses and routes. Route lookups and namespace ids are asked for
  with pyroute2.
* A malformed or truncated message raises `MessageError`, nothing else.
* Attributes are indexed by offset and only those wanted are read: the cost of a dump is here.

Layout (RFC 3549, linux/netlink.h): a datagram holds messages, a message is a 16-byte header, a
fixed body and attributes, each with a 4-byte header and padded to 4 bytes. Numbers are in host
order, VTI keys and addresses in network order, interface IDs in host order.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from vtid.model import LINK_GROUP, MAIN_TABLE, PROTOCOL, Link, LinkCounters, Route
from vtid.sysctls import IPV4, IPV6, Sysctls

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/netlink.h
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLMSGERR_ATTR_MSG = 1
NLM_F_ACK_TLVS = 0x200

# linux/rtnetlink.h
RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_SETLINK = 19
RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_GETADDR = 22
RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26
RTM_NEWSTATS = 92
RTM_GETSTATS = 94
RTEXT_FILTER_SKIP_STATS = 1 << 3
RTM_F_CLONED = 0x200
RTA_DST = 1
RTA_OIF = 4
RTA_PRIORITY = 6
RTA_MULTIPATH = 9
RTA_TABLE = 15
RTN_UNICAST = 1
RT_SCOPE_LINK = 253

# linux/if_link.h, linux/if.h, linux/if_addr.h
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_MASTER = 10
IFLA_LINKINFO = 18
IFLA_IFALIAS = 20
IFLA_AF_SPEC = 26
IFLA_GROUP = 27
IFLA_EXT_MASK = 29
IFLA_LINK_NETNSID = 37
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
IFLA_INFO_SLAVE_KIND = 4
IFLA_INFO_SLAVE_DATA = 5
IFLA_VRF_PORT_TABLE = 1
IFLA_VTI_IKEY = 2
IFLA_VTI_OKEY = 3
IFLA_VTI_LOCAL = 4
IFLA_VTI_REMOTE = 5
IFLA_XFRM_IF_ID = 2
IFLA_INET_CONF = 1
IPV4_DEVCONF_RP_FILTER = 8
IPV4_DEVCONF_NOPOLICY = 16
IFLA_INET6_CONF = 2
IFLA_INET6_ADDR_GEN_MODE = 8
IN6_ADDR_GEN_MODE_EUI64 = 0
IN6_ADDR_GEN_MODE_NONE = 1
IFLA_STATS_LINK_64 = 1
IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_PROTO = 11
IFA_F_NODAD = 0x02
IFF_UP = 0x1
IFF_RUNNING = 0x40
AF_INET = 2
AF_INET6 = 10

NLA_TYPE_MASK = 0x3FFF

VTI_KINDS = {"vti": 4, "vti6": 16}
"""Kinds that IFLA_VTI_* describe, with the length of their outer addresses."""

XFRM_KIND = "xfrm"
"""The kind that IFLA_XFRM_* describe."""

VRF_KIND = "vrf"
"""The kind that a link is enslaved to for its routing table."""

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEXTHOP = struct.Struct("=HBBi")
_STATS = struct.Struct("=B3xII")
_LINK_STATS = struct.Struct("=6Q")
_U8 = struct.Struct("=B")
_U32 = struct.Struct("=I")
_S32 = struct.Struct("=i")
_BE32 = struct.Struct("!I")

_Span = tuple[int, int]


class MessageError(ValueError):
    """Bytes that are no complete rtnetlink message."""


class Message(NamedTuple):
    """One message within a datagram; its body is `data[start:end]`."""

    kind: int
    flags: int
    seq: int
    data: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """What RTM_NEWLINK says of any link; the fields of a kind are empty for other kinds."""

    ifindex: int
    name: str
    kind: str
    group: int
    mtu: int
    up: bool
    running: bool
    alias: str
    local: str
    remote: str
    ikey: int
    okey: int
    if_id: int
    netnsid: int | None
    """Id of the namespace of the outer side as seen from the link's; None: the same one."""
    disable_policy: bool
    rp_filter: int
    master: int
    """Index of the link it is enslaved to, 0 for none."""
    table: int
    """Routing table of its VRF, main in none."""
    link_local: bool
    sysctls: Sysctls

    @property
    def ours(self) -> bool:
        """Whether the link carries our mark."""
        return self.group == LINK_GROUP

    def link(self, netns: str, own_nsid: int | None, vrf: str = "") -> Link:
        """Return the link as the other rooms know it; `vrf` is its master's name.

        `own_nsid` is the id of vtid's own namespace as seen from the link's, as `netnsid`.
        """
        return Link(
            netns=netns,
            name=self.name,
            kind=self.kind,
            local=self.local,
            remote=self.remote,
            ikey=self.ikey,
            okey=self.okey,
            mtu=self.mtu,
            alias=self.alias,
            up=self.up,
            disable_policy=self.disable_policy,
            rp_filter=self.rp_filter,
            outer_netns_ok=self.netnsid == own_nsid,
            if_id=self.if_id,
            vrf=vrf,
            table=self.table,
            link_local=self.link_local,
            sysctls=self.sysctls,
        )


# --- reading -------------------------------------------------------------------------------------


def split(data: bytes) -> Iterator[Message]:
    """Messages of a datagram, in order; raises `MessageError` where one is cut."""
    offset, size = 0, len(data)
    while offset < size:
        if offset + _HEADER.size > size:
            raise MessageError("message header is cut")
        length, kind, flags, seq, _ = _HEADER.unpack_from(data, offset)
        end = offset + length
        if length < _HEADER.size or end > size:
            raise MessageError(f"message of {length} bytes in {size - offset}")
        yield Message(kind, flags, seq, data, offset + _HEADER.size, end)
        offset += (length + 3) & ~3


def read_error(message: Message) -> tuple[int, str]:
    """Error number (0: acknowledged) and the kernel's words from an NLMSG_ERROR."""
    data, start, end = message.data, message.start, message.end
    number = -_number(data, (start, end), _S32)
    if not message.flags & NLM_F_ACK_TLVS:
        return number, ""
    # the request's header follows; its payload does not, with NETLINK_CAP_ACK
    found = _attributes(data, start + 4 + _HEADER.size, end)
    return number, _text(data, found.get(NLMSGERR_ATTR_MSG))


def read_link(message: Message) -> LinkInfo:
    """RTM_NEWLINK, and RTM_DELLINK as far as it goes."""
    data = message.data
    _, _, ifindex, flags, _ = _unpack(_LINK, message)
    found = _attributes(data, message.start + _LINK.size, message.end)
    info = _nested(data, found.get(IFLA_LINKINFO))
    kind = _text(data, info.get(IFLA_INFO_KIND))
    vti = _nested(data, info.get(IFLA_INFO_DATA)) if kind in VTI_KINDS else {}
    xfrm = _nested(data, info.get(IFLA_INFO_DATA)) if kind == XFRM_KIND else {}
    families = _nested(data, found.get(IFLA_AF_SPEC))
    conf = _nested(data, families.get(AF_INET)).get(IFLA_INET_CONF)
    inet6 = _nested(data, families.get(AF_INET6))
    netnsid = found.get(IFLA_LINK_NETNSID)
    return LinkInfo(
        ifindex=ifindex,
        name=_text(data, found.get(IFLA_IFNAME)),
        kind=kind,
        group=_number(data, found.get(IFLA_GROUP), _U32),
        mtu=_number(data, found.get(IFLA_MTU), _U32),
        up=bool(flags & IFF_UP),
        running=bool(flags & IFF_RUNNING),
        alias=_text(data, found.get(IFLA_IFALIAS)),
        local=_ip(data, vti.get(IFLA_VTI_LOCAL)),
        remote=_ip(data, vti.get(IFLA_VTI_REMOTE)),
        ikey=_number(data, vti.get(IFLA_VTI_IKEY), _BE32),
        okey=_number(data, vti.get(IFLA_VTI_OKEY), _BE32),
        if_id=_number(data, xfrm.get(IFLA_XFRM_IF_ID), _U32),
        netnsid=None if netnsid is None else _number(data, netnsid, _S32),
        disable_policy=bool(_conf(data, conf, IPV4_DEVCONF_NOPOLICY)),
        rp_filter=_conf(data, conf, IPV4_DEVCONF_RP_FILTER),
        master=_number(data, found.get(IFLA_MASTER), _U32),
        table=_table(data, info),
        link_local=_link_local(data, inet6.get(IFLA_INET6_ADDR_GEN_MODE)),
        sysctls=_sysctls(_bytes(data, conf), _bytes(data, inet6.get(IFLA_INET6_CONF))),
    )


def _table(data: bytes, info: dict[int, _Span]) -> int:
    if _text(data, info.get(IFLA_INFO_SLAVE_KIND)) != VRF_KIND:
        return MAIN_TABLE
    slave = _nested(data, info.get(IFLA_INFO_SLAVE_DATA))
    return _number(data, slave.get(IFLA_VRF_PORT_TABLE), _U32)


def _link_local(data: bytes, mode: _Span | None) -> bool:
    return mode is not None and _number(data, mode, _U8) != IN6_ADDR_GEN_MODE_NONE


@lru_cache(maxsize=1 << 10)
def _sysctls(ipv4: bytes, ipv6: bytes) -> Sysctls:
    """All settings; most links have the same ones, so that they are read once."""
    four = ((f"ipv4.{name}", _setting(ipv4, number - 1)) for name, number in IPV4.items())
    six = ((f"ipv6.{name}", _setting(ipv6, number)) for name, number in IPV6.items())
    return tuple(sorted((name, value) for name, value in (*four, *six) if value is not None))


def _setting(conf: bytes, place: int) -> int | None:
    """Return one of an array of settings; an older kernel's is shorter."""
    end = (place + 1) * _S32.size
    return None if end > len(conf) else int(_S32.unpack_from(conf, end - _S32.size)[0])


class AddressInfo(NamedTuple):
    """What RTM_NEWADDR and RTM_DELADDR say of an address."""

    ifindex: int
    text: str
    """With prefix length, and with the peer where there is one: `10.0.0.1 peer 10.0.0.2/32`."""
    ours: bool


def read_address(message: Message) -> AddressInfo:
    """RTM_NEWADDR and RTM_DELADDR."""
    data = message.data
    _, length, _, _, ifindex = _unpack(_ADDRESS, message)
    found = _attributes(data, message.start + _ADDRESS.size, message.end)
    # IFA_ADDRESS is the other end's where there is a peer, IFA_LOCAL always ours
    address = _ip(data, found.get(IFA_ADDRESS))
    local = _ip(data, found.get(IFA_LOCAL)) or address
    if not local:
        raise MessageError("address without an address")
    peer = f" peer {address}" if address and address != local else ""
    ours = _number(data, found.get(IFA_PROTO), _U8) == PROTOCOL
    return AddressInfo(ifindex, f"{local}{peer}/{length}", ours)


_ANY_IPV4, _ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - the prefix of a default route


class RouteInfo(NamedTuple):
    """What RTM_NEWROUTE and RTM_DELROUTE say of a route."""

    cached: bool
    interfaces: frozenset[int]
    """Indexes of the interfaces that it leads to."""
    ours: Route | None
    """The route, if it carries our mark."""


def read_route(message: Message) -> RouteInfo:
    """RTM_NEWROUTE and RTM_DELROUTE."""
    data = message.data
    family, length, _, _, table, protocol, _, _, flags = _unpack(_ROUTE, message)
    found = _attributes(data, message.start + _ROUTE.size, message.end)
    if RTA_OIF in found:
        interfaces = frozenset({_number(data, found[RTA_OIF], _S32)})
    else:
        interfaces = frozenset(_nexthops(data, *found.get(RTA_MULTIPATH, (0, 0))))
    ours = None
    if protocol == PROTOCOL:
        to = _ip(data, found.get(RTA_DST)) or (_ANY_IPV6 if family == AF_INET6 else _ANY_IPV4)
        metric = _number(data, found.get(RTA_PRIORITY), _U32)
        number = _number(data, found.get(RTA_TABLE), _U32) or table
        ours = Route(to=f"{to}/{length}", metric=metric, table=number)
    return RouteInfo(bool(flags & RTM_F_CLONED), interfaces, ours)


def is_our_route(message: Message) -> bool:
    """Whether a route carries our mark; quicker than reading it."""
    return _unpack(_ROUTE, message)[5] == PROTOCOL


def read_stats(message: Message) -> tuple[int, LinkCounters]:
    """Interface index and counters of an RTM_NEWSTATS with IFLA_STATS_LINK_64."""
    data = message.data
    _, ifindex, _ = _unpack(_STATS, message)
    found = _attributes(data, message.start + _STATS.size, message.end)
    start, end = found.get(IFLA_STATS_LINK_64, (0, 0))
    if end - start < _LINK_STATS.size:
        raise MessageError("statistics are cut")
    numbers = _LINK_STATS.unpack_from(data, start)
    rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors = numbers
    return ifindex, LinkCounters(
        rx_bytes=rx_bytes,
        tx_bytes=tx_bytes,
        rx_packets=rx_packets,
        tx_packets=tx_packets,
        rx_errors=rx_errors,
        tx_errors=tx_errors,
    )


def _unpack(form: struct.Struct, message: Message) -> tuple[int, ...]:
    if message.end - message.start < form.size:
        raise MessageError("message body is cut")
    return form.unpack_from(message.data, message.start)


def _attributes(data: bytes, offset: int, end: int) -> dict[int, _Span]:
    found = {}
    unpack, head = _ATTRIBUTE.unpack_from, _ATTRIBUTE.size
    while offset + head <= end:
        length, kind = unpack(data, offset)
        if length < head or offset + length > end:
            raise MessageError(f"attribute of {length} bytes in {end - offset}")
        found[kind & NLA_TYPE_MASK] = (offset + head, offset + length)
        offset += (length + 3) & ~3
    return found


def _nested(data: bytes, span: _Span | None) -> dict[int, _Span]:
    return _attributes(data, *span) if span else {}


def _number(data: bytes, span: _Span | None, form: struct.Struct) -> int:
    if span is None:
        return 0
    if span[1] - span[0] < form.size:
        raise MessageError("number is cut")
    number: int = form.unpack_from(data, span[0])[0]
    return number


def _text(data: bytes, span: _Span | None) -> str:
    """Text without its end mark; bytes that do not print become `?`, for logs and terminals."""
    if span is None:
        return ""
    text = data[span[0] : span[1]].rstrip(b"\0").decode("utf-8", "replace")
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _ip(data: bytes, span: _Span | None) -> str:
    return _ip_text(data[span[0] : span[1]]) if span else ""


@lru_cache(maxsize=1 << 15)
def _ip_text(packed: bytes) -> str:
    try:
        return str(ipaddress.ip_address(packed))
    except ValueError as error:
        raise MessageError(f"address of {len(packed)} bytes") from error


def _bytes(data: bytes, span: _Span | None) -> bytes:
    return data[span[0] : span[1]] if span else b""


def _conf(data: bytes, span: _Span | None, which: int) -> int:
    """One of the IPv4 settings; the kernel dumps them as an array that starts with number 1."""
    if span is None:
        return 0
    start = span[0] + (which - 1) * 4
    return _number(data, (start, span[1]), _S32)


def _nexthops(data: bytes, offset: int, end: int) -> Iterator[int]:
    while offset + _NEXTHOP.size <= end:
        length, _, _, ifindex = _NEXTHOP.unpack_from(data, offset)
        if length < _NEXTHOP.size:
            raise MessageError(f"next hop of {length} bytes")
        yield ifindex
        offset += (length + 3) & ~3


# --- writing -------------------------------------------------------------------------------------


class Request(NamedTuple):
    """A request; whoever sends it gives it a sequence number."""

    kind: int
    flags: int
    body: bytes

    def encode(self, seq: int) -> bytes:
        """Return the message as sent to the kernel."""
        head = _HEADER.pack(
            _HEADER.size + len(self.body), self.kind, self.flags | NLM_F_REQUEST, seq, 0
        )
        return head + self.body


DUMP_LINKS = Request(
    RTM_GETLINK,
    NLM_F_DUMP,
    _LINK.pack(0, 0, 0, 0, 0)
    + _ATTRIBUTE.pack(8, IFLA_EXT_MASK)
    + _U32.pack(RTEXT_FILTER_SKIP_STATS),
)
DUMP_ADDRESSES = Request(RTM_GETADDR, NLM_F_DUMP, _ADDRESS.pack(0, 0, 0, 0, 0))
DUMP_ROUTES = tuple(
    Request(RTM_GETROUTE, NLM_F_DUMP, _ROUTE.pack(family, 0, 0, 0, 0, PROTOCOL, 0, 0, 0))
    for family in (AF_INET, AF_INET6)
)
"""Ours alone: a kernel that is asked strictly (NETLINK_GET_STRICT_CHK) selects by protocol."""
DUMP_STATS = Request(RTM_GETSTATS, NLM_F_DUMP, _STATS.pack(0, 0, 1 << (IFLA_STATS_LINK_64 - 1)))


def get_link(ifindex: int = 0, name: str = "") -> Request:
    """Ask for one link, by index or by name; ENODEV where there is none."""
    mask = _attribute(IFLA_EXT_MASK, _U32.pack(RTEXT_FILTER_SKIP_STATS))
    named = _string(IFLA_IFNAME, name) if name else b""
    return Request(RTM_GETLINK, 0, _LINK.pack(0, 0, ifindex, 0, 0) + named + mask)


def new_link(link: Link, own_nsid: int | None) -> Request:
    """Create a link, down, with what RTM_NEWLINK heeds at creation: not the alias nor settings.

    Linux 6.1 ignores IFLA_IFALIAS here and refuses IFLA_AF_SPEC with EAFNOSUPPORT: `set_link`
    follows. `own_nsid` is the id of the outer side's namespace; None where it is the link's own.
    """
    outer = b"" if own_nsid is None else _attribute(IFLA_LINK_NETNSID, _S32.pack(own_nsid))
    body = (
        _LINK.pack(0, 0, 0, 0, 0)
        + _string(IFLA_IFNAME, link.name)
        + _attribute(IFLA_MTU, _U32.pack(link.mtu))
        + _attribute(IFLA_GROUP, _U32.pack(LINK_GROUP))
        + outer
        + _linkinfo(link)
    )
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, body)


_DATA = frozenset({"local", "remote", "ikey", "okey", "if_id"})
_SETTINGS = {"disable_policy": IPV4_DEVCONF_NOPOLICY, "rp_filter": IPV4_DEVCONF_RP_FILTER}


def set_link(ifindex: int, link: Link, changes: frozenset[str], master: int = 0) -> Request:
    """Change the named fields of a link in place, as one message; IPv6 settings it cannot.

    `master` is the index of the link's VRF, 0 for none.

    RTM_NEWLINK without NLM_F_CREATE: RTM_SETLINK acknowledges IFLA_INFO_DATA and ignores it. With
    new data goes the MTU: vti6 computes its own (vti6_link_config) before IFLA_MTU is heeded.
    """
    body = _LINK.pack(0, 0, ifindex, 0, 0)
    if changes & _DATA or "mtu" in changes:
        body += _attribute(IFLA_MTU, _U32.pack(link.mtu))
    if "alias" in changes:
        body += _string(IFLA_IFALIAS, link.alias)
    if "vrf" in changes:
        body += _attribute(IFLA_MASTER, _U32.pack(master))
    if families := _ipv4_settings(link, changes) + _addrgenmode(link, changes):
        body += _attribute(IFLA_AF_SPEC, families)
    if changes & _DATA:
        body += _linkinfo(link)
    return Request(RTM_NEWLINK, NLM_F_ACK, body)


def _ipv4_settings(link: Link, changes: frozenset[str]) -> bytes:
    values = {
        number: int(getattr(link, name)) for name, number in _SETTINGS.items() if name in changes
    }
    for name, value in link.sysctls if "sysctls" in changes else ():
        family, _, key = name.partition(".")
        if family == "ipv4":
            values[IPV4[key]] = value
    conf = b"".join(_attribute(number, _S32.pack(value)) for number, value in values.items())
    return _attribute(AF_INET, _attribute(IFLA_INET_CONF, conf)) if conf else b""


def _addrgenmode(link: Link, changes: frozenset[str]) -> bytes:
    if "link_local" not in changes:
        return b""
    mode = IN6_ADDR_GEN_MODE_EUI64 if link.link_local else IN6_ADDR_GEN_MODE_NONE
    return _attribute(AF_INET6, _attribute(IFLA_INET6_ADDR_GEN_MODE, _U8.pack(mode)))


def set_up(ifindex: int, *, up: bool) -> Request:
    """Set or clear IFF_UP."""
    return Request(RTM_SETLINK, NLM_F_ACK, _LINK.pack(0, 0, ifindex, IFF_UP if up else 0, IFF_UP))


def delete_link(ifindex: int) -> Request:
    """Delete a link by its index."""
    return Request(RTM_DELLINK, NLM_F_ACK, _LINK.pack(0, 0, ifindex, 0, 0))


def new_address(ifindex: int, address: str) -> Request:
    """Add an address, as `AddressInfo.text` has it; IPv6 without duplicate address detection."""
    return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, _address(ifindex, address))


def delete_address(ifindex: int, address: str) -> Request:
    """Remove an address, as `AddressInfo.text` has it."""
    return Request(RTM_DELADDR, NLM_F_ACK, _address(ifindex, address))


def _address(ifindex: int, text: str) -> bytes:
    prefix = ipaddress.ip_interface(text.rpartition(" ")[2])
    local = ipaddress.ip_address(text.partition(" ")[0].partition("/")[0])
    ipv6 = prefix.version == 6  # noqa: PLR2004 - the protocol's number
    return (
        _ADDRESS.pack(
            AF_INET6 if ipv6 else AF_INET,
            prefix.network.prefixlen,
            IFA_F_NODAD if ipv6 else 0,
            0,
            ifindex,
        )
        + _attribute(IFA_LOCAL, local.packed)
        + _attribute(IFA_ADDRESS, prefix.ip.packed)
        + _attribute(IFA_PROTO, _U8.pack(PROTOCOL))
    )


def new_route(ifindex: int, route: Route) -> Request:
    """Add a route through a link; its table has to be a number."""
    return Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, _route(ifindex, route))


def delete_route(ifindex: int, route: Route) -> Request:
    """Remove a route of ours through a link; its table has to be a number."""
    return Request(RTM_DELROUTE, NLM_F_ACK, _route(ifindex, route))


def _route(ifindex: int, route: Route) -> bytes:
    to = ipaddress.ip_network(route.to)
    family, scope = (AF_INET, RT_SCOPE_LINK) if to.version == 4 else (AF_INET6, 0)  # noqa: PLR2004 - the protocol's number
    return (
        _ROUTE.pack(family, to.prefixlen, 0, 0, 0, PROTOCOL, scope, RTN_UNICAST, 0)
        + _attribute(RTA_DST, to.network_address.packed)
        + _attribute(RTA_OIF, _U32.pack(ifindex))
        + _attribute(RTA_PRIORITY, _U32.pack(route.metric))
        + _attribute(RTA_TABLE, _U32.pack(route.table))
    )


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def _string(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _linkinfo(link: Link) -> bytes:
    """Kind and all of its data: the kernel takes what is missing for zero."""
    data = _xfrm_data(link) if link.kind == XFRM_KIND else _vti_data(link)
    kind = _attribute(IFLA_INFO_KIND, link.kind.encode() + b"\0")
    return _attribute(IFLA_LINKINFO, kind + _attribute(IFLA_INFO_DATA, data))


def _xfrm_data(link: Link) -> bytes:
    return _attribute(IFLA_XFRM_IF_ID, _U32.pack(link.if_id))


def _vti_data(link: Link) -> bytes:
    return (
        _attribute(IFLA_VTI_IKEY, _BE32.pack(link.ikey))
        + _attribute(IFLA_VTI_OKEY, _BE32.pack(link.okey))
        + _attribute(IFLA_VTI_LOCAL, ipaddress.ip_address(link.local).packed)
        + _attribute(IFLA_VTI_REMOTE, ipaddress.ip_address(link.remote).packed)
    )
