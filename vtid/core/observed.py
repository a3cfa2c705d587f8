"""Observations: links, addresses, MSS elements and BIRD blocks that exist now. Pure.

Rules of this file:

* What the kernel has is known from its messages (`LinkSeen`, …), never assumed from an operation.
  nftables and BIRD send no echo: there, a successful operation counts.
* A snapshot replaces everything that was known of its subject.
* A link whose outer side is in another namespace belongs to another vtid and is ignored.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from vtid.core.since import Kind
from vtid.model.bgp import BirdBlock
from vtid.model.input import (
    AddressGone,
    AddressSeen,
    BirdSnapshot,
    ClampSnapshot,
    LinkGone,
    LinkSeen,
    LinkSnapshot,
    NetnsLost,
    RouteGone,
    RouteSeen,
    RoutesSeen,
)
from vtid.model.link import Observed
from vtid.model.operation import DeleteBird, DeleteClamp, Op, PutBird, SetClamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.core.since import Since
    from vtid.core.tally import Tallies
    from vtid.core.tunnels import Tunnel, Tunnels
    from vtid.model.counts import LinkCounters
    from vtid.model.link import Clamp

T = TypeVar("T")


class Observations:
    """Files what exists with the tunnel it belongs to."""

    def __init__(self, tunnels: Tunnels, since: Since, tallies: Tallies) -> None:
        self.netns_errors: dict[str, str] = {}
        self._tunnels = tunnels
        self._since = since
        self._tallies = tallies
        self._listed: set[str] = set()
        """Namespaces whose links were listed at least once."""
        self._links_known: set[str] = set()
        self._clamps_known: set[str] = set()
        self._by_ifindex: dict[str, dict[int, str]] = defaultdict(dict)
        """Name of the tunnel of a link, by namespace and index."""

    def knows(self, netns: str) -> bool:
        """Whether links and MSS elements of a namespace have been listed."""
        return netns in self._links_known and netns in self._clamps_known

    @property
    def known(self) -> tuple[str, ...]:
        """Namespaces whose links and MSS elements have been listed."""
        return tuple(sorted(self._links_known & self._clamps_known))

    # --- links and addresses ------------------------------------------------------------------

    def link(self, event: LinkSeen) -> None:
        """File a link."""
        netns, ifindex = event.link.netns, event.ifindex
        if not event.link.outer_netns_ok:
            self._forget_link(netns, ifindex)
            return
        tunnel = self._tunnels.get_or_add(netns, event.link.name)
        before = self._tunnel_of(netns, ifindex)
        if before is None:
            self._tallies.begin((netns, ifindex), event.counters)
        self._by_ifindex[netns][ifindex] = tunnel.name
        addresses = tunnel.observed.addresses
        if tunnel.observed.ifindex != ifindex:
            addresses = self._take_over(tunnel, before, ifindex)
        tunnel.routes.use_table(event.link.table)
        had = tunnel.observed
        seen = Observed(event.link, ifindex, addresses, had.clamp, had.birds)
        self._tunnels.observe(tunnel, seen)

    def _take_over(self, tunnel: Tunnel, before: Tunnel | None, ifindex: int) -> frozenset[str]:
        """File the routes of a link that is new to a tunnel, and return its addresses.

        A renamed one keeps what it had `before`; the tunnel of its old name has none now.
        """
        if before is None or before.observed.ifindex != ifindex:
            tunnel.routes.see_only(())
            return frozenset()
        addresses = before.observed.addresses
        tunnel.our_addresses |= before.our_addresses & addresses
        tunnel.routes.see_only(before.routes.there)
        self._lose_link(before)
        return addresses

    def link_gone(self, event: LinkGone) -> None:
        """File that a link is gone."""
        self._forget_link(event.netns, event.ifindex, event.counters)

    def _forget_link(self, netns: str, ifindex: int, last: LinkCounters | None = None) -> None:
        tunnel = self._tunnels.get(self._by_ifindex[netns].pop(ifindex, None))
        self._tallies.gone((netns, ifindex), last, tunnel.tally if tunnel else None)
        if tunnel and tunnel.observed.ifindex == ifindex:
            self._lose_link(tunnel)

    def _lose_link(self, tunnel: Tunnel) -> None:
        tunnel.routes.see_only(())
        bare = Observed(clamp=tunnel.observed.clamp, birds=tunnel.observed.birds)
        self._tunnels.observe(tunnel, bare)

    def traffic(self, netns: str, read: Iterable[tuple[int, LinkCounters]]) -> None:
        """File what links have counted, by their index; those that are no tunnel's are ignored."""
        for ifindex, counters in read:
            if tunnel := self._tunnel_of(netns, ifindex):
                self._tallies.read((netns, ifindex), counters, tunnel.tally)

    def address(self, event: AddressSeen | AddressGone) -> None:
        """File that an address came or went."""
        tunnel = self._tunnel_of(event.netns, event.ifindex)
        if tunnel is None:
            return
        had, one, came = tunnel.observed, {event.address}, isinstance(event, AddressSeen)
        if isinstance(event, AddressSeen) and event.ours:
            tunnel.our_addresses |= one
        if came is (event.address in had.addresses):
            return
        addresses = had.addresses | one if came else had.addresses - one
        if not came:
            _lose_ipv4_routes(tunnel, addresses)
        seen = Observed(had.link, had.ifindex, addresses, had.clamp, had.birds)
        self._tunnels.observe(tunnel, seen)

    def route(self, event: RouteSeen | RouteGone | RoutesSeen) -> None:
        """File routes of ours through a link: one that came or went, or all."""
        tunnel = self._tunnel_of(event.netns, event.ifindex)
        if tunnel is None:
            return
        match event:
            case RouteSeen(route=route):
                news = tunnel.routes.see(route)
            case RouteGone(route=route):
                news = tunnel.routes.lose(route)
            case RoutesSeen(routes=routes):
                news = tunnel.routes.see_only(routes)
        if news:
            self._tunnels.changed(tunnel)

    def _tunnel_of(self, netns: str, ifindex: int) -> Tunnel | None:
        return self._tunnels.get(self._by_ifindex.get(netns, {}).get(ifindex))

    def links(self, event: LinkSnapshot, now: float) -> Iterator[None]:
        """File all links of a namespace, in steps."""
        first = event.netns not in self._listed
        self._listed.add(event.netns)
        self._links_known.add(event.netns)
        self.netns_errors.pop(event.netns, None)
        self._since.end(Kind.NETNS, event.netns)
        there = {ifindex for ifindex, _ in event.links}
        for ifindex in self._by_ifindex.get(event.netns, {}).keys() - there:
            self._forget_link(event.netns, ifindex)
            yield
        addresses = _by_link(event.addresses)
        yield
        marked, routes = _by_link(event.marked), _by_link(event.routes)
        for ifindex, link in event.links:
            if first:
                self._tallies.adopt((event.netns, ifindex))
            self.link(LinkSeen(link, ifindex))
            if tunnel := self._tunnel_of(event.netns, ifindex):
                tunnel.our_addresses |= marked[ifindex]
                tunnel.routes.see_only(routes[ifindex])
                have = replace(tunnel.observed, addresses=addresses[ifindex])
                self._tunnels.observe(tunnel, have)
            yield
        yield from self._namespace_changed(event.netns, now)

    def netns_lost(self, event: NetnsLost, now: float) -> None:
        """File that a namespace cannot be watched; what was known of it no longer counts."""
        if self.netns_errors.get(event.netns) != event.reason:
            self._tunnels.note("error", "namespace lost", detail=event.reason)
        self.netns_errors[event.netns] = event.reason
        self._since.begin(Kind.NETNS, event.netns, now)
        self._links_known.discard(event.netns)
        self._clamps_known.discard(event.netns)
        for tunnel in self._tunnels.in_netns(event.netns):
            self._tunnels.changed(tunnel)

    def _namespace_changed(self, netns: str, now: float) -> Iterator[None]:
        for tunnel in self._tunnels.in_netns(netns):
            self._tunnels.hold_leftover(tunnel, now)
            self._tunnels.changed(tunnel)
            yield

    # --- nftables and BIRD --------------------------------------------------------------------

    def clamps(self, event: ClampSnapshot, now: float) -> Iterator[None]:
        """File all MSS elements of a namespace, in steps."""
        self._clamps_known.add(event.netns)
        clamps: dict[str, Clamp] = dict(event.clamps)
        for interface in clamps:
            self._tunnels.get_or_add(event.netns, interface)
            yield
        for tunnel in self._tunnels.in_netns(event.netns):
            clamp = clamps.get(tunnel.interface)
            tunnel.progress.clamps_listed = tunnel.progress.pending > 0
            self._tunnels.observe(tunnel, replace(tunnel.observed, clamp=clamp))
            yield
        yield from self._namespace_changed(event.netns, now)

    def bird_file(self, event: BirdSnapshot, now: float) -> Iterator[None]:
        """File which tunnels a BIRD's include file names, in steps.

        The text of their blocks is unknown.
        """
        for tunnel in self._tunnels:
            if any(block.instance == event.instance for block in tunnel.observed.birds):
                self._tunnels.observe(tunnel, _with_block(tunnel.observed, event.instance, ()))
            yield
        for name in event.tunnels:
            netns, _, interface = name.rpartition("/")
            tunnel = self._tunnels.get_or_add(netns, interface)
            block = BirdBlock(instance=event.instance, tunnel=name, sessions=())
            self._tunnels.observe(tunnel, _with_block(tunnel.observed, event.instance, (block,)))
            self._tunnels.hold_leftover(tunnel, now)
            yield

    def done(self, tunnel: Tunnel, op: Op) -> None:
        """File what an operation on nftables or BIRD did.

        If nftables was listed while the operation was under way, the listing counts. It may be
        older than the operation, which is then repeated and does no harm.
        """
        if tunnel.progress.clamps_listed and isinstance(op, SetClamp | DeleteClamp):
            tunnel.progress.last_ops = ()
            return
        match op:
            case SetClamp(clamp=clamp):
                tunnel.observed = replace(tunnel.observed, clamp=clamp)
            case DeleteClamp():
                tunnel.observed = replace(tunnel.observed, clamp=None)
            case PutBird(block=block):
                tunnel.observed = _with_block(tunnel.observed, block.instance, (block,))
            case DeleteBird(instance=instance):
                tunnel.observed = _with_block(tunnel.observed, instance, ())


def _lose_ipv4_routes(tunnel: Tunnel, left: frozenset[str]) -> None:
    """File the routes that went with the last IPv4 address.

    The kernel has no event for them (fib_disable_ip in net/ipv4/fib_frontend.c).
    """
    if all(":" in address for address in left):
        for route in [route for route in tunnel.routes.there if ":" not in route.to]:
            tunnel.routes.lose(route)


def _by_link(pairs: Iterable[tuple[int, T]]) -> defaultdict[int, frozenset[T]]:
    """Group the items of a snapshot by the index of their link."""
    found: dict[int, set[T]] = defaultdict(set)
    for ifindex, one in pairs:
        found[ifindex].add(one)
    return defaultdict(frozenset, {ifindex: frozenset(all_) for ifindex, all_ in found.items()})


def _with_block(observed: Observed, instance: str, block: Iterable[BirdBlock]) -> Observed:
    others = (other for other in observed.birds if other.instance != instance)
    return replace(observed, birds=(*others, *block))
