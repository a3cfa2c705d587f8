"""Routes: the routes of an interface, from the policy and the traffic selectors. Pure.

Rules of this file:

* The negotiated remote traffic selectors of all SAs of the tunnel count, so routes follow a
  narrowing. Protocols and ports are ignored: a route has none.
* A peer chooses its selectors within what swanctl.conf allows, often everything. So selectors never
  make a default route in the main table, whole or in parts; the policy must name a table or a VRF
  for that. Nor do they make a route to the peer itself there, which would lead its ESP into the
  tunnel. Their number is limited.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING

from vtid.config.interface import REMOTE_TS
from vtid.config.types import family_of
from vtid.model.link import MAIN_TABLE, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vtid.config.interface import RouteKeys
    from vtid.config.keys import Policy
    from vtid.model.sa import ChildSa

_METRIC = {"ipv4": 0, "ipv6": 1024}
"""The kernel's metric of a route without one (linux/ipv6_route.h, IP6_RT_PRIO_USER)."""

SELECTED_MAX = 256
"""Prefixes of a peer's traffic selectors that become routes: a CHILD_SA can have 255 selectors (RFC
7296), a range of addresses is up to 254 prefixes, and nothing limits a peer's CHILD_SAs."""

_CACHED = 8192
"""Parsed addresses and prefixes in the cache, for interfaces that many peers share."""

_DEFAULT_SIZE = {4: 1 << 31, 6: 1 << 124}
"""Addresses that count as a default route: half of all, for IPv6 half of 2000::/3."""


def routes(policy: Policy, sas: Sequence[ChildSa]) -> tuple[tuple[Route, ...], str]:
    """Return the routes for a policy and its SAs, and why some traffic selectors have none.

    The second value is empty if each selector has its route.
    """
    asks = any(keys.to == REMOTE_TS for keys in policy.routes)
    of_peers, more = _selected(sas) if asks else ([], False)
    selected = sorted(set().union(*of_peers))
    found: dict[Route, None] = {}
    why: dict[str, None] = {}
    if more:
        why[f"only the first {SELECTED_MAX} prefixes of the traffic selectors have a route"] = None
    for keys in policy.routes:
        refused = _refused(of_peers, policy, sas) if _is_main(keys, policy) else {}
        found |= dict.fromkeys(_of(keys, selected, refused))
        why |= dict.fromkeys(_words(refused))
    return tuple(found), "; ".join(why)


def _selected(sas: Iterable[ChildSa]) -> tuple[list[set[str]], bool]:
    """Return the prefixes of each peer's selectors, and whether any peer exceeds the limit."""
    of_peer: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for sa in sas:
        of_peer[sa.connection, sa.remote_id].update(dict.fromkeys(sa.remote_ts))
    found, more = list[set[str]](), False
    for selectors in of_peer.values():
        all_prefixes = chain.from_iterable(map(prefixes, selectors))
        found.append(set(islice(all_prefixes, SELECTED_MAX)))
        more |= next(all_prefixes, None) is not None
    return found, more


def _of(keys: RouteKeys, selected: Iterable[str], refused: Iterable[str]) -> Iterator[Route]:
    for to in selected if keys.to == REMOTE_TS else (keys.to,):
        if keys.to != REMOTE_TS or to not in refused:
            metric = _METRIC[family_of(to)] if keys.metric is None else keys.metric
            yield Route(to=to, metric=metric, table=keys.table or 0)


def _is_main(keys: RouteKeys, policy: Policy) -> bool:
    """Whether routes from selectors would go to the main table."""
    table = keys.table or (0 if policy.vrf else MAIN_TABLE)
    return keys.to == REMOTE_TS and table == MAIN_TABLE


def _refused(
    of_peers: Sequence[set[str]], policy: Policy, sas: Iterable[ChildSa]
) -> dict[str, str]:
    """Return the prefixes that the main table must not get, each with the reason.

    One peer's default route in parts takes no route from another peer on the same interface.
    """
    parts, others = set[_Net](), set[_Net]()
    for texts in of_peers:
        mine = set(map(_net, texts))
        too_much = set(_parts_of_default(mine))
        parts |= too_much
        others |= mine - too_much
    parts -= others
    nets = {text: _net(text) for text in sorted(set().union(*of_peers))}
    need = "a default route needs a `table` or a `vrf` of its own"
    refused = {text: need for text, net in nets.items() if net in parts} if parts else {}
    outside = (sa.remote_host for sa in sas) if not policy.netns else ()
    for text, host in _with_a_host(nets, outside):
        refused.setdefault(text, f"the peer itself is there, {host}")
    return refused


def _with_a_host(nets: Mapping[str, _Net], hosts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the networks that contain a host, with the host; linear in the number of both."""
    texts = {
        (net.version, net.prefixlen, int(net.network_address)): text for text, net in nets.items()
    }
    sizes = {(version, length) for version, length, _ in texts}
    for host in hosts:
        number, of_host = _number(host)
        for version, length in sizes:
            rest = _BITS[version] - length
            key = (version, length, number >> rest << rest)
            if version == of_host and key in texts:
                yield texts[key], host


_BITS = {4: 32, 6: 128}


@lru_cache(_CACHED)
def _number(host: str) -> tuple[int, int]:
    address = ipaddress.ip_address(host)
    return int(address), address.version


@lru_cache(_CACHED)
def _net(prefix: str) -> _Net:
    return ipaddress.ip_network(prefix)


_Net = ipaddress.IPv4Network | ipaddress.IPv6Network


def _parts_of_default(nets: Iterable[_Net]) -> Iterator[_Net]:
    by_version: dict[int, list[_Net]] = defaultdict(list)
    for net in nets:
        if net.prefixlen:
            by_version[net.version].append(net)
        else:
            yield net
    for version, mine in by_version.items():
        if sum(net.num_addresses for net in mine) < _DEFAULT_SIZE[version]:
            continue
        if sum(net.num_addresses for net in _collapsed(mine)) >= _DEFAULT_SIZE[version]:
            yield from mine


def _collapsed(nets: Iterable[_Net]) -> Iterator[_Net]:
    """Merge networks of one version so that they do not overlap."""
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
            return (_prefix(first),)
        ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
        return tuple(map(str, ipaddress.summarize_address_range(*ends)))
    except (ValueError, TypeError):
        return ()


@lru_cache(_CACHED)
def _prefix(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


def needs_link_local(policy: Policy) -> bool:
    """Whether a policy needs IPv6 on the link: an address, a neighbour or a BGP family."""
    sessions = (family for bgp in policy.bgp for family in (*bgp.families, family_of(bgp.neighbor)))
    return "ipv6" in {*map(family_of, policy.addresses), *sessions}
