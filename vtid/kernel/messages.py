"""rtnetlink messages about links, addresses and routes: bytes to values and back.

Rules of this file:

* Pure. It covers what is hot or what pyroute2 has no words for: link events, dumps, counters and
  the requests that create and change links. Addresses, route lookups and namespace ids are asked
  for with pyroute2.
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

from vtid.model import LINK_GROUP, Link, LinkCounters

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
RTM_NEWSTATS = 92
RTM_GETSTATS = 94
RTEXT_FILTER_SKIP_STATS = 1 << 3
RTM_F_CLONED = 0x200
RTA_OIF = 4
RTA_MULTIPATH = 9

# linux/if_link.h, linux/if.h, linux/if_addr.h
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINKINFO = 18
IFLA_IFALIAS = 20
IFLA_AF_SPEC = 26
IFLA_GROUP = 27
IFLA_EXT_MASK = 29
IFLA_LINK_NETNSID = 37
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
IFLA_VTI_IKEY = 2
IFLA_VTI_OKEY = 3
IFLA_VTI_LOCAL = 4
IFLA_VTI_REMOTE = 5
IFLA_XFRM_IF_ID = 2
IFLA_INET_CONF = 1
IPV4_DEVCONF_RP_FILTER = 8
IPV4_DEVCONF_NOPOLICY = 16
IFLA_STATS_LINK_64 = 1
IFA_ADDRESS = 1
IFA_LOCAL = 2
IFF_UP = 0x1
IFF_RUNNING = 0x40
AF_INET = 2
AF_INET6 = 10

NLA_TYPE_MASK = 0x3FFF

VTI_KINDS = {"vti": 4, "vti6": 16}
"""Kinds that IFLA_VTI_* describe, with the length of their outer addresses."""

XFRM_KIND = "xfrm"
"""The kind that IFLA_XFRM_* describe."""

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEXTHOP = struct.Struct("=HBBi")
_STATS = struct.Struct("=B3xII")
_LINK_STATS = struct.Struct("=6Q")
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

    @property
    def ours(self) -> bool:
        """Whether the link carries our mark."""
        return self.group == LINK_GROUP

    def link(self, netns: str, own_nsid: int | None) -> Link:
        """Return the link as the other rooms know it; `own_nsid` is as `netnsid`."""
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
    conf = _inet_conf(data, found.get(IFLA_AF_SPEC))
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
    )


def read_address(message: Message) -> tuple[int, str]:
    """Interface index and address with prefix length of RTM_NEWADDR or RTM_DELADDR."""
    data = message.data
    _, length, _, _, ifindex = _unpack(_ADDRESS, message)
    found = _attributes(data, message.start + _ADDRESS.size, message.end)
    # IFA_ADDRESS is the other end's where there is a peer, IFA_LOCAL always ours
    text = _ip(data, found.get(IFA_LOCAL) or found.get(IFA_ADDRESS))
    if not text:
        raise MessageError("address without an address")
    return ifindex, f"{text}/{length}"


def read_route(message: Message) -> tuple[bool, frozenset[int]]:
    """Whether a route is a cached one, and the indexes of the interfaces it leads to."""
    data = message.data
    cached = bool(_unpack(_ROUTE, message)[-1] & RTM_F_CLONED)
    found = _attributes(data, message.start + _ROUTE.size, message.end)
    if RTA_OIF in found:
        return cached, frozenset({_number(data, found[RTA_OIF], _S32)})
    return cached, frozenset(_nexthops(data, *found.get(RTA_MULTIPATH, (0, 0))))


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


def _inet_conf(data: bytes, span: _Span | None) -> _Span | None:
    inet = _nested(data, span).get(AF_INET)
    return _nested(data, inet).get(IFLA_INET_CONF)


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


def set_link(ifindex: int, link: Link, changes: frozenset[str]) -> Request:
    """Change the named fields of a link in place, as one message.

    RTM_NEWLINK without NLM_F_CREATE: RTM_SETLINK acknowledges IFLA_INFO_DATA and ignores it. With
    new data goes the MTU: vti6 computes its own (vti6_link_config) before IFLA_MTU is heeded.
    """
    body = _LINK.pack(0, 0, ifindex, 0, 0)
    if changes & _DATA or "mtu" in changes:
        body += _attribute(IFLA_MTU, _U32.pack(link.mtu))
    if "alias" in changes:
        body += _string(IFLA_IFALIAS, link.alias)
    settings = b"".join(
        _attribute(number, _U32.pack(int(getattr(link, name))))
        for name, number in _SETTINGS.items()
        if name in changes
    )
    if settings:
        inet = _attribute(AF_INET, _attribute(IFLA_INET_CONF, settings))
        body += _attribute(IFLA_AF_SPEC, inet)
    if changes & _DATA:
        body += _linkinfo(link)
    return Request(RTM_NEWLINK, NLM_F_ACK, body)


def set_up(ifindex: int, *, up: bool) -> Request:
    """Set or clear IFF_UP."""
    return Request(RTM_SETLINK, NLM_F_ACK, _LINK.pack(0, 0, ifindex, IFF_UP if up else 0, IFF_UP))


def delete_link(ifindex: int) -> Request:
    """Delete a link by its index."""
    return Request(RTM_DELLINK, NLM_F_ACK, _LINK.pack(0, 0, ifindex, 0, 0))


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
