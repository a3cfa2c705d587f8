"""Doctor: what is wrong with the machine for the tunnels of a configuration. Pure.

Rules of this file: those of `doctor`.
"""

from __future__ import annotations

from posixpath import dirname
from typing import TYPE_CHECKING

from vtid.config.types import family_of
from vtid.core.doctor_gaps import BIRD_SOCKET
from vtid.core.doctor_managers import check_managers
from vtid.core.doctor_mss import check_mss
from vtid.core.doctor_mtu import check_mtu
from vtid.model.facts import Finding
from vtid.model.link import Kind, tunnel_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from vtid.config.keys import Config, Policy
    from vtid.core.doctor_tunnels import Interface
    from vtid.model.facts import HostFacts

CAP_NET_ADMIN = 12
"""Number of the capability (linux/capability.h)."""

_STRICT = 1
"""rp_filter after RFC 3704, section 2.2."""

_COUNTERS = {
    "XfrmInNoPols": "ESP arrives that no policy wants: look for a second VTI to the same peer, and "
    "for `disable_policy`; VTIs on kernels between 4.19 and 6.12 do so too: use XFRM interfaces",
    "XfrmInTmplMismatch": "packets arrive in the clear that a policy wants protected, or by "
    "another SA: compare marks or if_ids and selectors of both ends",
    "XfrmInStateModeError": "ESP in another mode than its interface carries: leave out "
    "`mode = transport` and `ipcomp = yes` of swanctl.conf",
    "XfrmInNoStates": "ESP arrives for SAs that are gone: the peer kept them; terminate them there",
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
"""Counters of /proc/net/xfrm_stat (Documentation/networking/xfrm_proc.rst), and the mend."""

_MODULES = {Kind.VTI: ("ip_vti", "ip6_vti"), Kind.XFRM: ("xfrm_interface",)}


def check_host(config: Config, there: Collection[Interface], host: HostFacts) -> Iterator[Finding]:
    """Yield what is wrong with the machine."""
    yield from _charon_routes(host)
    yield from _counters(host)
    yield from _interfaces(there, host)
    yield from check_mss(there, host)
    yield from check_mtu(there, host)
    yield from _forwarding(config, host)
    yield from check_managers(there, host)
    yield from _bird(config, host)
    yield from _modules(config, host)
    yield from _hooks(host)
    if host.daemon_capabilities is not None and not host.daemon_capabilities >> CAP_NET_ADMIN & 1:
        what = "it runs without CAP_NET_ADMIN, so it can change no interface"
        mend = "start it by the vtid.service that is shipped, or as root"
        yield Finding("missing-capability", "vtid", what, mend)


def _charon_routes(host: HostFacts) -> Iterator[Finding]:
    if host.charon_routes:
        what = f"charon installed {host.charon_routes} routes, which go past the interfaces"
        mend = "set `charon.install_routes = no` in strongswan.conf and restart strongSwan"
        yield Finding("charon-routes", "table 220", what, mend)


def _counters(host: HostFacts) -> Iterator[Finding]:
    for netns, facts in host.namespaces.items():
        for name, mend in _COUNTERS.items():
            if growth := facts.xfrm_growth.get(name, 0):
                what = f"it grew by {growth} in {host.watched:g} s: packets are lost"
                yield Finding("xfrm-errors", tunnel_name(netns, name), what, mend)


def _interfaces(there: Iterable[Interface], host: HostFacts) -> Iterator[Finding]:
    for one in there:
        sysctls = host.namespaces[one.netns].sysctls if one.netns in host.namespaces else {}
        if sysctls.get(f"ipv4/conf/{one.name}/disable_policy") == "0":
            what = "disable_policy is 0: the kernel drops what arrives without an SA's policy"
            mend = f"`vtictl resync`; find what sets net.ipv4.conf.{one.name}.disable_policy to 0"
            yield Finding("policy-check", one.subject, what, mend)
        everywhere = sysctls.get("ipv4/conf/all/rp_filter", "0")
        own = sysctls.get(f"ipv4/conf/{one.name}/rp_filter")
        if own is not None and max(int(own), int(everywhere)) == _STRICT:
            what = "rp_filter is strict: answers that come through another tunnel are dropped"
            where = f" in namespace {one.netns}" if one.netns else ""
            mend = f"set net.ipv4.conf.all.rp_filter to 0 or 2{where}, and `vtictl resync`"
            yield Finding("strict-rp-filter", one.subject, what, mend)


_SWITCHES = {"ipv4": "ipv4/ip_forward", "ipv6": "ipv6/conf/all/forwarding"}


def _forwarding(config: Config, host: HostFacts) -> Iterator[Finding]:
    inside = {(policy.netns, family) for policy in config.policies for family in _families(policy)}
    for netns, family in sorted(inside):
        facts, switch = host.namespaces.get(netns), _SWITCHES[family]
        if facts and facts.sysctls.get(switch) == "0":
            name = f"net.{switch.replace('/', '.')}"
            what = "it is 0: nothing is forwarded between the tunnels and other interfaces"
            enter = f"ip netns exec {netns} " if netns else ""
            mend = f"`{enter}sysctl -w {name}=1`, and at each boot (sysctl.d)"
            yield Finding("forwarding-off", tunnel_name(netns, name), what, mend)


def _families(policy: Policy) -> set[str]:
    """Return the families inside a tunnel, as far as the configuration says."""
    return {
        family_of(text.partition("/")[0].split()[0])
        for text in (
            *(address for address in policy.addresses if "{" not in address),
            *(session.neighbor for session in policy.bgp if "{" not in session.neighbor),
        )
    }


def _bird(config: Config, host: HostFacts) -> Iterator[Finding]:
    used = {session.bird for policy in config.policies for session in policy.bgp}
    for bird in config.birds:
        if bird.name not in used or host.bird_conf is None or bird.socket != BIRD_SOCKET:
            continue
        if (
            bird.include not in host.bird_conf
            and f"{dirname(bird.include)}/*" not in host.bird_conf
        ):
            what = f"bird.conf does not include {bird.include}, so BIRD has no sessions of vtid"
            mend = f'add `include "{bird.include}";` to it, and `birdc configure`'
            yield Finding("bird-include", bird.name, what, mend)


def _modules(config: Config, host: HostFacts) -> Iterator[Finding]:
    if host.modules is None:
        return
    for kind in sorted({policy.kind for policy in config.policies}):
        for module in _MODULES[kind]:
            if module not in host.modules:
                what = f'the kernel has none, and interfaces with `kind = "{kind}"` need it'
                mend = "install the kernel's package with all modules (not -cloud or -minimal)"
                yield Finding("missing-module", module, what, mend)


def _hooks(host: HostFacts) -> Iterator[Finding]:
    for line in host.hooks_refused:
        what, _, mend = line.rpartition(": ")  # as `daemon/hook_files.py` writes it
        subject, _, why = what.partition(": ")
        yield Finding("hook-refused", subject, why, mend)
