"""Addresses and routes on links of ours, one operation at a time.

Rules of this file: those of `vtid.kernel.apply`.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.esp.mtu import IPV6_MIN_MTU
from vtid.kernel import requests as asks
from vtid.kernel.dumps import read_addresses, read_routes
from vtid.kernel.errors import Failed, named
from vtid.kernel.links import find, need
from vtid.kernel.sockets import Refused, Requests
from vtid.model.input import AddressSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.kernel.messages import LinkInfo
    from vtid.kernel.wire import Request
    from vtid.model.link import Route
    from vtid.model.operation import AddAddress, AddRoute, DeleteAddress, DeleteRoute


def dump_routes(requests: Requests) -> list[bytes]:
    """Dump our routes."""
    return [data for request in asks.DUMP_ROUTES for data in requests.dump(request)]


def add_address(requests: Requests, op: AddAddress, known: list[AddressSeen]) -> bool:
    """Add an address; True if it was not there. One that was is added to `known`."""
    there = need(requests, op.netns, op.interface)
    where, ipv6 = named(op.interface, op.netns), ":" in op.address
    if ipv6 and there.mtu < IPV6_MIN_MTU:
        raise Failed(
            f"{where}: {op.address} needs an MTU of {IPV6_MIN_MTU} or more and it has "
            f"{there.mtu}; set `mtu = ` or remove the IPv6 address"
        )
    try:
        requests.write(asks.new_address(there.ifindex, op.address))
    except Refused as error:
        if error.number == errno.EEXIST:
            known.append(_same_address(requests, there, op))
            return False
        if error.number == errno.EACCES and ipv6:
            raise Failed(
                f"{where}: IPv6 is switched off for {op.address}; set "
                f"net.ipv6.conf.{op.interface}.disable_ipv6=0, and conf.default for new ones"
            ) from error
        raise
    return True


def _same_address(requests: Requests, there: LinkInfo, op: AddAddress) -> AddressSeen:
    """Return what the kernel lists of the address that is there already.

    It may have had no event yet: of an IPv6 address without duplicate address detection, a kernel
    thread sends it, later by as much as that is busy (addrconf_dad_work in net/ipv6/addrconf.c).
    """
    for found in read_addresses(requests.dump(asks.addresses_of(there.ifindex))):
        if (found.ifindex, found.text) == (there.ifindex, op.address):
            return AddressSeen(op.netns, found.ifindex, found.text, ours=found.ours)
    raise Failed(
        f"{named(op.interface, op.netns)}: {op.address} is there with another prefix length "
        "or peer; remove it with `ip address del` or correct `addresses = `"
    )


def delete_address(requests: Requests, op: DeleteAddress) -> bool:
    """Remove an address; True if it was there."""
    there = find(requests, name=op.interface)
    if there is None or not there.ours:
        return False
    request = asks.delete_address(there.ifindex, op.address)
    return remove(requests, request, {errno.EADDRNOTAVAIL, errno.ENODEV})


def remove(requests: Requests, request: Request, gone: set[int]) -> bool:
    """Send a request to remove something; False where it is gone already."""
    try:
        requests.write(request)
    except Refused as error:
        if error.number in gone:
            return False
        raise
    return True


def add_route(requests: Requests, op: AddRoute) -> bool:
    """Add a route; True if it was not there."""
    there = need(requests, op.netns, op.interface)
    route = replace(op.route, table=op.route.table or there.table)
    try:
        requests.write(asks.new_route(there.ifindex, route))
    except Refused as error:
        if error.number != errno.EEXIST:
            raise
        if (there.ifindex, route) in _our_routes(requests):
            return False
        raise Failed(
            f"{named(op.interface, op.netns)}: another route to {route.to} with metric "
            f"{route.metric} is in table {route.table} already; remove it, or give this one "
            "another `metric = `"
        ) from error
    return True


def _our_routes(requests: Requests) -> Iterator[tuple[int, Route]]:
    return read_routes(dump_routes(requests))


def delete_route(requests: Requests, op: DeleteRoute) -> bool:
    """Remove a route of ours; True if it was there."""
    there = find(requests, name=op.interface)
    if there is None or not there.ours:
        return False
    route = replace(op.route, table=op.route.table or there.table)
    request = asks.delete_route(there.ifindex, route)
    return remove(requests, request, {errno.ESRCH, errno.ENODEV})
