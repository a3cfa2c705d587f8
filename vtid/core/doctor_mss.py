"""Doctor: whether TCP's segment size is clamped to what fits, for the tunnels that are up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.esp.mtu import IPV4_TCP_HEADERS
from vtid.model.facts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.core.doctor_tunnels import Interface
    from vtid.model.facts import HostFacts, NetnsFacts


def check_mss(there: Iterable[Interface], host: HostFacts) -> Iterator[Finding]:
    """Yield interfaces that need a clamp and have none in force, or another program's."""
    for one in there:
        facts = host.namespaces.get(one.netns)
        is_wanted = one.sas and one.policy.mss_clamp
        if not (is_wanted and facts and facts.clamps is not None and one.name in facts.mtus):
            continue
        if why := _why_not(one.name, facts):
            fix = "`vtictl resync`, with vtid running; find what changes table inet vtid"
            yield Finding("mss-not-clamped", one.subject, why, fix)
        else:
            yield from _lowered(one, facts)


def _why_not(name: str, facts: NetnsFacts) -> str:
    """Return why the clamp of an interface is not in force; empty where it is."""
    clamp, most = (facts.clamps or {}).get(name), facts.mtus[name] - IPV4_TCP_HEADERS
    if clamp is None:
        return "nftables has no segment size for it in table inet vtid: large TCP packets are lost"
    if not clamp.mss4:
        return "its segment size in table inet vtid has no effect: rules or elements are not vtid's"
    if clamp.mss4 > most:
        return f"its segment size is {clamp.mss4}, and MTU {facts.mtus[name]} allows {most}"
    return ""


def _lowered(one: Interface, facts: NetnsFacts) -> Iterator[Finding]:
    """Yield rules of others with a smaller size than ours, which leave ours without effect."""
    clamp = (facts.clamps or {})[one.name]
    of_version = {4: clamp.mss4, 6: clamp.mss6}
    for other in facts.other_clamps:
        larger = [
            f"{of_version[ip]} for IPv{ip}" for ip in other.versions if of_version[ip] > other.size
        ]
        if larger and other.applies(one.name):
            ours = " and ".join(larger)
            what = f"a rule in {other.place} sets {other.size}, and vtid {ours}: the smaller counts"
            fix = f"remove that rule, or have it leave {one.name} out"
            yield Finding("mss-shadowed", one.subject, what, fix)
