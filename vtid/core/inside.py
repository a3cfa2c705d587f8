"""What comes with an interface: routes and settings that a policy asks for. Pure.

Rules of this file:

* Traffic selectors are the negotiated ones, so that routes follow a narrowing: those of all SAs
  of the tunnel together. Protocols and ports in them do not count: a route has none.
* A default route comes from traffic selectors only where the policy names a table or a VRF:
  0.0.0.0/0 is what most route-based tunnels negotiate, and must not take over the main table.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from vtid.config_inside import REMOTE_TS
from vtid.config_types import family_of
from vtid.model import MAIN_TABLE, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.config import Tunnel
    from vtid.config_inside import RouteKeys
    from vtid.model import ChildSa

_METRIC = {"ipv4": 0, "ipv6": 1024}
"""What the kernel gives a route without one (linux/ipv6_route.h, IP6_RT_PRIO_USER)."""


def routes(policy: Tunnel, sas: Iterable[ChildSa]) -> tuple[Route, ...]:
    """Return the routes that a policy asks for while these SAs are up."""
    selectors = sorted({prefix for sa in sas for ts in sa.remote_ts for prefix in prefixes(ts)})
    return tuple(
        dict.fromkeys(route for keys in policy.routes for route in _of(keys, policy, selectors))
    )


def _of(keys: RouteKeys, policy: Tunnel, selectors: Iterable[str]) -> Iterator[Route]:
    own_table = bool(policy.vrf) or keys.table not in {None, MAIN_TABLE}
    for to in selectors if keys.to == REMOTE_TS else (keys.to,):
        if keys.to != REMOTE_TS or own_table or not to.endswith("/0"):
            metric = _METRIC[family_of(to)] if keys.metric is None else keys.metric
            yield Route(to=to, metric=metric, table=keys.table or 0)


def prefixes(selector: str) -> tuple[str, ...]:
    """Return the prefixes of a traffic selector, as VICI writes it; none where it has none.

    `10.1.0.0/16`, `10.1.0.0/16[tcp/443]`, `192.0.2.7..192.0.2.9` (strongSwan,
    traffic_selector.c, `traffic_selector_printf_hook`).
    """
    first, _, last = selector.partition("[")[0].partition("..")
    try:
        if not last:
            return (str(ipaddress.ip_network(first, strict=False)),)
        ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
        return tuple(map(str, ipaddress.summarize_address_range(*ends)))
    except (ValueError, TypeError):
        return ()


def needs_link_local(policy: Tunnel) -> bool:
    """Whether anything of a policy speaks IPv6 on the link itself."""
    sessions = (family for bgp in policy.bgp for family in (*bgp.families, family_of(bgp.neighbor)))
    return "ipv6" in {*map(family_of, policy.addresses), *sessions}
