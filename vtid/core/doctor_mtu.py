"""Doctor: whether an interface's MTU is more than the path carries. Pure.

The path is what vtid computes of each SA and the route to its peer, and what probes proved, where
a vtid runs to tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.core.desired import desire
from vtid.core.members import Members, path_of
from vtid.core.naming import PolicyError
from vtid.core.route_book import RouteBook
from vtid.core.underlay import Underlay
from vtid.esp.mtu import IPV6_MIN_MTU
from vtid.model.facts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.core.doctor_tunnels import Interface
    from vtid.model.facts import HostFacts
    from vtid.model.sa import ChildSa


def check_mtu(there: Iterable[Interface], host: HostFacts) -> Iterator[Finding]:
    """Yield interfaces whose MTU is larger than what passes."""
    for one in there:
        facts = host.namespaces.get(one.netns)
        mtu = facts.mtus.get(one.name, 0) if facts else 0
        found = [_computed(one, sa, host) for sa in one.sas]
        found.append((host.proven.get((one.netns, one.name), 0), "probes"))
        path, source = min(((size, by) for size, by in found if size), default=(0, ""))
        if mtu > path > 0:
            what = f"its MTU is {mtu}, and packets over {path} do not pass ({source})"
            yield Finding("mtu-above-path", one.subject, what, _fix(one, mtu))


def _fix(one: Interface, mtu: int) -> str:
    if one.policy.mtu != "auto":
        return f"remove `mtu = {one.policy.mtu}` from its [[tunnel]], and `vtictl reload`"
    if mtu == IPV6_MIN_MTU:
        return "raise the outer MTU: an interface with IPv6 keeps 1280; without: `vtictl resync`"
    return "`vtictl resync`, with vtid running; find what else sets its MTU"


def _computed(one: Interface, sa: ChildSa, host: HostFacts) -> tuple[int, str]:
    """Return what fits into an SA over the route to its peer; 0 where the path is not known."""
    path = path_of(sa)
    if not (seen := host.paths.get(path)) or not seen.mtu:
        return 0, ""
    try:
        wanted = desire(
            one.subject, one.policy, Members((sa,)), {path: Underlay.of(seen)}, RouteBook()
        )
    except PolicyError:  # `vtictl status` tells it
        return 0, ""
    return wanted.path_mtu, f"{sa.esp} over {seen.learnt or seen.mtu} bytes by {seen.interface}"
