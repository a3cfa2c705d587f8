"""What rtnetlink messages say of links, addresses and routes. Pure.

Rules of this file:

* It covers all but namespace ids, which are asked for with pyroute2.
* A malformed message raises `MessageError`, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from vtid.kernel import kinds
from vtid.kernel import wire as nl
from vtid.model.link import LEAVING_GROUP, MAIN_TABLE, OUR_GROUPS, PROTOCOL, Link, Route
from vtid.model.sysctls import IPV4, IPV6, Sysctls

if TYPE_CHECKING:
    from collections.abc import Iterator


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
        return self.group in OUR_GROUPS

    @property
    def leaving(self) -> bool:
        """Whether the link is ours and on its way out, with others."""
        return self.group == LEAVING_GROUP

    def link(
        self, netns: str, own_nsid: int | None, vrf: str = "", *, strict_all: bool = False
    ) -> Link:
        """Return the link as the model has it; `vrf` is the name of its master.

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
            strict_all=strict_all,
            outer_netns_ok=self.netnsid == own_nsid,
            if_id=self.if_id,
            vrf=vrf,
            table=self.table,
            link_local=self.link_local,
            sysctls=self.sysctls,
        )


_MAX_ERRNO = 4095
"""MAX_ERRNO of linux/err.h; not every number has words."""


def read_error(message: nl.Message) -> tuple[int, str]:
    """Error number (0: acknowledged) and the kernel's words from an NLMSG_ERROR."""
    data, start, end = message.data, message.start, message.end
    number = -nl.number(data, (start, end), nl.S32)
    if not 0 <= number <= _MAX_ERRNO:
        raise nl.MessageError(f"error of number {number}")
    if not message.flags & nl.NLM_F_ACK_TLVS:
        return number, ""
    # the request's header follows; its payload does not, with NETLINK_CAP_ACK
    found = nl.attributes(data, start + 4 + nl.HEADER.size, end)
    return number, nl.text(data, found.get(nl.NLMSGERR_ATTR_MSG))


_OF_MARK = frozenset(
    {nl.IFLA_IFNAME, nl.IFLA_GROUP, nl.IFLA_MTU, nl.IFLA_LINK_NETNSID, nl.IFLA_MASTER}
)
_OF_LINK = _OF_MARK | {nl.IFLA_IFALIAS, nl.IFLA_LINKINFO, nl.IFLA_AF_SPEC}


def read_link(message: nl.Message) -> LinkInfo:
    """RTM_NEWLINK, and RTM_DELLINK as far as it goes."""
    data = message.data
    _, _, ifindex, flags, _ = nl.unpack(nl.LINK, message)
    found = nl.pick(data, message.start + nl.LINK.size, message.end, _OF_LINK)
    kind, fields, table = _of_kind(nl.raw(data, found.get(nl.IFLA_LINKINFO)))
    families = nl.nested(data, found.get(nl.IFLA_AF_SPEC))
    conf = nl.nested(data, families.get(nl.AF_INET)).get(nl.IFLA_INET_CONF)
    inet6 = nl.nested(data, families.get(nl.AF_INET6))
    netnsid = found.get(nl.IFLA_LINK_NETNSID)
    return LinkInfo(
        ifindex=ifindex,
        name=nl.text(data, found.get(nl.IFLA_IFNAME)),
        kind=kind,
        group=nl.number(data, found.get(nl.IFLA_GROUP), nl.U32),
        mtu=nl.number(data, found.get(nl.IFLA_MTU), nl.U32),
        up=bool(flags & nl.IFF_UP),
        running=bool(flags & nl.IFF_RUNNING),
        alias=nl.text(data, found.get(nl.IFLA_IFALIAS)),
        local=fields.local,
        remote=fields.remote,
        ikey=fields.ikey,
        okey=fields.okey,
        if_id=fields.if_id,
        netnsid=None if netnsid is None else nl.number(data, netnsid, nl.S32),
        disable_policy=bool(_conf(data, conf, nl.IPV4_DEVCONF_NOPOLICY)),
        rp_filter=_conf(data, conf, nl.IPV4_DEVCONF_RP_FILTER),
        master=nl.number(data, found.get(nl.IFLA_MASTER), nl.U32),
        table=table,
        link_local=_link_local(data, inet6.get(nl.IFLA_INET6_ADDR_GEN_MODE)),
        sysctls=_sysctls(nl.raw(data, conf), nl.raw(data, inet6.get(nl.IFLA_INET6_CONF))),
    )


