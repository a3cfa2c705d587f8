"""Underlay: routes and outer MTUs to peers, in vtid's own namespace. An edge.

Rules of this file:

* A path is asked for as the kernel asks for that of ESP packets: from the SA's local address to its
  remote one, without mark. Rules by address count, and what was learnt of the path (path_mtu.py).
* All that was learnt is one dump, whatever the number of tunnels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.kernel import path_mtu
from vtid.kernel import requests as asks
from vtid.kernel.dumps import read_learnt
from vtid.kernel.errors import Failed
from vtid.kernel.links import find_mark
from vtid.kernel.sockets import Refused, Requests
from vtid.model.input import UnderlaySeen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtid.kernel.messages import Mark
    from vtid.kernel.path_mtu import Path
    from vtid.model.operation import ProbeUnderlay

    Devices = dict[int, Mark | None]


def probe_all(requests: Requests, ops: Sequence[ProbeUnderlay]) -> list[UnderlaySeen]:
    """Look up the paths from `op.local` to `op.remote`; a missing route is an answer, too.

    Each path is looked up once, however many tunnels ask for it.
    """
    paths = tuple(dict.fromkeys((op.local, op.remote) for op in ops))
    found = requests.get_all([asks.get_route(*path) for path in paths], path_mtu.read_path)
    devices: Devices = {}
    return [
        _seen(requests, devices, path, answer) for path, answer in zip(paths, found, strict=True)
    ]


def _seen(
    requests: Requests, devices: Devices, path: tuple[str, str], found: Path | Refused
) -> UnderlaySeen:
    try:
        return _route(requests, devices, path, found)
    except (Failed, Refused) as error:
        local, remote = path
        text = f"no route from {local} to {remote}: {error}"
        return UnderlaySeen(local=local, remote=remote, mtu=0, error=text)


def _route(
    requests: Requests, devices: Devices, path: tuple[str, str], found: Path | Refused
) -> UnderlaySeen:
    """MTU and interface towards the peer: the route's metric or the device's, and the learnt."""
    if isinstance(found, Refused):
        raise found
    if found.ifindex not in devices:
        devices[found.ifindex] = find_mark(requests, found.ifindex) if found.ifindex else None
    device = devices[found.ifindex]
    if device is None:
        raise Failed("it leads to no interface")
    if device.ours:
        raise Failed(
            f"it leads into our own tunnel {device.name}; keep {path[1]} out of what is "
            "routed through it"
        )
    mtu = min(found.mtu or device.mtu, device.mtu)
    learnt, expires = (found.learnt, found.expires) if found.learnt < mtu else (0, 0.0)
    return UnderlaySeen(
        *path,
        mtu,
        device.name,
        learnt=learnt,
        expires=expires,
        device=device.mtu if mtu < device.mtu else 0,
    )


def learnt(requests: Requests) -> dict[str, frozenset[int]]:
    """Return the path MTUs that the kernel learnt, by peer; routes by table may have several."""
    found: dict[str, set[int]] = {}
    for dump in path_mtu.DUMP_LEARNT:
        for peer, mtu in read_learnt(requests.dump(dump)):
            found.setdefault(peer, set()).add(mtu)
    return {peer: frozenset(mtus) for peer, mtus in found.items()}
