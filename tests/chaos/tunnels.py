"""The tunnels that faults happen to, and what the administrators of both ends write.

    a  192.0.2.1, 2001:db8::1 ── eth0 ── 192.0.2.1N, 2001:db8::1N  b       N: the tunnel's number
       10.255.N.1, 2001:db8:ff:N::1 ┄┄┄┄ 10.255.N.2, 2001:db8:ff:N::2

Each kind of interface is there twice: in the gateway's own namespace, and in a private one.

Rules of this file: text only. Nothing in it is drawn by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.life import texts
from tests.life.texts import Side


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One tunnel; its connection, child and interface have its name."""

    name: str
    number: int
    kind: str
    family: int
    """Of the outer addresses: 4 or 6."""
    private: bool = False
    more: str = ""
    """Further lines of the policy of `a`."""

    @property
    def outer(self) -> tuple[str, str]:
        """Outer addresses of `a` and `b`."""
        prefix = "192.0.2." if self.family == 4 else "2001:db8::"
        return f"{prefix}1", f"{prefix}1{self.number}"

    @property
    def inner(self) -> tuple[str, str]:
        """Inner IPv4 addresses of `a` and `b`."""
        return f"10.255.{self.number}.1", f"10.255.{self.number}.2"

    @property
    def keys(self) -> str:
        """Lines of the child in swanctl.conf."""
        names = ("if_id_in", "if_id_out") if self.kind == "xfrm" else ("mark_in", "mark_out")
        return "\n".join(f"{name} = {self.number}" for name in names)


BGP = """
[tunnel.bgp]
neighbor = "10.255.1.2"
local_as = 65001
remote_as = 65002
"""

PROBE = """
[tunnel.probe]
interval = "2s"
"""

ALWAYS = """
presence = "always"
local = "2001:db8::1"
remote = "2001:db8::15"
mark = 5
esp = "aes256gcm16"
"""

TUNNELS = (
    Tunnel("four", 1, "vti", 4, more=f"sysctls = {{ipv4 = {{send_redirects = 0}}}}\n{PROBE}{BGP}"),
    Tunnel(
        "six", 2, "vti", 6, more='routes = [{to = "10.102.0.0/16"}, {to = "2001:db8:102::/48"}]'
    ),
    Tunnel("xfrm", 3, "xfrm", 4, more='routes = [{to = "10.103.0.0/16", metric = 7, table = 103}]'),
    Tunnel("in4", 4, "vti", 4, private=True, more=f'routes = [{{to = "0.0.0.0/0"}}]\n{PROBE}'),
    Tunnel("in6", 5, "vti", 6, private=True, more=ALWAYS),
    Tunnel("inx", 6, "xfrm", 4, private=True, more="sysctls = {ipv6 = {hop_limit = 77}}"),
)

DEFAULTS = """
[defaults.probe]
mtu = false
"""
"""A search that a fault has cut short would begin again minutes later only."""

WAYS = ("local", "remote")

DPD = " dpd_delay = 2s"


def swanctl_conf(*, at_a: bool, without: str = "", narrow: bool = False) -> str:
    """Write all connections but one for an end.

    `narrow` leaves the outer addresses out of the selectors: charon's kernel-libipsec, which is
    there where the kernel has no ESP, routes what they have into its own tunnel.
    """
    found = []
    for tunnel in TUNNELS:
        if tunnel.name != without:
            number, ends = tunnel.number, ("1", "2") if at_a else ("2", "1")
            hosts = [
                f"{way}_ts = 10.200.{number}.{end}/32" for way, end in zip(WAYS, ends, strict=True)
            ]
            ts = "\n".join(hosts) if narrow else texts.EVERYTHING
            side = Side(texts.child(tunnel.name, tunnel.keys, ts=ts), DPD)
            ends = tunnel.outer if at_a else tunnel.outer[::-1]
            found.append(texts.connection(*ends, side, tunnel.name))
    return "".join(found)


def policies(*, at_a: bool, private: str = "", bird: str = "", without: str = "") -> str:
    """Write all policies but one for an end; `a` has charon initiate, and does all the rest."""
    found = [DEFAULTS]
    for tunnel in TUNNELS:
        if tunnel.name == without:
            continue
        end = 1 if at_a else 2
        addresses = f'"{tunnel.inner[end - 1]}/30", "2001:db8:ff:{tunnel.number}::{end}/64"'
        lines = [
            "[[tunnel]]",
            f'connection = "{tunnel.name}"',
            f'child = "{tunnel.name}"',
            f'interface = "{tunnel.name}"',
            f'kind = "{tunnel.kind}"',
            f"addresses = [{addresses}]",
        ]
        if at_a:
            lines += ["initiate = true", tunnel.more]
            lines.insert(1, f'netns = "{private if tunnel.private else ""}"')
        found.append("\n".join(lines))
    return "\n".join([*found, bird, ""])
