"""Adopting: make a link that somebody else made ours. An edge.

Rules of this file: those of `vtid.kernel.apply`, and

* The link is compared, marked by its index, and compared again: netlink has no way to do that in
  one. If somebody renamed or changed it in between, group and alias are put back as they were,
  and nothing else was touched.
* Of its addresses and routes, those that equal the wanted ones get our protocol number in place.
  A route that a routing daemon made stays that daemon's.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.dumps import read_addresses, read_found_routes
from vtid.kernel.errors import Failed, name_of
from vtid.kernel.likeness import differences
from vtid.kernel.links import find, master_of
from vtid.kernel.sockets import Refused, Requests
from vtid.model.link import LINK_GROUP, Link, tunnel_name

if TYPE_CHECKING:
    from vtid.kernel.messages import LinkInfo
    from vtid.kernel.wire import Request
    from vtid.model.operation import AdoptLink


def adopt(requests: Requests, op: AdoptLink, own_nsid: int | None, touched: set[int]) -> bool:
    """Make a link ours; False where there is none of that name, or it is ours already.

    Adds the link's index to `touched`. Raises `Failed`, with each difference, where it is not the
    one that is wanted.
    """
    link = op.link
    there = find(requests, name=link.name)
    if there is None or there.ours:
        return False
    require_name(there, link)
    if found := _differences(requests, there, link, own_nsid):
        raise _unlike(there, link, found)
    touched.add(there.ifindex)
    requests.write(asks.set_owner(there.ifindex, LINK_GROUP, link.alias))
    after = find(requests, ifindex=there.ifindex)
    if after is None:
        return False
    if after.name != link.name or _differences(requests, after, link, own_nsid):
        requests.write(asks.set_owner(there.ifindex, there.group, there.alias))
        raise Failed(
            f"{name_of(link)} was renamed or changed by someone else at this moment, and left as "
            f"it is; try `vtictl adopt {_tunnel(link)}` again"
        )
    _mark_addresses(requests, there.ifindex, op)
    _mark_routes(requests, after, op)
    return True


def refusal(requests: Requests, there: LinkInfo, link: Link, own_nsid: int | None) -> Failed:
    """Return why a link cannot be made while somebody else's has its name, and the way out."""
    if found := _differences(requests, there, link, own_nsid):
        return _unlike(there, link, found)
    return Failed(
        f"{name_of(link)} belongs to someone else (kind {there.kind}), and is what the policy "
        f"wants: `vtictl adopt {_tunnel(link)}` makes it vtid's own, without losing a packet; or "
        "choose another `interface = ` or remove it"
    )


def require_name(there: LinkInfo, link: Link) -> None:
    """Raise `Failed` for a link that has the wanted name as an alternative one only."""
    if there.name != link.name:
        raise Failed(
            f"{name_of(link)} is an alternative name of {there.name}; choose another "
            f"`interface = ` or remove it: ip link property del dev {there.name} "
            f"altname {link.name}"
        )


def _tunnel(link: Link) -> str:
    return tunnel_name(link.netns, link.name)


def _unlike(there: LinkInfo, link: Link, found: tuple[str, ...]) -> Failed:
    ip = f"ip -n {link.netns}" if link.netns else "ip"
    return Failed(
        f"{name_of(link)} belongs to someone else (kind {there.kind or 'device'}) and is not what "
        f"the policy wants: {', '.join(found)}; correct swanctl.conf or the policy, choose another "
        f"`interface = `, or remove it, and vtid makes its own: {ip} link delete {link.name}"
    )


def _differences(
    requests: Requests, there: LinkInfo, link: Link, own_nsid: int | None
) -> tuple[str, ...]:
    return differences(link, there.link(link.netns, own_nsid, master_of(requests, there)))


def _mark_addresses(requests: Requests, ifindex: int, op: AdoptLink) -> None:
    for found in read_addresses(requests.dump(asks.DUMP_ADDRESSES)):
        if found.ifindex == ifindex and found.text in op.addresses and not found.ours:
            _mark(requests, asks.mark_address(ifindex, found.text))


def _mark_routes(requests: Requests, there: LinkInfo, op: AdoptLink) -> None:
    if not op.routes:
        return
    wanted = {replace(route, table=route.table or there.table) for route in op.routes}
    for family in (nl.AF_INET, nl.AF_INET6):
        through = requests.dump(asks.routes_through(there.ifindex, family))
        for found in read_found_routes(through):
            only_the_mark = not (found.ours or found.daemon or found.unlike)
            if only_the_mark and found.route in wanted:
                _mark(requests, asks.mark_route(there.ifindex, found.route))


def _mark(requests: Requests, request: Request) -> None:
    with suppress(Refused):  # gone meanwhile: what is missing is added next
        requests.write(request)
