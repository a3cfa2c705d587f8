"""Underlay: the route and the outer MTU to a peer, in vtid's own namespace. An edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.kernel.errors import Failed
from vtid.kernel.links import find
from vtid.kernel.sockets import Refused, Requests
from vtid.model.input import UnderlaySeen

if TYPE_CHECKING:
    from vtid.model.operation import ProbeUnderlay


def probe(requests: Requests, op: ProbeUnderlay) -> UnderlaySeen:
    """Look up the path from `op.local` to `op.remote`; a missing route is an answer, too."""
    try:
        mtu, interface = _route(requests, op)
    except (Failed, Refused) as error:
        text = f"no route from {op.local} to {op.remote}: {error}"
        return UnderlaySeen(local=op.local, remote=op.remote, mtu=0, error=text)
    return UnderlaySeen(local=op.local, remote=op.remote, mtu=mtu, interface=interface)


def _route(requests: Requests, op: ProbeUnderlay) -> tuple[int, str]:
    """MTU and interface towards the peer: the route's metric or path MTU, or the device's."""
    found = requests.ask(lambda ipr: ipr.route("get", dst=op.remote, src=op.local))
    if not found:
        raise Failed("the kernel found none")
    device = find(requests, ifindex=int(found[0].get("oif") or 0))
    if device is None:
        raise Failed("it leads to no interface")
    if device.ours:
        raise Failed(
            f"it leads into our own tunnel {device.name}; keep {op.remote} out of what is "
            "routed through it"
        )
    metric = int(found[0].get(("metrics", "mtu")) or device.mtu)
    return min(metric, device.mtu), device.name
