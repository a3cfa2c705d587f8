"""Selectors: the prefixes of the peers' traffic selectors that may become routes. Pure.

Rules of this file:

* The negotiated remote traffic selectors of all SAs count, so routes follow a narrowing. Protocols
  and ports are ignored: a route has none.
* A peer chooses its selectors within what swanctl.conf allows, often everything. Their number is
  limited, and two methods tell what the main table must not get: a default route, whole or in
  parts, and a route to a peer itself, which would lead its ESP into the tunnel.
* One peer's default route in parts takes no route from another peer on the same interface.
* What a peer changes costs what this peer has, however many peers there are. It is counted when it
  is asked for: many SAs that come together cost once.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from vtid.core.hosts import Hosts, Networks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.core.hosts import Network
    from vtid.model.sa import ChildSa

SELECTED_MAX = 256
"""Prefixes of a peer's traffic selectors that become routes: a CHILD_SA can have 255 selectors (RFC
7296), a range of addresses is up to 254 prefixes, and nothing limits a peer's CHILD_SAs."""

_DEFAULT_SIZE = {4: 1 << 31, 6: 1 << 124}
"""Addresses that count as a default route: half of all, for IPv6 half of 2000::/3."""

_CACHED = 8192
"""Prefixes in the cache, for interfaces that many peers share."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """What one peer's selectors come to."""

    prefixes: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    """Those of them that are a default route, or make one together."""
    exceeds: bool = False
    """There are more than `SELECTED_MAX`."""


_NONE = _Offer()


class Selectors:
    """The prefixes of all peers, counted."""

    def __init__(self) -> None:
        self._touched: dict[str, None] = {}
        self._changed: dict[tuple[str, str], None] = {}
        """Peers whose SAs changed since `take_touched` was called."""
        self._sas: dict[tuple[str, str], dict[int, ChildSa]] = defaultdict(dict)
        self._offers: dict[tuple[str, str], _Offer] = {}
        self._peers: Counter[str] = Counter()
        """Peers that have a prefix."""
        self._whole: Counter[str] = Counter()
        """Peers that have a prefix which is no part of a default route to them."""
        self._exceeding = 0
        self._hosts, self._networks = Hosts(), Networks()

    def __contains__(self, prefix: str) -> bool:
        return prefix in self._peers

    @property
    def exceeded(self) -> bool:
        """Whether any peer has more prefixes than become routes."""
        return self._exceeding > 0

    def part_of_default(self, prefix: str) -> str:
        """Return why a prefix of peers is a default route to each, or a part of one; else empty."""
        return (
            "" if self._whole[prefix] else "a default route needs a `table` or a `vrf` of its own"
        )

    def around_a_peer(self, prefix: str) -> str:
        """Return which peer a prefix leads to, outside the tunnel; empty if to none."""
        host = self._hosts.inside(_net(prefix))
        return f"the peer itself is there, {host}" if host else ""

    def join(self, sa: ChildSa) -> None:
        """Count an SA that is not counted yet."""
        self._sas[_peer(sa)][sa.unique_id] = sa
        if self._hosts.add(sa.remote_host):
            self._touch(self._networks.around(sa.remote_host))
        self._changed[_peer(sa)] = None

    def leave(self, sa: ChildSa) -> None:
        """Count an SA no longer."""
        del self._sas[_peer(sa)][sa.unique_id]
        if self._hosts.remove(sa.remote_host):
            self._touch(self._networks.around(sa.remote_host))
        self._changed[_peer(sa)] = None

    def take_touched(self) -> Iterable[str]:
        """Return the prefixes that came, went, or may be refused now, since the last time."""
        changed, self._changed = self._changed, {}
        for peer in changed:
            self._offer(peer)
        touched, self._touched = self._touched, {}
        return touched

    def _offer(self, peer: tuple[str, str]) -> None:
        """Count what the SAs of a peer come to now, in place of what they came to before."""
        before, after = self._offers.get(peer, _NONE), _offer_of(self._sas[peer].values())
        self._offers[peer] = after
        if not self._sas[peer]:
            del self._sas[peer], self._offers[peer]
        if before != after:
            self._exceeding += after.exceeds - before.exceeds
            self._count(self._whole, before.prefixes - before.parts, after.prefixes - after.parts)
            self._count(self._peers, before.prefixes, after.prefixes)

    def _count(self, counter: Counter[str], before: frozenset[str], after: frozenset[str]) -> None:
        for prefix in sorted(after - before):
            counter[prefix] += 1
            if counter is self._peers and counter[prefix] == 1:
                self._networks.add(prefix, _net(prefix))
        for prefix in sorted(before - after):
            counter[prefix] -= 1
            if not counter[prefix]:
                del counter[prefix]
                if counter is self._peers:
                    self._networks.remove(_net(prefix))
        self._touch(sorted(before ^ after))

    def _touch(self, prefixes: Iterable[str]) -> None:
        self._touched |= dict.fromkeys(prefixes)


def _peer(sa: ChildSa) -> tuple[str, str]:
    return sa.connection, sa.remote_id


def _offer_of(sas: Iterable[ChildSa]) -> _Offer:
    """Return what SAs come to; a rekey moves nothing, and of too many prefixes not all are read."""
    in_order = sorted(sas, key=lambda sa: (sa.child, sa.remote_ts))
    found: dict[str, None] = {}
    for selector in dict.fromkeys(chain.from_iterable(sa.remote_ts for sa in in_order)):
        for prefix in prefixes(selector):
            if len(found) == SELECTED_MAX and prefix not in found:
                return _offered(found, exceeds=True)
            found[prefix] = None
    return _offered(found, exceeds=False)


def _offered(found: Iterable[str], *, exceeds: bool) -> _Offer:
    parts = frozenset(map(str, _parts_of_default(map(_net, found))))
    return _Offer(frozenset(found), parts, exceeds)


def _parts_of_default(nets: Iterable[Network]) -> Iterator[Network]:
    by_version: dict[int, list[Network]] = defaultdict(list)
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


def _collapsed(nets: Iterable[Network]) -> Iterator[Network]:
    """Merge networks of one version so that they do not overlap."""
    return ipaddress.collapse_addresses(nets)  # type: ignore[type-var]


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


@lru_cache(_CACHED)
def _net(prefix: str) -> Network:
    return ipaddress.ip_network(prefix)
