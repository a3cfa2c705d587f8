"""rtnetlink on the wire: numbers, messages and attributes, to read and to build. Pure.

Rules of this file:

* It knows the encoding only: links, addresses and routes are read in `messages` and written in
  `requests`.
* A malformed or truncated message raises `MessageError`, nothing else.
* Attributes are indexed by offset and only those wanted are read: the cost of a dump is here. A
  link has forty of them, of which few are wanted (`pick`), or one (`find`).

Layout (RFC 3549, linux/netlink.h): a datagram holds messages, a message is a 16-byte header, a
fixed body and attributes, each with a 4-byte header and padded to 4 bytes. Numbers are in host
order, VTI keys and addresses in network order, interface IDs in host order.
"""

from __future__ import annotations

import ipaddress
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/netlink.h
NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
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
RTM_NEWNETCONF = 80
RTM_DELNETCONF = 81
RTM_GETNETCONF = 82
RTM_NEWSTATS = 92
RTM_GETSTATS = 94
RTEXT_FILTER_SKIP_STATS = 1 << 3
RTM_F_CLONED = 0x200
RTA_DST = 1
RTA_SRC = 2
RTA_IIF = 3
RTA_OIF = 4
RTA_GATEWAY = 5
RTA_PRIORITY = 6
RTA_PREFSRC = 7
RTA_METRICS = 8
RTA_MULTIPATH = 9
RTA_CACHEINFO = 12
RTA_TABLE = 15
RTA_VIA = 18
RTA_PREF = 20
LOOPBACK_IFINDEX = 1
"""include/net/flow.h: the loopback interface of every namespace."""
RTPROT_UNSPEC = 0
RTPROT_KERNEL = 2
RTPROT_BOOT = 3
RTPROT_STATIC = 4
RTAX_MTU = 2
RTN_UNICAST = 1
RTN_LOCAL = 2
RTN_ANYCAST = 4
RTN_MULTICAST = 5
RT_SCOPE_LINK = 253
RT_TABLE_LOCAL = 255

# linux/if_link.h, linux/if.h, linux/if_addr.h, linux/netconf.h
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_MASTER = 10
IFLA_LINKINFO = 18
IFLA_IFALIAS = 20
IFLA_STATS64 = 23
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
NETCONFA_IFINDEX = 1
NETCONFA_RP_FILTER = 3
NETCONFA_IFINDEX_ALL = -1
IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_RT_PRIORITY = 9
IFA_PROTO = 11
IFA_F_NODAD = 0x02
IFF_UP = 0x1
IFF_RUNNING = 0x40
AF_INET = 2
AF_INET6 = 10

NLA_TYPE_MASK = 0x3FFF

VRF_KIND = "vrf"
"""The kind that a link is enslaved to for its routing table."""

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
LINK = struct.Struct("=BxHiII")
ADDRESS = struct.Struct("=BBBBI")
ROUTE = struct.Struct("=BBBBBBBBI")
NEXTHOP = struct.Struct("=HBBi")
NETCONF = struct.Struct("=B3x")
CACHEINFO = struct.Struct("=8xi")
"""Of `rta_cacheinfo`, when an entry expires."""
STATS = struct.Struct("=B3xII")
LINK_STATS = struct.Struct("=8Q72xQ")
U8 = struct.Struct("=B")
U32 = struct.Struct("=I")
U32_ATTRIBUTE = struct.Struct("=HHI")
S32 = struct.Struct("=i")
BE32 = struct.Struct("!I")

Span = tuple[int, int]


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


# --- reading --------------------------------------------------------------------------------------


def split(data: bytes) -> Iterator[Message]:
    """Messages of a datagram, in order; raises `MessageError` where one is cut."""
    offset, size = 0, len(data)
    while offset < size:
        if offset + HEADER.size > size:
            raise MessageError("message header is cut")
        length, kind, flags, seq, _ = HEADER.unpack_from(data, offset)
        end = offset + length
        if length < HEADER.size or end > size:
            raise MessageError(f"message of {length} bytes in {size - offset}")
        yield Message(kind, flags, seq, data, offset + HEADER.size, end)
        offset += (length + 3) & ~3


def unpack(form: struct.Struct, message: Message) -> tuple[int, ...]:
    """Read the fixed body of a message."""
    if message.end - message.start < form.size:
        raise MessageError("message body is cut")
    return form.unpack_from(message.data, message.start)


