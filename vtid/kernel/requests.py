"""Requests that dump and change links, addresses and routes. Pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from vtid.kernel import wire as nl
from vtid.kernel.kinds import KINDS
from vtid.kernel.wire import Request
from vtid.model.link import LINK_GROUP, PROTOCOL, Link, Route
from vtid.model.sysctls import IPV4, Sysctls

DUMP_LINKS = Request(
    nl.RTM_GETLINK,
    nl.NLM_F_DUMP,
    nl.LINK.pack(0, 0, 0, 0, 0) + nl.u32(nl.IFLA_EXT_MASK, nl.RTEXT_FILTER_SKIP_STATS),
)
DUMP_ADDRESSES = Request(nl.RTM_GETADDR, nl.NLM_F_DUMP, nl.ADDRESS.pack(0, 0, 0, 0, 0))
DUMP_ROUTES = tuple(
    Request(nl.RTM_GETROUTE, nl.NLM_F_DUMP, nl.ROUTE.pack(family, 0, 0, 0, 0, PROTOCOL, 0, 0, 0))
    for family in (nl.AF_INET, nl.AF_INET6)
)
"""Ours alone: a kernel that is asked strictly (NETLINK_GET_STRICT_CHK) selects by protocol."""
MARK = Request(nl.NLMSG_NOOP, nl.NLM_F_ACK, b"")
"""Changes nothing and asks for nothing: its acknowledgement is all that follows."""
GET_ALL_SETTINGS = Request(
    nl.RTM_GETNETCONF,
    0,
    nl.NETCONF.pack(nl.AF_INET)
    + nl.attribute(nl.NETCONFA_IFINDEX, nl.S32.pack(nl.NETCONFA_IFINDEX_ALL)),
)
"""net.ipv4.conf.all, as far as netlink has it."""
DUMP_STATS = Request(
    nl.RTM_GETSTATS, nl.NLM_F_DUMP, nl.STATS.pack(0, 0, 1 << (nl.IFLA_STATS_LINK_64 - 1))
)


_NO_STATS = nl.u32(nl.IFLA_EXT_MASK, nl.RTEXT_FILTER_SKIP_STATS)
_OURS = nl.u32(nl.IFLA_GROUP, LINK_GROUP)
_BY_US = nl.attribute(nl.IFA_PROTO, nl.U8.pack(PROTOCOL))


def get_link(ifindex: int = 0, name: str = "") -> Request:
    """Ask for one link, by index or by name; ENODEV where there is none."""
    named = nl.string(nl.IFLA_IFNAME, name) if name else b""
    return Request(nl.RTM_GETLINK, 0, nl.LINK.pack(0, 0, ifindex, 0, 0) + named + _NO_STATS)


def new_link(link: Link, own_nsid: int | None) -> Request:
    """Create a link, down, with what RTM_NEWLINK accepts at creation: neither alias nor settings.

    Linux 6.1 ignores IFLA_IFALIAS here and refuses IFLA_AF_SPEC with EAFNOSUPPORT: `set_link`
    follows. `own_nsid` is the id of the outer side's namespace; None where it is the link's own.
    """
    outer = b"" if own_nsid is None else nl.attribute(nl.IFLA_LINK_NETNSID, nl.S32.pack(own_nsid))
    body = (
        nl.LINK.pack(0, 0, 0, 0, 0)
        + nl.string(nl.IFLA_IFNAME, link.name)
        + nl.u32(nl.IFLA_MTU, link.mtu)
        + _OURS
        + outer
        + _linkinfo(link)
    )
    return Request(nl.RTM_NEWLINK, nl.NLM_F_CREATE | nl.NLM_F_EXCL | nl.NLM_F_ACK, body)


_DATA = frozenset({"local", "remote", "ikey", "okey", "if_id"})
_SETTINGS = {"disable_policy": nl.IPV4_DEVCONF_NOPOLICY, "rp_filter": nl.IPV4_DEVCONF_RP_FILTER}


def set_link(ifindex: int, link: Link, changes: frozenset[str], master: int = 0) -> Request:
    """Change the named fields of a link in place, as one message; IPv6 sysctls excepted.

    `master` is the index of the link's VRF, 0 for none.

    RTM_NEWLINK without NLM_F_CREATE: RTM_SETLINK acknowledges IFLA_INFO_DATA and ignores it. With
    new data goes the MTU: vti6 computes its own (vti6_link_config) before it applies IFLA_MTU.
    """
    body = nl.LINK.pack(0, 0, ifindex, 0, 0)
    if changes & _DATA or "mtu" in changes:
        body += nl.u32(nl.IFLA_MTU, link.mtu)
    if "alias" in changes:
        body += nl.string(nl.IFLA_IFALIAS, link.alias)
    if "vrf" in changes:
        body += nl.u32(nl.IFLA_MASTER, master)
    body += _families(
        changes & _OF_FAMILIES, link.disable_policy, link.rp_filter, link.link_local, link.sysctls
    )
    if changes & _DATA:
        body += _linkinfo(link)
    return Request(nl.RTM_NEWLINK, nl.NLM_F_ACK, body)


_OF_FAMILIES = frozenset({*_SETTINGS, "sysctls", "link_local"})


@lru_cache(maxsize=64)
def _families(
    changes: frozenset[str],
    disable_policy: bool,  # noqa: FBT001 - a field's value
    rp_filter: int,
    link_local: bool,  # noqa: FBT001 - the same
    sysctls: Sysctls,
) -> bytes:
    """Return IFLA_AF_SPEC with the named settings: nearly all links have the same."""
    families = b""
    values = {"disable_policy": int(disable_policy), "rp_filter": rp_filter}
    numbers = {_SETTINGS[name]: values[name] for name in _SETTINGS if name in changes}
    for name, value in sysctls if "sysctls" in changes else ():
        family, _, key = name.partition(".")
        if family == "ipv4":
            numbers[IPV4[key]] = value
    if conf := b"".join(nl.attribute(each, nl.S32.pack(value)) for each, value in numbers.items()):
        families += nl.attribute(nl.AF_INET, nl.attribute(nl.IFLA_INET_CONF, conf))
    if "link_local" in changes:
        mode = nl.IN6_ADDR_GEN_MODE_EUI64 if link_local else nl.IN6_ADDR_GEN_MODE_NONE
        generation = nl.attribute(nl.IFLA_INET6_ADDR_GEN_MODE, nl.U8.pack(mode))
        families += nl.attribute(nl.AF_INET6, generation)
    return nl.attribute(nl.IFLA_AF_SPEC, families) if families else b""


def set_mtu(ifindex: int, mtu: int) -> Request:
    """Set the MTU of a link."""
    body = nl.LINK.pack(0, 0, ifindex, 0, 0) + nl.u32(nl.IFLA_MTU, mtu)
    return Request(nl.RTM_SETLINK, nl.NLM_F_ACK, body)


def set_group(ifindex: int, group: int) -> Request:
    """Put a link into a group."""
    body = nl.LINK.pack(0, 0, ifindex, 0, 0) + nl.u32(nl.IFLA_GROUP, group)
    return Request(nl.RTM_SETLINK, nl.NLM_F_ACK, body)


def set_owner(ifindex: int, group: int, alias: str) -> Request:
    """Put a link into a group and give it an alias, as one message."""
    body = (
        nl.LINK.pack(0, 0, ifindex, 0, 0)
        + nl.u32(nl.IFLA_GROUP, group)
        + nl.string(nl.IFLA_IFALIAS, alias)
    )
    return Request(nl.RTM_NEWLINK, nl.NLM_F_ACK, body)


def set_up(ifindex: int, *, up: bool) -> Request:
    """Set or clear IFF_UP."""
    return Request(
        nl.RTM_SETLINK, nl.NLM_F_ACK, nl.LINK.pack(0, 0, ifindex, nl.IFF_UP if up else 0, nl.IFF_UP)
    )


def delete_link(ifindex: int) -> Request:
    """Delete a link by its index."""
    return Request(nl.RTM_DELLINK, nl.NLM_F_ACK, nl.LINK.pack(0, 0, ifindex, 0, 0))


def delete_group(group: int) -> Request:
    """Delete all links of a group, at the price of one: the kernel waits for RCU once."""
    body = nl.LINK.pack(0, 0, 0, 0, 0) + nl.u32(nl.IFLA_GROUP, group)
    return Request(nl.RTM_DELLINK, nl.NLM_F_ACK, body)


def get_route(local: str, remote: str) -> Request:
    """Look up the route of a packet; an error where there is none.

    With IPv6, as if it came in by the loopback interface. The route is the same, but for link-local
    addresses, and so are the rules, for which `iif lo` means a packet of this host (ip-rule(8)).
    Else the answer names a source address, for which the kernel looks at all interfaces
    (`rt6_fill_node`, `ipv6_dev_get_saddr`): a millisecond with some thousand tunnels.
    """
    to, source = nl.packed(remote), nl.packed(local)
    family = nl.AF_INET6 if ":" in remote else nl.AF_INET
    bits = 8 * len(to)
    body = (
        nl.ROUTE.pack(family, bits, bits, 0, 0, 0, 0, 0, 0)
        + nl.attribute(nl.RTA_DST, to)
        + nl.attribute(nl.RTA_SRC, source)
    )
    if family == nl.AF_INET6 and not _is_link_local(to):
        body += nl.u32(nl.RTA_IIF, nl.LOOPBACK_IFINDEX)
    return Request(nl.RTM_GETROUTE, 0, body)


def _is_link_local(packed: bytes) -> bool:
    """Whether an IPv6 address is in fe80::/10 (RFC 4291, section 2.4)."""
    return b"\xfe\x80" <= packed < b"\xfe\xc0"


def addresses_of(ifindex: int) -> Request:
    """Dump the addresses of an interface; the kernel selects them, as it is asked strictly."""
    return Request(nl.RTM_GETADDR, nl.NLM_F_DUMP, nl.ADDRESS.pack(0, 0, 0, 0, ifindex))


def new_address(ifindex: int, address: str) -> Request:
    """Add an address, as `AddressInfo.text` has it; IPv6 without duplicate address detection."""
    return Request(
        nl.RTM_NEWADDR, nl.NLM_F_CREATE | nl.NLM_F_EXCL | nl.NLM_F_ACK, _address(ifindex, address)
    )


def mark_address(ifindex: int, address: str) -> Request:
    """Give an address that is there our protocol number, in place.

    Linux 6.1 does so with IPv6 addresses only, and leaves IPv4's as they are.
    """
    return Request(nl.RTM_NEWADDR, nl.NLM_F_REPLACE | nl.NLM_F_ACK, _address(ifindex, address))


def delete_address(ifindex: int, address: str) -> Request:
    """Remove an address, as `AddressInfo.text` has it."""
    return Request(nl.RTM_DELADDR, nl.NLM_F_ACK, _address(ifindex, address))


def _address(ifindex: int, text: str) -> bytes:
    address, _, bits = text.rpartition(" ")[2].partition("/")
    packed = nl.parsed(address)
    ipv6 = len(packed) == 16  # noqa: PLR2004 - bytes of an IPv6 address
    peer = " " in text
    local = nl.parsed(text.partition(" ")[0]) if peer else packed
    return (
        nl.ADDRESS.pack(
            nl.AF_INET6 if ipv6 else nl.AF_INET,
            int(bits or 8 * len(packed)),
            nl.IFA_F_NODAD if ipv6 else 0,
            0,
            ifindex,
        )
        + nl.attribute(nl.IFA_LOCAL, local)
        + nl.attribute(nl.IFA_ADDRESS, packed)
        + _BY_US
    )


def new_route(ifindex: int, route: Route) -> Request:
    """Add a route through a link; its table has to be a number."""
    return Request(
        nl.RTM_NEWROUTE, nl.NLM_F_CREATE | nl.NLM_F_EXCL | nl.NLM_F_ACK, _route(ifindex, route)
    )


def mark_route(ifindex: int, route: Route) -> Request:
    """Put a route of ours in the place of the one that equals it; its table has to be a number."""
    return Request(nl.RTM_NEWROUTE, nl.NLM_F_REPLACE | nl.NLM_F_ACK, _route(ifindex, route))


def routes_through(ifindex: int, family: int) -> Request:
    """Dump the routes of a family that lead through a link, whoever made them."""
    body = nl.ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    return Request(nl.RTM_GETROUTE, nl.NLM_F_DUMP, body + nl.u32(nl.RTA_OIF, ifindex))


def delete_route(ifindex: int, route: Route) -> Request:
    """Remove a route of ours through a link; its table has to be a number."""
    return Request(nl.RTM_DELROUTE, nl.NLM_F_ACK, _route(ifindex, route))


def _route(ifindex: int, route: Route) -> bytes:
    to = ipaddress.ip_network(route.to)
    family, scope = (nl.AF_INET, nl.RT_SCOPE_LINK) if to.version == 4 else (nl.AF_INET6, 0)  # noqa: PLR2004 - the protocol's number
    return (
        nl.ROUTE.pack(family, to.prefixlen, 0, 0, 0, PROTOCOL, scope, nl.RTN_UNICAST, 0)
        + nl.attribute(nl.RTA_DST, to.network_address.packed)
        + nl.u32(nl.RTA_OIF, ifindex)
        + nl.u32(nl.RTA_PRIORITY, route.metric)
        + nl.u32(nl.RTA_TABLE, route.table)
    )


def _linkinfo(link: Link) -> bytes:
    """Kind and all of its data: the kernel takes what is missing for zero."""
    kind = nl.attribute(nl.IFLA_INFO_KIND, link.kind.encode() + b"\0")
    data = nl.attribute(nl.IFLA_INFO_DATA, KINDS[link.kind].pack(link))
    return nl.attribute(nl.IFLA_LINKINFO, kind + data)
