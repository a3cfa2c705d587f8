"""Underlay: routes and outer MTUs to peers, in vtid's own namespace. An edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.kernel import messages
from vtid.kernel import requests as asks
from vtid.kernel.errors import Failed
from vtid.kernel.links import find
from vtid.kernel.sockets import Refused, Requests
from vtid.model.input import UnderlaySeen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.kernel.messages import LinkInfo, Path
    from vtid.model.operation import ProbeUnderlay

    Devices = dict[int, LinkInfo | None]


def probe_all(requests: Requests, ops: Sequence[ProbeUnderlay]) -> list[UnderlaySeen]:
    """Look up the paths from `op.local` to `op.remote`; a missing route is an answer, too."""
    lookups = [asks.get_route(op.local, op.remote) for op in ops]
    found = requests.get_all(lookups, messages.read_path)
    devices: Devices = {}
    return [_seen(requests, devices, op, path) for op, path in zip(ops, found, strict=True)]


def _seen(
    requests: Requests, devices: Devices, op: ProbeUnderlay, path: Path | Refused
) -> UnderlaySeen:
    try:
        mtu, interface = _route(requests, devices, op, path)
    except (Failed, Refused) as error:
        text = f"no route from {op.local} to {op.remote}: {error}"
        return UnderlaySeen(local=op.local, remote=op.remote, mtu=0, error=text)
    return UnderlaySeen(local=op.local, remote=op.remote, mtu=mtu, interface=interface)


def _route(
    requests: Requests, devices: Devices, op: ProbeUnderlay, path: Path | Refused
) -> tuple[int, str]:
    """MTU and interface towards the peer: the route's metric or path MTU, or the device's."""
    if isinstance(path, Refused):
        raise path
    if path.ifindex not in devices:
        devices[path.ifindex] = find(requests, ifindex=path.ifindex) if path.ifindex else None
    device = devices[path.ifindex]
    if device is None:
        raise Failed("it leads to no interface")
    if device.ours:
        raise Failed(
            f"it leads into our own tunnel {device.name}; keep {op.remote} out of what is "
            "routed through it"
        )
    return min(path.mtu or device.mtu, device.mtu), device.name