def attributes(data: bytes, offset: int, end: int) -> dict[int, Span]:
    """Index attributes by their type; a type that is there twice counts as it is last."""
    found = {}
    unpack, head = ATTRIBUTE.unpack_from, ATTRIBUTE.size
    while offset + head <= end:
        length, kind = unpack(data, offset)
        if length < head or offset + length > end:
            raise MessageError(f"attribute of {length} bytes in {end - offset}")
        found[kind & NLA_TYPE_MASK] = (offset + head, offset + length)
        offset += (length + 3) & ~3
    return found


def pick(data: bytes, offset: int, end: int, wanted: frozenset[int]) -> dict[int, Span]:
    """Index attributes of the wanted types: `attributes`, without the others."""
    found = {}
    unpack, head = ATTRIBUTE.unpack_from, ATTRIBUTE.size
    last = end - head
    while offset <= last:
        length, kind = unpack(data, offset)
        after = offset + length
        if length < head or after > end:
            raise MessageError(f"attribute of {length} bytes in {end - offset}")
        kind &= NLA_TYPE_MASK
        if kind in wanted:
            found[kind] = (offset + head, after)
        offset += (length + 3) & ~3
    return found


def find(data: bytes, offset: int, end: int, wanted: int) -> Span | None:
    """Return the first attribute of a type; what follows it is not looked at."""
    unpack, head = ATTRIBUTE.unpack_from, ATTRIBUTE.size
    last = end - head
    while offset <= last:
        length, kind = unpack(data, offset)
        after = offset + length
        if length < head or after > end:
            raise MessageError(f"attribute of {length} bytes in {end - offset}")
        if kind & NLA_TYPE_MASK == wanted:
            return offset + head, after
        offset += (length + 3) & ~3
    return None


def nested(data: bytes, span: Span | None) -> dict[int, Span]:
    """Index the attributes inside an attribute, none in one that is missing."""
    return attributes(data, *span) if span else {}


def number(data: bytes, span: Span | None, form: struct.Struct) -> int:
    """Read a number, 0 from an attribute that is missing."""
    if span is None:
        return 0
    if span[1] - span[0] < form.size:
        raise MessageError("number is cut")
    number: int = form.unpack_from(data, span[0])[0]
    return number


def text(data: bytes, span: Span | None) -> str:
    """Text without its end mark; bytes that do not print become `?`, for logs and terminals."""
    return _text(data[span[0] : span[1]]) if span else ""


@lru_cache(maxsize=1024)
def _text(value: bytes) -> str:
    text = value.rstrip(b"\0").decode("utf-8", "replace")
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def ip(data: bytes, span: Span | None) -> str:
    """Read an address as text, empty from an attribute that is missing."""
    return _ip_text(data[span[0] : span[1]]) if span else ""


@lru_cache(maxsize=1 << 12)
def _ip_text(packed: bytes) -> str:
    try:
        return str(ipaddress.ip_address(packed))
    except ValueError as error:
        raise MessageError(f"address of {len(packed)} bytes") from error


def raw(data: bytes, span: Span | None) -> bytes:
    """Return the bytes of an attribute."""
    return data[span[0] : span[1]] if span else b""


# --- building -------------------------------------------------------------------------------------


class Request(NamedTuple):
    """A request; whoever sends it gives it a sequence number."""

    kind: int
    flags: int
    body: bytes

    def encode(self, seq: int, *, quiet: bool = False) -> bytes:
        """Return the message as sent to the kernel; `quiet` asks for no acknowledgement."""
        flags = (self.flags & ~NLM_F_ACK if quiet else self.flags) | NLM_F_REQUEST
        return HEADER.pack(HEADER.size + len(self.body), self.kind, flags, seq, 0) + self.body


def attribute(kind: int, value: bytes) -> bytes:
    """Build an attribute, padded."""
    return ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def u32(kind: int, value: int) -> bytes:
    """Build an attribute with a number."""
    return U32_ATTRIBUTE.pack(8, kind, value)


@lru_cache(maxsize=1 << 12)
def packed(address: str) -> bytes:
    """Return an address as in an attribute."""
    return parsed(address)


def parsed(address: str) -> bytes:
    """Do as `packed`, for an address that is not asked for again."""
    kind = ipaddress.IPv6Address if ":" in address else ipaddress.IPv4Address
    return kind(address).packed


def string(kind: int, text: str) -> bytes:
    """Build an attribute with text and its end mark."""
    return attribute(kind, text.encode() + b"\0")