class Mark(NamedTuple):
    """As much of a link as has to be known before anything is written to it."""

    ifindex: int
    name: str
    group: int
    mtu: int
    up: bool
    netnsid: int | None
    master: int

    @property
    def ours(self) -> bool:
        """Whether the link carries our mark."""
        return self.group in OUR_GROUPS


def read_mark(message: nl.Message) -> Mark:
    """RTM_NEWLINK, but for what takes time to read."""
    data = message.data
    _, _, ifindex, flags, _ = nl.unpack(nl.LINK, message)
    found = nl.pick(data, message.start + nl.LINK.size, message.end, _OF_MARK)
    netnsid = found.get(nl.IFLA_LINK_NETNSID)
    return Mark(
        ifindex=ifindex,
        name=nl.text(data, found.get(nl.IFLA_IFNAME)),
        group=nl.number(data, found.get(nl.IFLA_GROUP), nl.U32),
        mtu=nl.number(data, found.get(nl.IFLA_MTU), nl.U32),
        up=bool(flags & nl.IFF_UP),
        netnsid=None if netnsid is None else nl.number(data, netnsid, nl.S32),
        master=nl.number(data, found.get(nl.IFLA_MASTER), nl.U32),
    )


def read_ifindex(message: nl.Message) -> int:
    """Index of the link of RTM_NEWLINK and RTM_DELLINK."""
    return nl.unpack(nl.LINK, message)[2]


_LEAVING = nl.u32(nl.IFLA_GROUP, LEAVING_GROUP)


def leaving_ifindex(message: nl.Message) -> int:
    """Index of a link in the group of those that go, 0 for others: for most, without reading it."""
    if message.data.find(_LEAVING, message.start, message.end) < 0:
        return 0
    ifindex = read_ifindex(message)
    group = nl.find(message.data, message.start + nl.LINK.size, message.end, nl.IFLA_GROUP)
    return ifindex if nl.number(message.data, group, nl.U32) == LEAVING_GROUP else 0


@lru_cache(maxsize=1 << 10)
def _of_kind(linkinfo: bytes) -> tuple[str, kinds.Fields, int]:
    """Kind, its fields, and table of the VRF: each link is told again while it is brought up."""
    info = nl.attributes(linkinfo, 0, len(linkinfo))
    kind = nl.text(linkinfo, info.get(nl.IFLA_INFO_KIND))
    fields = kinds.read(kind, linkinfo, info.get(nl.IFLA_INFO_DATA))
    return kind, fields, _table(linkinfo, info)


def _table(data: bytes, info: dict[int, nl.Span]) -> int:
    if nl.text(data, info.get(nl.IFLA_INFO_SLAVE_KIND)) != nl.VRF_KIND:
        return MAIN_TABLE
    slave = nl.nested(data, info.get(nl.IFLA_INFO_SLAVE_DATA))
    return nl.number(data, slave.get(nl.IFLA_VRF_PORT_TABLE), nl.U32)


def _link_local(data: bytes, mode: nl.Span | None) -> bool:
    return mode is not None and nl.number(data, mode, nl.U8) != nl.IN6_ADDR_GEN_MODE_NONE


@lru_cache(maxsize=1 << 10)
def _sysctls(ipv4: bytes, ipv6: bytes) -> Sysctls:
    """All settings; most links have the same ones, so that they are read once."""
    four = ((f"ipv4.{name}", _setting(ipv4, number - 1)) for name, number in IPV4.items())
    six = ((f"ipv6.{name}", _setting(ipv6, number)) for name, number in IPV6.items())
    return tuple(sorted((name, value) for name, value in (*four, *six) if value is not None))


def _setting(conf: bytes, place: int) -> int | None:
    """Return one of an array of settings; an older kernel's is shorter."""
    end = (place + 1) * nl.S32.size
    return None if end > len(conf) else int(nl.S32.unpack_from(conf, end - nl.S32.size)[0])


class AddressInfo(NamedTuple):
    """What RTM_NEWADDR and RTM_DELADDR say of an address."""

    ifindex: int
    text: str
    """With prefix length, and with the peer where there is one: `10.0.0.1 peer 10.0.0.2/32`."""
    ours: bool
    metric: int
    """That of the route that the kernel makes with it, 0 for the usual one."""


