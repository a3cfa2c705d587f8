"""Peer: which address at the other end of a tunnel answers probes. Pure.

    1. `peer` of [tunnel.probe], filled in from the SA
    2. the neighbour of a BGP session on the tunnel (not with `multihop`)
    3. the peer of an address, `10.0.0.1 peer 10.0.0.2/32`
    4. the other end of a /31, /127 (RFC 3021, RFC 6164) or /30

Rules of this file:

* The policy is that of one SA: its templates of addresses and neighbours are filled in.
* An address is known or it is not; there is none to guess.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from vtid.config.interface import PEER, on_link, own_address
from vtid.config.types import ANY_REMOTE
from vtid.core.naming import PolicyError, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Policy
    from vtid.model.sa import ChildSa


_SMALL = 4
"""Addresses of a /30."""


def probe_peer(policy: Policy, sa: ChildSa) -> str:
    """Return the address to probe through the tunnel of an SA, empty where none is known."""
    if policy.remote == ANY_REMOTE:
        return ""
    if policy.probe.peer:
        return _configured(policy.probe.peer, sa)
    return next(_found(policy), "")


def _configured(peer: str, sa: ChildSa) -> str:
    try:
        return str(ipaddress.ip_address(fill(peer, "peer", sa)))
    except (PolicyError, ValueError):
        return ""  # the peer has no such virtual IP: the tunnel is as good without probes


def _found(policy: Policy) -> Iterator[str]:
    for session in policy.bgp:
        if session.multihop is None:
            yield session.neighbor
    for address in policy.addresses:
        if PEER in address:
            yield address.rpartition(" ")[2].partition("/")[0]
    for address in policy.addresses:
        network = on_link(address)
        hosts = map(str, network.hosts()) if network.num_addresses <= _SMALL else ()
        others = [host for host in hosts if host != own_address(address)]
        if len(others) == 1:
            yield others[0]
