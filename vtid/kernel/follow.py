"""Follow one namespace: turn dumps and events into inputs. Pure.

Rules of this file:

* Pure, and cheap per event: one that is not about a link of ours costs its parsing only.
* A dump sets the picture (`snapshot`), events update it (`feed`). Events older than the dump may
  follow it; the last event of each link is true, so the picture is right in the end.
* A message that cannot be read is skipped.
* `stale` means that events do not suffice and a dump is due: a link entered our group from outside,
  and there was no event for its addresses; or settings changed of many links or of all.
* `doubtful` are links of ours with a changed setting: an event names few of them, so they are to be
  asked for. The kernel has events for forwarding, rp_filter, proxy_ndp and
  ignore_routes_with_linkdown only. A link whose MTU was too small for IPv6 and is no more has its
  settings of IPv6 anew, behind the event that tells of the MTU.
* `underlay_changed` means that routes, foreign links or their addresses changed. Only vtid's own
  namespace carries the outer packets; in others, events of routes are received only of our own, and
  of those that replace one. The routes that the kernel makes with an address are not received, or
  not always: the address is, and with it the metric of its route.
* When a link goes down, its routes go without an event (IPv4's always).
* Of a link on its way out, its end is told and not how its addresses go before. If it stays after
  all, a dump is due.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from vtid.esp.mtu import IPV6_MIN_MTU
from vtid.kernel import messages, stats
from vtid.kernel import wire as nl
from vtid.kernel.dumps import read_addresses, read_links, read_routes, split
from vtid.model.input import (
    AddressGone,
    AddressSeen,
    LinkGone,
    LinkSeen,
    LinkSnapshot,
    RouteGone,
    RouteSeen,
    RoutesSeen,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from vtid.kernel.dumps import Dump
    from vtid.kernel.messages import LinkInfo
    from vtid.kernel.wire import Message
    from vtid.model.input import Input
    from vtid.model.link import Link, Route

MANY = 64
"""Links that are asked for one by one; for more, a dump is cheaper."""

UNKNOWN_MASTER = "?"
"""Stands for a master that is no VRF: a bond, a bridge."""

UNKNOWN_ADDRESS = -1
"""Stands for the metric of an address that is new."""

_Face = tuple[int, bool, bool]
"""What of a foreign link matters to the underlay: MTU, up, running."""


class Follower:
    """The links of one namespace, ours and, as far as the underlay goes, the others.

    `passing` are names of links that the kernel is creating for another namespace: before Linux
    6.15 it creates them here and then moves them. They are ignored. So is, once, a link that has
    the MTU that stands for it in `raised`: it was raised for a probe, and is no more.
    """

    def __init__(
        self,
        netns: str,
        own_nsid: int | None = None,
        passing: Collection[str] = (),
        raised: set[tuple[int, int]] | None = None,
    ) -> None:
        self.netns = netns
        self.own_nsid = own_nsid
        self.ours: set[int] = set()
        self.stale = False
        self.doubtful: set[int] = set()
        self.underlay_changed = False
        self._strict_all = False
        self._foreign: dict[int, _Face] = {}
        self._foreign_addresses: dict[tuple[int, str], int] = {}
        """Index, address, and metric of the route that comes with it."""
        self._vrfs: dict[int, str] = {}
        self._routes: defaultdict[int, set[Route]] = defaultdict(set)
        self._link_of: dict[Route, int] = {}
        """The link of each route of ours."""
        self._without_ipv6: set[int] = set()
        """Links of ours that have too small an MTU for it."""
        self._left_over: set[int] = set()
        """Links that somebody was killed over while deleting them: they may be wanted again."""
        self.leaving: set[int] = set()
        """Links that are on their way out."""
        self._passing = passing
        self._raised = raised if raised is not None else set()
        self._handlers: dict[int, Callable[[Message], Iterator[Input]]] = {
            nl.RTM_NEWLINK: self._new_link,
            nl.RTM_DELLINK: self._del_link,
            nl.RTM_NEWADDR: self._new_address,
            nl.RTM_DELADDR: self._del_address,
            nl.RTM_NEWROUTE: self._route,
            nl.RTM_DELROUTE: self._route,
            nl.RTM_NEWNETCONF: self._setting,
        }

    def snapshot(self, dump: Dump) -> LinkSnapshot:
        """Take a dump as what is there now."""
        infos = {info.ifindex: info for info in read_links(dump.links)}
        self._strict_all = dump.strict_all
        self.ours = {ifindex for ifindex, info in infos.items() if info.ours}
        foreign = {i: _face(info) for i, info in infos.items() if not info.ours}
        self._without_ipv6 = {i for i in self.ours if infos[i].mtu < IPV6_MIN_MTU}
        self._left_over = {i for i, info in infos.items() if info.leaving}
        self.leaving.clear()
        self._vrfs = {i: info.name for i, info in infos.items() if info.kind == nl.VRF_KIND}
        self.stale = False
        self.doubtful.clear()
        self._raised.clear()
        addresses = list(read_addresses(dump.addresses))
        found = [info for info in addresses if info.ifindex in self.ours]
        foreign_addresses = {
            (info.ifindex, info.text): info.metric for info in addresses if info.ifindex in foreign
        }
        known = self._foreign, self._foreign_addresses
        # without a link, not even `lo`, it is the first picture
        self.underlay_changed |= bool(self._foreign) and known != (foreign, foreign_addresses)
        self._foreign, self._foreign_addresses = foreign, foreign_addresses
        through = [pair for pair in read_routes(dump.routes) if pair[0] in self.ours]
        self._routes = defaultdict(set)
        for ifindex, route in through:
            self._routes[ifindex].add(route)
        self._link_of = {route: ifindex for ifindex, route in through}
        return LinkSnapshot(
            netns=self.netns,
            links=tuple((ifindex, self._link(infos[ifindex])) for ifindex in sorted(self.ours)),
            addresses=tuple((info.ifindex, info.text) for info in found),
            marked=tuple((info.ifindex, info.text) for info in found if info.ours),
            routes=tuple(through),
        )

    def take_doubtful(self) -> set[int]:
        """Return the links to ask for, and take them as asked for."""
        taken, self.doubtful = self.doubtful & self.ours, set()
        return taken

    def feed(self, datagram: bytes) -> list[Input]:
        """Return the inputs that follow from one datagram of events."""
        inputs: list[Input] = []
        for message in split(datagram):
            if handler := self._handlers.get(message.kind):
                try:
                    inputs.extend(handler(message))
                except nl.MessageError:
                    continue
        return inputs

    def _link(self, info: LinkInfo) -> Link:
        vrf = self._vrfs.get(info.master, UNKNOWN_MASTER) if info.master else ""
        return info.link(self.netns, self.own_nsid, vrf, strict_all=self._strict_all)

    def _new_link(self, message: Message) -> Iterator[Input]:
        ifindex = messages.read_ifindex(message)
        known = ifindex in self.ours
        if known and ifindex not in self._left_over and messages.leaving_ifindex(message):
            self.leaving.add(ifindex)
            return  # what follows is its end
        if ifindex in self.leaving:
            self.leaving.discard(ifindex)
            self.stale = True
        info = messages.read_link(message)
        if not info.ours:
            yield from self._foreign_link(info, left=known)
            return
        if not known:
            if info.name in self._passing and not info.alias:
                return
            self.stale |= self._foreign.pop(info.ifindex, None) is not None
            self.ours.add(info.ifindex)
        if (ifindex, info.mtu) in self._raised:
            self._raised.discard((ifindex, info.mtu))
            return  # its own MTU follows
        if info.mtu < IPV6_MIN_MTU:
            self._without_ipv6.add(ifindex)
        elif ifindex in self._without_ipv6:
            self._without_ipv6.discard(ifindex)
            self._doubt(ifindex)
        counted = None if known else stats.read_link_stats(message)
        yield LinkSeen(link=self._link(info), ifindex=info.ifindex, counters=counted)
        if not info.up and self._routes.get(info.ifindex):
            self._forget_routes(info.ifindex)
            yield RoutesSeen(netns=self.netns, ifindex=info.ifindex, routes=())

    def _foreign_link(self, info: LinkInfo, *, left: bool) -> Iterator[Input]:
        if left:
            self.ours.discard(info.ifindex)
            self._forget_routes(info.ifindex)
            yield LinkGone(netns=self.netns, ifindex=info.ifindex)
        if info.kind == nl.VRF_KIND:
            known = self._vrfs.setdefault(info.ifindex, info.name)
            self.stale |= known != info.name
        face = _face(info)
        if self._foreign.get(info.ifindex) != face:
            self._foreign[info.ifindex] = face
            self.underlay_changed = True

    def _del_link(self, message: Message) -> Iterator[Input]:
        ifindex = messages.read_ifindex(message)
        self._vrfs.pop(ifindex, None)
        self.leaving.discard(ifindex)
        self._without_ipv6.discard(ifindex)
        self._forget_routes(ifindex)
        if ifindex in self.ours:
            self.ours.discard(ifindex)
            last = stats.read_link_stats(message)
            yield LinkGone(netns=self.netns, ifindex=ifindex, counters=last)
        elif self._foreign.pop(ifindex, None):
            self.underlay_changed = True

    def _new_address(self, message: Message) -> Iterator[Input]:
        ifindex, address, ours, metric = messages.read_address(message)
        if ifindex in self.ours:
            yield AddressSeen(netns=self.netns, ifindex=ifindex, address=address, ours=ours)
        elif self._foreign_addresses.get((ifindex, address), UNKNOWN_ADDRESS) != metric:
            # not only its lifetime is new
            self._foreign_addresses[ifindex, address] = metric
            self.underlay_changed = True

    def _del_address(self, message: Message) -> Iterator[Input]:
        ifindex, address, *_ = messages.read_address(message)
        if ifindex in self.leaving:
            return
        if ifindex in self.ours:
            yield AddressGone(netns=self.netns, ifindex=ifindex, address=address)
        else:
            self._foreign_addresses.pop((ifindex, address), None)
            self.underlay_changed = True

    def _setting(self, message: Message) -> Iterator[Input]:
        found = messages.read_netconf(message)
        if found.ifindex in self.ours:
            self._doubt(found.ifindex)
        if found.ifindex == nl.NETCONFA_IFINDEX_ALL and found.rp_filter is not None:
            self.stale |= (found.rp_filter == messages.STRICT) != self._strict_all
        return iter(())

    def _doubt(self, ifindex: int) -> None:
        self.doubtful.add(ifindex)
        self.stale |= len(self.doubtful) > MANY

    def _route(self, message: Message) -> Iterator[Input]:
        # one change is enough until the flag is read: a full table stays cheap
        have_routes = bool(self._link_of)
        if self.underlay_changed and not messages.concerns_our_routes(
            message, have_routes=have_routes
        ):
            return
        info = messages.read_route(message)
        through_us = info.interfaces and info.interfaces <= self.ours
        self.underlay_changed |= not info.cached and not through_us
        if info.ours and through_us and len(info.interfaces) == 1:
            (ifindex,) = info.interfaces
            follow = self._came if message.kind == nl.RTM_NEWROUTE else self._went
            yield from follow(ifindex, info.ours)
        if info.replaced and (replaced := self._link_of.get(info.replaced)):
            yield from self._went(replaced, info.replaced)

    def _forget_routes(self, ifindex: int) -> None:
        for route in self._routes.pop(ifindex, ()):
            self._link_of.pop(route, None)

    def _came(self, ifindex: int, route: Route) -> Iterator[Input]:
        # also one that is known: it may have gone with an address, of which there is no event
        self._routes[ifindex].add(route)
        self._link_of[route] = ifindex
        yield RouteSeen(netns=self.netns, ifindex=ifindex, route=route)

    def _went(self, ifindex: int, route: Route) -> Iterator[Input]:
        if route in self._routes[ifindex]:
            self._routes[ifindex].discard(route)
            self._link_of.pop(route, None)
            yield RouteGone(netns=self.netns, ifindex=ifindex, route=route)


def _face(info: LinkInfo) -> _Face:
    return info.mtu, info.up, info.running
