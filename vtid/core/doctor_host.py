"""Doctor: what is wrong with the machine for the tunnels of a configuration. Pure.

Rules of this file: those of `doctor`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vtid.config.types import family_of
from vtid.core.doctor_bird import check_birds
from vtid.core.doctor_clock import check_clock
from vtid.core.doctor_kernel import check_kernel
from vtid.core.doctor_managers import check_managers
from vtid.core.doctor_mss import check_mss
from vtid.core.doctor_mtu import check_mtu
from vtid.model.facts import Finding
from vtid.model.link import Kind, tunnel_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from vtid.config.keys import Config, Policy
    from vtid.core.doctor_tunnels import Interface
    from vtid.model.facts import CharonLists, HostFacts

_STRICT = 1
"""rp_filter after RFC 3704, section 2.2."""

_COUNTERS = {
    "XfrmInNoPols": "ESP arrives that no policy wants: look for a second VTI to the same peer, and "
    "for `disable_policy`",
    "XfrmInTmplMismatch": "packets arrive in the clear that a policy wants protected, or by "
    "another SA: compare marks or if_ids and selectors of both ends; or charon's plugin `forecast` "
    "marks ESP, which no VTI takes: give it `load = no`",
    "XfrmInStateModeError": "ESP in another mode than its interface carries: leave out "
    "`mode = transport` and `ipcomp = yes` of swanctl.conf",
    "XfrmInNoStates": "ESP arrives for SAs that are not there: the peer kept one that is gone "
    "(terminate it there), or somebody sends ESP that belongs to none",
    "XfrmInStateProtoError": "ESP cannot be decrypted: the keys of both ends differ, or it was "
    "damaged on the way",
    "XfrmInStateSeqError": "packets come twice or far too late: raise `replay_window` of the child",
    "XfrmInStateMismatch": "an SA is found that does not fit the packet: compare `encap` and marks",
    "XfrmInPolBlock": "a policy with `mode = drop` takes packets: see `ip xfrm policy`",
    "XfrmOutNoStates": "packets leave for which there is no SA: bring the tunnel up, or remove the "
    "route",
    "XfrmOutPolBlock": "a policy with `mode = drop` takes packets: see `ip xfrm policy`",
    "XfrmOutStateExpired": "an SA is at its end and has no successor: look in charon's log",
}
"""Counters of /proc/net/xfrm_stat (Documentation/networking/xfrm_proc.rst), and what to do."""


def check_host(
    config: Config, charon: CharonLists, there: Collection[Interface], host: HostFacts
) -> Iterator[Finding]:
    """Yield what is wrong with the machine."""
    yield from _charon_routes(host)
    yield from _counters(config, host)
    yield from _interfaces(there, host)
    yield from check_mss(there, host)
    yield from check_mtu(there, host)
    yield from _forwarding(config, host)
    yield from check_managers(there, host)
    yield from check_birds(config, host)
    yield from check_kernel(config, charon, host)
    yield from check_clock(host)
    yield from _hooks(host)


def _charon_routes(host: HostFacts) -> Iterator[Finding]:
    if host.charon_routes:
        what = f"charon installed {host.charon_routes} routes, which go past the interfaces"
        fix = "set `charon.install_routes = no` in strongswan.conf and restart strongSwan"
        yield Finding("charon-routes", "table 220", what, fix)


def _counters(config: Config, host: HostFacts) -> Iterator[Finding]:
    for netns, facts in host.namespaces.items():
        for name, fix in _COUNTERS.items():
            if growth := facts.xfrm_growth.get(name, 0):
                what = f"it grew by {growth} in {host.watched:g} s: packets are lost"
                subject = tunnel_name(netns, name)
                if name == _NO_POLICY and _drops_of_vtis(config, host.release):
                    what = f"{what}, and VTIs on kernel {host.release} are known to drop good ones"
                    yield Finding("vti-drops", subject, what, _TO_XFRM)
                else:
                    yield Finding("xfrm-errors", subject, what, fix)


_NO_POLICY = "XfrmInNoPols"

_TO_XFRM = (
    "where `disable_policy` is 1 and one VTI leads to each peer, move to XFRM interfaces: "
    '`kind = "xfrm"`, and if_id_in and if_id_out instead of marks in swanctl.conf'
)

_DROPPING = (4, 19), (6, 12)
"""Kernels, the first and the last, of which it was reported (strongSwan issue 2647)."""


def _drops_of_vtis(config: Config, release: str) -> bool:
    found = re.match(r"(\d+)\.(\d+)", release)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    first, last = _DROPPING
    return first <= version <= last and any(one.kind is Kind.VTI for one in config.policies)


def _interfaces(there: Iterable[Interface], host: HostFacts) -> Iterator[Finding]:
    for one in there:
        sysctls = host.namespaces[one.netns].sysctls if one.netns in host.namespaces else {}
        if sysctls.get(f"ipv4/conf/{one.name}/disable_policy") == "0":
            what = "disable_policy is 0: the kernel drops what arrives without an SA's policy"
            fix = f"`vtictl resync`; find what sets net.ipv4.conf.{one.name}.disable_policy to 0"
            yield Finding("policy-check", one.subject, what, fix)
        everywhere = sysctls.get("ipv4/conf/all/rp_filter", "0")
        own = sysctls.get(f"ipv4/conf/{one.name}/rp_filter")
        if own is not None and max(int(own), int(everywhere)) == _STRICT:
            what = "rp_filter is strict: answers that come through another tunnel are dropped"
            where = f" in namespace {one.netns}" if one.netns else ""
            fix = f"set net.ipv4.conf.all.rp_filter to 0 or 2{where}, and `vtictl resync`"
            yield Finding("strict-rp-filter", one.subject, what, fix)


_SWITCHES = {"ipv4": "ipv4/ip_forward", "ipv6": "ipv6/conf/all/forwarding"}


def _forwarding(config: Config, host: HostFacts) -> Iterator[Finding]:
    inside = {(policy.netns, family) for policy in config.policies for family in _families(policy)}
    for netns, family in sorted(inside):
        facts, switch = host.namespaces.get(netns), _SWITCHES[family]
        if facts and facts.sysctls.get(switch) == "0":
            name = f"net.{switch.replace('/', '.')}"
            what = "it is 0: nothing is forwarded between the tunnels and other interfaces"
            enter = f"ip netns exec {netns} " if netns else ""
            fix = f"`{enter}sysctl -w {name}=1`, and at each boot (sysctl.d)"
            yield Finding("forwarding-off", tunnel_name(netns, name), what, fix)


def _families(policy: Policy) -> set[str]:
    """Return the families inside a tunnel, as far as the configuration says."""
    return {
        family_of(text.partition("/")[0].split()[0])
        for text in (
            *(address for address in policy.addresses if "{" not in address),
            *(session.neighbor for session in policy.bgp if "{" not in session.neighbor),
        )
    }


def _hooks(host: HostFacts) -> Iterator[Finding]:
    for line in host.hooks_refused:
        what, _, fix = line.rpartition(": ")  # as `daemon/hook_files.py` writes it
        subject, _, why = what.partition(": ")
        yield Finding("hook-refused", subject, why, fix)
