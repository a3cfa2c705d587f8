"""Doctor: whether kernel and service allow what the configuration asks for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.facts import Finding
from vtid.model.link import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.config.keys import Config
    from vtid.model.facts import CharonLists, HostFacts, ModuleFacts

_ALWAYS = dict.fromkeys(("xfrm_user", "esp4"), "ESP needs it")

_OF_KIND = {Kind.VTI: ("ip_vti",), Kind.XFRM: ("xfrm_interface",)}

CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN = 12, 13, 21
"""Numbers of capabilities (linux/capability.h)."""


def check_kernel(config: Config, charon: CharonLists, host: HostFacts) -> Iterator[Finding]:
    """Yield modules and capabilities that are missing."""
    if host.modules is not None:
        for module, why in _needed(config, has_ipv6=_has_ipv6(charon)).items():
            if found := _lacks(module, host.modules):
                what, fix = found
                yield Finding("missing-module", module, f"{what}, and {why}", fix)
    if host.daemon_capabilities is not None:
        yield from _capabilities(config, host.daemon_capabilities)


def _has_ipv6(charon: CharonLists) -> bool:
    """Whether a peer is known to be reached over IPv6; where addresses are names, none is."""
    ends = (
        address for one in charon.connections for address in (*one.local_addrs, *one.remote_addrs)
    )
    return any(
        ":" in one or one == "%any6" for one in (*ends, *(sa.remote_host for sa in charon.sas))
    )


def _needed(config: Config, *, has_ipv6: bool) -> dict[str, str]:
    """Return the modules that a configuration needs, and what for."""
    needed = dict(_ALWAYS) if config.policies else {}
    if needed and has_ipv6:
        needed["esp6"] = "ESP over IPv6 needs it"
    for policy in config.policies:
        kind = f'interfaces with `kind = "{policy.kind}"` need it'
        needed |= dict.fromkeys(_OF_KIND[policy.kind], kind)
        if policy.kind is Kind.VTI and has_ipv6:
            needed["ip6_vti"] = f"{kind} over IPv6"
        if policy.mss_clamp:
            needed["nf_tables"] = "MSS clamping needs it"
        if policy.vrf:
            needed["vrf"] = "`vrf` needs it"
    return needed


def _lacks(module: str, modules: ModuleFacts) -> tuple[str, str] | None:
    """Return why a module cannot be had, and the way out; None if it can."""
    if module in modules.ready:
        return None
    if module not in modules.known:
        fix = "install the kernel's package with all modules (not -cloud or -minimal)"
        return "the kernel has none", fix
    if modules.is_locked:
        fix = f"load it at boot (`{module}` in /etc/modules-load.d/vtid.conf), and reboot"
        return "it is not loaded, and kernel.modules_disabled is 1", fix
    if file := modules.barred.get(module):
        return f"{file} keeps it from being loaded", f"remove that line, or `modprobe {module}`"
    return None


def _capabilities(config: Config, effective: int) -> Iterator[Finding]:
    needed = {"CAP_NET_ADMIN": (CAP_NET_ADMIN, "it can change no interface")}
    if any(policy.probe.mtu or policy.probe.interval for policy in config.policies):
        needed["CAP_NET_RAW"] = (CAP_NET_RAW, "it can send no probes")
    if any(policy.netns for policy in config.policies):
        needed["CAP_SYS_ADMIN"] = (CAP_SYS_ADMIN, "it can enter no namespace")
    for name, (number, lost) in needed.items():
        if not effective >> number & 1:
            fix = "start it by the vtid.service that is shipped, with its drop-ins, or as root"
            yield Finding("missing-capability", name, f"vtid runs without it: {lost}", fix)
