"""Doctor: who else manages vtid's interfaces: networkd, NetworkManager, udev. Pure.

They look after vtid's own namespace only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtid.model.facts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.core.doctor_tunnels import Interface
    from vtid.model.facts import HostFacts, UdevFacts

_NETWORKD_KEYS = ("ManageForeignRoutes", "ManageForeignRoutingPolicyRules")

_NO = {"no", "0", "false", "off", "n", "f"}


def check_managers(there: Iterable[Interface], host: HostFacts) -> Iterator[Finding]:
    """Yield what others do, or may do, with interfaces, and with routes that are not theirs."""
    names = [one.name for one in there if not one.netns]
    yield from _networkd(host)
    for name in names:
        if file := host.networkd_links.get(name):
            what = f"systemd-networkd manages it by {file}: addresses and MTU are changed"
            fix = "install the shipped 90-vtid.network under a number before that file's"
            yield Finding("networkd-link", name, what, f"{fix}, and 99-vtid.rules")
        if name in host.networkmanager_links:
            what = "NetworkManager manages it: addresses, routes and MTU may be changed"
            fix = f"install the shipped 99-vtid.rules; now: `nmcli device set {name} managed no`"
            yield Finding("networkmanager-link", name, what, fix)
    if host.udev:
        yield from _udev(names, host.udev)


def _networkd(host: HostFacts) -> Iterator[Finding]:
    if host.networkd is None:
        return
    found = {key: host.networkd.get(key, "yes").lower() for key in _NETWORKD_KEYS}
    if wrong := [key for key, value in found.items() if value not in _NO]:
        what = f"networkd removes routes that BIRD and vtid add: {', '.join(wrong)} not set to no"
        fix = "install the shipped networkd.conf.d/vtid.conf, and restart systemd-networkd"
        yield Finding("networkd-routes", "systemd-networkd", what, fix)


def _udev(names: Iterable[str], udev: UdevFacts) -> Iterator[Finding]:
    for name in sorted({*names} | udev.ours):
        sets = [
            *udev.changed.get(name, ()),
            *(f"{rule.place}: {rule.sets}" for rule in udev.rules if rule.applies(name)),
        ]
        if sets:
            what = f"udev changes it when it is made: {', '.join(sets)}"
            fix = f"have that file leave {name} out, or remove it"
            yield Finding("udev-changes", name, what, fix)
        if name in udev.handled and name in udev.ours:
            what = "udev handles it like any interface: systemd-sysctl sets rp_filter again"
            fix = "install the shipped 99-vtid.rules in /etc/udev/rules.d, `udevadm control -R`"
            yield Finding("udev-rules", name, what, fix)
