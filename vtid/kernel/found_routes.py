"""Found routes: what RTM_NEWROUTE says of a route that somebody else made. Pure.

Rules of this file:

* What is `unlike` nothing differs from a route of vtid's by its mark alone: adopting it changes no
  packet.
* The kernel's own routes, which come and go with links and addresses, count as nobody's.
"""

from __future__ import annotations

from vtid.kernel import wire as nl
from vtid.kernel.messages import identity_of_route
from vtid.model.link import PROTOCOL
from vtid.model.present import FoundRoute

_BY_HAND = frozenset({nl.RTPROT_UNSPEC, nl.RTPROT_BOOT, nl.RTPROT_STATIC})
"""Protocols of a route that a person or a script made: no routing daemon, and not the kernel."""

_PLAIN = frozenset(
    {nl.RTA_DST, nl.RTA_OIF, nl.RTA_PRIORITY, nl.RTA_TABLE, nl.RTA_CACHEINFO, nl.RTA_PREF}
)
"""Attributes of a route as vtid adds one."""

_NAMED = {
    nl.RTA_MULTIPATH: "several next hops",
    nl.RTA_GATEWAY: "a gateway",
    nl.RTA_VIA: "a gateway",
    nl.RTA_PREFSRC: "a source address (`src`)",
    nl.RTA_METRICS: "an `mtu` or other metrics",
}


def read_found_route(message: nl.Message) -> FoundRoute | None:
    """Return a route that somebody made, None for one of the kernel's own."""
    family, length, source, tos, table, protocol, scope, kind, _ = nl.unpack(nl.ROUTE, message)
    if protocol == nl.RTPROT_KERNEL or table == nl.RT_TABLE_LOCAL:
        return None
    found = nl.attributes(message.data, message.start + nl.ROUTE.size, message.end)
    usual = nl.RT_SCOPE_LINK if family == nl.AF_INET else 0
    unlike = [words for number, words in _NAMED.items() if number in found]
    if not unlike and not found.keys() <= _PLAIN:
        unlike = ["an attribute that vtid's routes have not"]
    elif not unlike and (source, tos, scope, kind) != (0, 0, usual, nl.RTN_UNICAST):
        unlike = ["another type, scope, source or TOS than vtid's"]
    route = identity_of_route(message.data, found, family, length, table)
    ours = protocol == PROTOCOL
    daemon = not ours and protocol not in _BY_HAND
    return FoundRoute(route, ours, daemon, " and ".join(dict.fromkeys(unlike)))
