"""Requests that dump and change links, addresses and routes. Pure."""

from __future__ import annotations

import ipaddress

from vtid.kernel import wire as nl
from vtid.kernel.kinds import KINDS
from vtid.kernel.wire import Request
from vtid.model.link import LINK_GROUP, PROTOCOL, Link, Route
from vtid.model.sysctls import IPV4

DUMP_LINKS = Request(
    nl.RTM_GETLINK,
    nl.NLM_F_DUMP,
    nl.LINK.pack(0, 0, 0, 0, 0)
    + nl.ATTRIBUTE.pack(8, nl.IFLA_EXT_MASK)
    + nl.U32.pack(nl.RTEXT_FILTER_SKIP_STATS),
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


def get_link(ifindex: int = 0, name: str = "") -> Request:
    """Ask for one link, by index or by name; ENODEV where there is none."""
    mask = nl.attribute(nl.IFLA_EXT_MASK, nl.U32.pack(nl.RTEXT_FILTER_SKIP_STATS))
    named = nl.string(nl.IFLA_IFNAME, name) if name else b""
    return Request(nl.RTM_GETLINK, 0, nl.LINK.pack(0, 0, ifindex, 0, 0) + named + mask)


def new_link(link: Link, own_nsid: int | None) -> Request:
    """Create a link, down, with what RTM_NEWLINK accepts at creation: neither alias nor settings.

    Linux 6.1 ignores IFLA_IFALIAS here and refuses IFLA_AF_SPEC with EAFNOSUPPORT: `set_link`
    follows. `own_nsid` is the id of the outer side's namespace; None where it is the link's own.
    """
    outer = b"" if own_nsid is None else nl.attribute(nl.IFLA_LINK_NETNSID, nl.S32.pack(own_nsid))
    body = (
        nl.LINK.pack(0, 0, 0, 0, 0)
        + nl.string(nl.IFLA_IFNAME, link.name)
        + nl.attribute(nl.IFLA_MTU, nl.U32.pack(link.mtu))
        + nl.attribute(nl.IFLA_GROUP, nl.U32.pack(LINK_GROUP))
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
        body += nl.attribute(nl.IFLA_MTU, nl.U32.pack(link.mtu))
    if "alias" in changes:
        body += nl.string(nl.IFLA_IFALIAS, link.alias)
    if "vrf" in changes:
        body += nl.attribute(nl.IFLA_MASTER, nl.U32.pack(master))
    if families := _ipv4_settings(link, changes) + _addrgenmode(link, changes):
        body += nl.attribute(nl.IFLA_AF_SPEC, families)
    if changes & _DATA:
        body += _linkinfo(link)
    return Request(nl.RTM_NEWLINK, nl.NLM_F_ACK, body)


def _ipv4_settings(link: Link, changes: frozenset[str]) -> bytes:
    values = {
        number: int(getattr(link, name)) for name, number in _SETTINGS.items() if name in changes
    }
    for name, value in link.sysctls if "sysctls" in changes else ():
        family, _, key = name.partition(".")
        if family == "ipv4":
            values[IPV4[key]] = value
    conf = b"".join(nl.attribute(number, nl.S32.pack(value)) for number, value in values.items())
    return nl.attribute(nl.AF_INET, nl.attribute(nl.IFLA_INET_CONF, conf)) if conf else b""


def _addrgenmode(link: Link, changes: frozenset[str]) -> bytes:
    if "link_local" not in changes:
        return b""
    mode = nl.IN6_ADDR_GEN_MODE_EUI64 if link.link_local else nl.IN6_ADDR_GEN_MODE_NONE
    return nl.attribute(nl.AF_INET6, nl.attribute(nl.IFLA_INET6_ADDR_GEN_MODE, nl.U8.pack(mode)))


def set_mtu(ifindex: int, mtu: int) -> Request:
    """Set the MTU of a link."""
    body = nl.LINK.pack(0, 0, ifindex, 0, 0) + nl.attribute(nl.IFLA_MTU, nl.U32.pack(mtu))
    return Request(nl.RTM_SETLINK, nl.NLM_F_ACK, body)


def set_group(ifindex: int, group: int) -> Request:
    """Put a link into a group."""
    body = nl.LINK.pack(0, 0, ifindex, 0, 0) + nl.attribute(nl.IFLA_GROUP, nl.U32.pack(group))
    return Request(nl.RTM_SETLINK, nl.NLM_F_ACK, body)


def set_owner(ifindex: int, group: int, alias: str) -> Request:
    """Put a link into a group and give it an alias, as one message."""
    body = (
        nl.LINK.pack(0, 0, ifindex, 0, 0)
        + nl.attribute(nl.IFLA_GROUP, nl.U32.pack(group))
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
    body = nl.LINK.pack(0, 0, 0, 0, 0) + nl.attribute(nl.IFLA_GROUP, nl.U32.pack(group))
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
        body += nl.attribute(nl.RTA_IIF, nl.U32.pack(nl.LOOPBACK_IFINDEX))
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
    prefix = ipaddress.ip_interface(text.rpartition(" ")[2])
    local = ipaddress.ip_address(text.partition(" ")[0].partition("/")[0])
    ipv6 = prefix.version == 6  # noqa: PLR2004 - the protocol's number
    return (
        nl.ADDRESS.pack(
            nl.AF_INET6 if ipv6 else nl.AF_INET,
            prefix.network.prefixlen,
            nl.IFA_F_NODAD if ipv6 else 0,
            0,
            ifindex,
        )
        + nl.attribute(nl.IFA_LOCAL, local.packed)
        + nl.attribute(nl.IFA_ADDRESS, prefix.ip.packed)
        + nl.attribute(nl.IFA_PROTO, nl.U8.pack(PROTOCOL))
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
    return Request(
        nl.RTM_GETROUTE, nl.NLM_F_DUMP, body + nl.attribute(nl.RTA_OIF, nl.U32.pack(ifindex))
    )


def delete_route(ifindex: int, route: Route) -> Request:
    """Remove a route of ours through a link; its table has to be a number."""
    return Request(nl.RTM_DELROUTE, nl.NLM_F_ACK, _route(ifindex, route))


def _route(ifindex: int, route: Route) -> bytes:
    to = ipaddress.ip_network(route.to)
    family, scope = (nl.AF_INET, nl.RT_SCOPE_LINK) if to.version == 4 else (nl.AF_INET6, 0)  # noqa: PLR2004 - the protocol's number
    return (
        nl.ROUTE.pack(family, to.prefixlen, 0, 0, 0, PROTOCOL, scope, nl.RTN_UNICAST, 0)
        + nl.attribute(nl.RTA_DST, to.network_address.packed)
        + nl.attribute(nl.RTA_OIF, nl.U32.pack(ifindex))
        + nl.attribute(nl.RTA_PRIORITY, nl.U32.pack(route.metric))
        + nl.attribute(nl.RTA_TABLE, nl.U32.pack(route.table))
    )


def _linkinfo(link: Link) -> bytes:
    """Kind and all of its data: the kernel takes what is missing for zero."""
    kind = nl.attribute(nl.IFLA_INFO_KIND, link.kind.encode() + b"\0")
    data = nl.attribute(nl.IFLA_INFO_DATA, KINDS[link.kind].pack(link))
    return nl.attribute(nl.IFLA_LINKINFO, kind + data)