def read_address(message: nl.Message) -> AddressInfo:
    """RTM_NEWADDR and RTM_DELADDR."""
    data = message.data
    _, length, _, _, ifindex = nl.unpack(nl.ADDRESS, message)
    found = nl.attributes(data, message.start + nl.ADDRESS.size, message.end)
    # IFA_ADDRESS is the other end's where there is a peer, IFA_LOCAL always ours
    address = nl.ip(data, found.get(nl.IFA_ADDRESS))
    local = nl.ip(data, found.get(nl.IFA_LOCAL)) or address
    if not local:
        raise nl.MessageError("address without an address")
    peer = f" peer {address}" if address and address != local else ""
    ours = nl.number(data, found.get(nl.IFA_PROTO), nl.U8) == PROTOCOL
    text = f"{local}{peer}/{length}"
    if nl.IFA_RT_PRIORITY not in found:
        return AddressInfo(ifindex, text, ours, 0)
    return AddressInfo(ifindex, text, ours, nl.number(data, found[nl.IFA_RT_PRIORITY], nl.U32))


_ANY_IPV4, _ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - the prefix of a default route


class RouteInfo(NamedTuple):
    """What RTM_NEWROUTE and RTM_DELROUTE say of a route."""

    cached: bool
    interfaces: frozenset[int]
    """Indexes of the interfaces that it leads to."""
    ours: Route | None
    """The route, if it carries our mark."""
    replaced: Route | None = None
    """The route in whose place another program's is now, if it is in any's."""


def read_route(message: nl.Message) -> RouteInfo:
    """RTM_NEWROUTE and RTM_DELROUTE."""
    data = message.data
    family, length, _, _, table, protocol, _, _, flags = nl.unpack(nl.ROUTE, message)
    found = nl.attributes(data, message.start + nl.ROUTE.size, message.end)
    if nl.RTA_OIF in found:
        interfaces = frozenset({nl.number(data, found[nl.RTA_OIF], nl.S32)})
    else:
        interfaces = frozenset(_nexthops(data, *found.get(nl.RTA_MULTIPATH, (0, 0))))
    ours = replaced = None
    if protocol == PROTOCOL:
        ours = identity_of_route(data, found, family, length, table)
    elif message.flags & nl.NLM_F_REPLACE:
        replaced = identity_of_route(data, found, family, length, table)
    return RouteInfo(bool(flags & nl.RTM_F_CLONED), interfaces, ours, replaced)


def identity_of_route(
    data: bytes, found: dict[int, nl.Span], family: int, length: int, table: int
) -> Route:
    """Return what tells a route from others, given its message's fields and attributes."""
    to = nl.ip(data, found.get(nl.RTA_DST)) or (_ANY_IPV6 if family == nl.AF_INET6 else _ANY_IPV4)
    metric = nl.number(data, found.get(nl.RTA_PRIORITY), nl.U32)
    number = nl.number(data, found.get(nl.RTA_TABLE), nl.U32) or table
    return Route(to=f"{to}/{length}", metric=metric, table=number)


def concerns_our_routes(message: nl.Message, *, have_routes: bool) -> bool:
    """Whether a route carries our mark or may replace one that we have; quicker than reading it."""
    if have_routes and message.flags & nl.NLM_F_REPLACE:
        return True
    return nl.unpack(nl.ROUTE, message)[5] == PROTOCOL


STRICT = 1
"""An rp_filter: a packet has to come in where its answer would go out (RFC 3704, section 2.2)."""


class Settings(NamedTuple):
    """What RTM_NEWNETCONF says of settings: as an event, of those that changed."""

    ifindex: int
    """Index of the link; `NETCONFA_IFINDEX_ALL` for net.ipv4.conf.all or net.ipv6.conf.all."""
    rp_filter: int | None


def read_netconf(message: nl.Message) -> Settings:
    """RTM_NEWNETCONF."""
    data = message.data
    nl.unpack(nl.NETCONF, message)
    found = nl.attributes(data, message.start + nl.NETCONF.size, message.end)
    rp_filter = found.get(nl.NETCONFA_RP_FILTER)
    return Settings(
        ifindex=nl.number(data, found.get(nl.NETCONFA_IFINDEX), nl.S32),
        rp_filter=None if rp_filter is None else nl.number(data, rp_filter, nl.S32),
    )


def _conf(data: bytes, span: nl.Span | None, which: int) -> int:
    """One of the IPv4 settings; the kernel dumps them as an array that starts with number 1."""
    if span is None:
        return 0
    start = span[0] + (which - 1) * 4
    return nl.number(data, (start, span[1]), nl.S32)


def _nexthops(data: bytes, offset: int, end: int) -> Iterator[int]:
    while offset + nl.NEXTHOP.size <= end:
        length, _, _, ifindex = nl.NEXTHOP.unpack_from(data, offset)
        if length < nl.NEXTHOP.size:
            raise nl.MessageError(f"next hop of {length} bytes")
        yield ifindex
        offset += (length + 3) & ~3
