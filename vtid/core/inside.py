"""What comes with an interface: routes and settings that a policy asks for. Pure.

Rules of this file:

* Traffic selectors are the negotiated ones, so that routes follow a narrowing: those of all SAs
  of the tunnel together. Protocols and ports in them do not count: a route has none.
* A peer chooses selectors within what swanctl.conf lets it have, often all there is. So a default
  route, also one in parts, comes from them only where the policy names a table or a VRF; the main
  table gets none to the peer itself, whose ESP it would lead into the tunnel; and there is a limit.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from itertools import chain, islice
from typing import TYPE_CHECKING

from vtid.config_inside import REMOTE_TS
from vtid.config_types import family_of
from vtid.model import MAIN_TABLE, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vtid.config import Tunnel
    from vtid.config_inside import RouteKeys
    from vtid.model import ChildSa

_METRIC = {"ipv4": 0, "ipv6": 1024}
"""What the kernel gives a route without one (linux/ipv6_route.h, IP6_RT_PRIO_USER)."""

SELECTED_MAX = 256
"""Prefixes of traffic selectors that become routes: a CHILD_SA can have 255 selectors (RFC 7296),
a range of addresses is up to 254 prefixes, and nothing limits how many CHILD_SAs a peer sets up."""

_DEFAULT_SIZE = {4: 1 << 31, 6: 1 << 124}
"""Addresses that amount to a default route: half of all, in IPv6 half of 2000::/3."""


def routes(policy: Tunnel, sas: Sequence[ChildSa]) -> tuple[tuple[Route, ...], str]:
    """Return the routes that a policy asks for while these SAs are up.

    And, in words, why traffic selectors have none; empty where each has its route.
    """
    asks = any(keys.to == REMOTE_TS for keys in policy.routes)
    selected = _selected(sas) if asks else []
    found: dict[Route, None] = {}
    why: dict[str, None] = {}
    if len(selected) > SELECTED_MAX:
        why[f"only the first {SELECTED_MAX} prefixes of the traffic selectors have a route"] = None
    for keys in policy.routes:
        refused = _refused(selected, policy, sas) if _is_main(keys, policy) else {}
        found |= dict.fromkeys(_of(keys, selected[:SELECTED_MAX], refused))
        why |= dict.fromkeys(_words(refused))
    return tuple(found), "; ".join(why)


def _selected(sas: Iterable[ChildSa]) -> list[str]:
    """Return the prefixes of the traffic selectors, one more than may be where there are more."""
    selectors = dict.fromkeys(ts for sa in sas for ts in sa.remote_ts)
    all_prefixes = chain.from_iterable(map(prefixes, selectors))
    found = sorted(set(islice(all_prefixes, SELECTED_MAX)))
    return [*found, *islice(all_prefixes, 1)]


def _of(keys: RouteKeys, selected: Iterable[str], refused: Iterable[str]) -> Iterator[Route]:
    for to in selected if keys.to == REMOTE_TS else (keys.to,):
        if keys.to != REMOTE_TS or to not in refused:
            metric = _METRIC[family_of(to)] if keys.metric is None else keys.metric
            yield Route(to=to, metric=metric, table=keys.table or 0)


def _is_main(keys: RouteKeys, policy: Tunnel) -> bool:
    """Whether selectors of the peer's choice would get into the main table."""
    table = keys.table or (0 if policy.vrf else MAIN_TABLE)
    return keys.to == REMOTE_TS and table == MAIN_TABLE


def _refused(selected: Iterable[str], policy: Tunnel, sas: Iterable[ChildSa]) -> dict[str, str]:
    """Return the prefixes that the main table does not get, each with the reason."""
    outside = {ipaddress.ip_address(sa.remote_host) for sa in sas} if not policy.netns else set()
    nets = {text: ipaddress.ip_network(text) for text in selected}
    parts = set(_parts_of_default(nets.values()))
    refused = {}
    for text, net in nets.items():
        if net in parts:
            refused[text] = "a default route needs a `table` or a `vrf` of its own"
        elif here := [str(host) for host in outside if host in net]:
            refused[text] = f"the peer itself is there, {here[0]}"
    return refused


_Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def _parts_of_default(nets: Iterable[_Net]) -> Iterator[_Net]:
    by_version: dict[int, list[_Net]] = defaultdict(list)
    for net in nets:
        if net.prefixlen:
            by_version[net.version].append(net)
        else:
            yield net
    for version, mine in by_version.items():
        if sum(net.num_addresses for net in _collapsed(mine)) >= _DEFAULT_SIZE[version]:
            yield from mine


def _collapsed(nets: Iterable[_Net]) -> Iterator[_Net]:
    """Bring networks of one version together, so that no address is in two."""
    return ipaddress.collapse_addresses(nets)  # type: ignore[type-var]


def _words(refused: dict[str, str]) -> Iterator[str]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for text, reason in refused.items():
        by_reason[reason].append(text)
    for reason, texts in by_reason.items():
        more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
        yield f"no route to the traffic selector {texts[0]}{more}: {reason}"


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
