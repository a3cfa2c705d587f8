"""Doctor: what is wrong between configuration, charon and the machine, and how to fix it. Pure.

Rules of this file:

* A check takes facts and yields findings. What could not be read leads to none.
* An identifier is a heading of docs/doctor.md, and stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.config.types import is_static
from vtid.core.doctor_host import check_host
from vtid.core.doctor_tunnels import Interface, interfaces, refused
from vtid.core.loaded import unloaded
from vtid.core.policies import Policies
from vtid.model.facts import Finding
from vtid.model.link import Kind
from vtid.model.sa import SaMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.config.keys import Config, Policy
    from vtid.model.facts import CharonLists, HostFacts
    from vtid.model.sa import ChildSa


def examine(config: Config, charon: CharonLists, host: HostFacts) -> tuple[Finding, ...]:
    """Return all findings, those about charon first."""
    policies = Policies(config)
    there = interfaces(config, policies, charon)
    if charon.error:
        what = Finding("charon-unreachable", config.vici.socket, charon.error, _REACH)
        return (what, *check_host(config, charon, there, host))
    return (
        *_without_connection(policies, charon),
        *_without_policy(policies, charon),
        *_unfit(policies, charon),
        *_virtual_ips(policies, charon, host),
        *_dying(there, host),
        *check_host(config, charon, there, host),
    )


_REACH = "see `systemctl status strongswan`, and compare `socket` under [vici]"


def _without_connection(policies: Policies, charon: CharonLists) -> Iterator[Finding]:
    loaded = [child for connection in charon.connections for child in connection.names]
    for policy in unloaded(policies, loaded):
        yield Finding(
            "policy-without-connection",
            f"{policy.connection}/{policy.child}",
            "charon has no connection with a child that this [[tunnel]] matches",
            "compare the names with `swanctl --list-conns`; load with `swanctl --load-all`",
        )


def _without_policy(policies: Policies, charon: CharonLists) -> Iterator[Finding]:
    """Yield SAs that wait for an interface and get none: they have marks or if_ids."""
    for sa in charon.sas:
        is_route_based = sa.mark_in or sa.mark_out or sa.if_id_in or sa.if_id_out
        if is_route_based and not policies.matching(sa):
            yield Finding(
                "connection-without-policy",
                str(sa),
                "its SA has marks or an if_id, and no [[tunnel]] matches it",
                "add one (`vtictl suggest` prints it), if vtid is to serve it",
            )


def _unfit(policies: Policies, charon: CharonLists) -> Iterator[Finding]:
    """Yield SAs that their [[tunnel]] cannot serve, and children that it never can."""
    for sa in charon.sas:
        for policy in policies.matching(sa):
            if why := refused(policy, sa):
                what, _, fix = why.rpartition("; ")
                yield Finding(_kind_of(sa, policy), str(sa), what, fix)
    up = {(sa.connection, sa.child) for sa in charon.sas}
    for connection in charon.connections:
        for child in connection.children:
            name = connection.name, child.name
            if child.mode == SaMode.TUNNEL or name in up or not policies.claims(*name):
                continue
            what = f"a [[tunnel]] matches it, and it is in {child.mode.lower()} mode"
            fix = "remove `mode` from the child in swanctl.conf, or let no [[tunnel]] match it"
            yield Finding("transport-mode", "/".join(name), what, fix)


def _virtual_ips(policies: Policies, charon: CharonLists, host: HostFacts) -> Iterator[Finding]:
    """Yield addresses from peers that charon put on another interface than the tunnel's."""
    for sa in charon.sas:
        for policy in policies.matching(sa):
            for vip in sa.local_vips if is_static(policy.interface) else ():
                interface = (host.addresses or {}).get(vip, policy.interface)
                if interface == policy.interface:
                    continue
                what = f"{sa} gave it to this gateway, and {interface} has it"
                fix = "set `charon.install_virtual_ip = no` in strongswan.conf, and restart it"
                yield Finding("charon-virtual-ip", vip, what, fix)


def _dying(there: Iterable[Interface], host: HostFacts) -> Iterator[Finding]:
    """Yield interfaces whose SA is up, which sent and received nothing while IPsec dropped."""
    for one in there:
        facts = host.namespaces.get(one.netns)
        received, sent = facts.traffic.get(one.name, (0, 0)) if facts else (0, 0)
        dropped = _dropped(host, one.netns)
        if one.sas and dropped and sent and not received:
            what = (
                f"{one.sas[-1]} is up, {one.name} sent {sent} packets in {host.watched:g} s and "
                f"received none, and IPsec dropped some: {dropped}"
            )
            fix = "as `xfrm-errors` says for these counters; look at both ends"
            yield Finding("packets-die", one.subject, what, fix)


def _dropped(host: HostFacts, netns: str) -> str:
    """Return what the kernel dropped in the namespace of an interface, and in vtid's own."""
    both = (host.namespaces[name] for name in dict.fromkeys(("", netns)) if name in host.namespaces)
    growth = (pair for facts in both for pair in facts.xfrm_growth.items())
    return ", ".join(f"{name} by {by}" for name, by in growth if by > 0)


def _kind_of(sa: ChildSa, policy: Policy) -> str:
    if sa.mode is not SaMode.TUNNEL:
        return "transport-mode"
    if sa.ipcomp and policy.kind is Kind.VTI:
        return "compression"
    return "missing-marks" if policy.kind is Kind.VTI else "missing-if-ids"
