"""What must hold while all six gateways are up, or those that are left.

Rules of this file: a check only looks, and can be asked again and again; it returns what it saw or
raises `CheckError` with what is there instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab import direct, settings
from tests.lab.checks import expect
from tests.lab.figures import SITES, Router
from tests.lab.probes import connections, tracing
from tests.lab.shell import CheckError
from tests.lab.transcript import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.figures import Gateway, Tunnel
    from tests.lab.stations import Mesh

OUTSIDE_MTU = 1500
GCM_MTU = 1426
FALLBACK = {"ip_vti0", "ip6_vti0", "ip6tnl0", "sit0", "tunl0"}
"""Interfaces that the kernel's modules make in every namespace; they are down."""


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the report."""

    name: str
    look: Callable[[Mesh], str]


def up_tunnels(mesh: Mesh) -> list[Tunnel]:
    """Return the tunnels whose two ends are up, as either end has them."""
    return [
        tunnel
        for gateway in mesh.up
        for tunnel in settings.tunnels(gateway)
        if tunnel.there in mesh.up
    ]


def _tunnels(mesh: Mesh, gateway: Gateway) -> list[Tunnel]:
    return [tunnel for tunnel in up_tunnels(mesh) if tunnel.here == gateway]


def _remote_sites(gateway: Gateway) -> list[Router]:
    return [Router(site) for site in SITES if site != gateway.site]


def pings(mesh: Mesh) -> str:
    del mesh
    commands, pairs = [], []
    for here, there in permutations(map(Router, SITES), 2):
        for source, target in ((here.address6, there.address6), (here.address4, there.address4)):
            pairs.append(f"R{here.site} → {target}")
            commands.append((here.netns, _ping(source, target)))
    for pair, text in zip(pairs, direct.run_all(commands), strict=True):
        if "2 received" not in text:
            raise CheckError(f"{pair}: {_last(text)}")
    return f"{len(pairs)} pairs, IPv6 and IPv4"


def _ping(source: str, target: str) -> tuple[str, ...]:
    return ("ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-I", source, target)


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-2:]) if lines else "no output"


def public_reachable(mesh: Mesh) -> str:
    commands = [
        (one.public, ("fping", "-S", one.address, *(o.address for o in mesh.up if o != one)))
        for one in mesh.up
    ]
    for (netns, _), text in zip(commands, direct.run_all(commands), strict=True):
        expect(f"{netns}: alive", text.count("is alive"), len(mesh.up) - 1)
    return f"each of {len(mesh.up)} reaches all others"


def sas(mesh: Mesh) -> str:
    for gateway in mesh.up:
        found = direct.ike_sas(gateway)
        for tunnel in _tunnels(mesh, gateway):
            ikes = found.get(tunnel.there.name, [])
            what = f"{gateway.name}: {tunnel.there.name}"
            expect(f"{what}: IKE_SAs", [sa["state"] for sa in ikes], ["ESTABLISHED"])
            states = [child["state"] for child in direct.children(ikes)]
            expect(f"{what}: CHILD_SAs", states, ["INSTALLED"])
    return f"{_per_gateway(mesh)} IKE_SAs ESTABLISHED and CHILD_SAs INSTALLED on each"


def _per_gateway(mesh: Mesh) -> str:
    counts = {len(_tunnels(mesh, gateway)) for gateway in mesh.up}
    return " or ".join(map(str, sorted(counts)))


def vtid_ready(mesh: Mesh) -> str:
    for gateway in mesh.up:
        status = direct.status(gateway)
        if not status["ready"]:
            raise CheckError(f"{gateway.name}: vtid waits for {status['waiting_for']}")
        states = {one["interface"]: one["state"] for one in status["tunnels"]}
        for tunnel in _tunnels(mesh, gateway):
            expect(f"{gateway.name}: {tunnel.interface}", states.get(tunnel.interface), "up")
    return f"ready, {_per_gateway(mesh)} tunnels up on each"


def interco(mesh: Mesh) -> str:
    commands = []
    for gateway in mesh.up:
        there = _tunnels(mesh, gateway)
        targets = [address for tunnel in there for address in (tunnel.peer6, tunnel.peer4)]
        commands.append((gateway.private, ("fping", *targets)))
    for (netns, command), text in zip(commands, direct.run_all(commands), strict=True):
        dead = [line for line in text.splitlines() if not line.endswith("is alive")]
        if dead or len(text.splitlines()) != len(command) - 1:
            raise CheckError(f"{netns}: {dead or text}")
    return "all inner addresses answer through the tunnels"


def bgp(mesh: Mesh) -> str:
    for gateway in mesh.up:
        text = direct.private_bird(gateway, "show protocols")
        up = set(re.findall(r"^(IBGP_\w+) +BGP .*Established", text, re.MULTILINE))
        expect(f"{gateway.name}: Established", up, {one.bgp for one in _tunnels(mesh, gateway)})
    return f"{_per_gateway(mesh)} sessions Established on each"


def learnt(mesh: Mesh) -> str:
    """Each remote prefix comes once from each gateway of its site."""
    for gateway in mesh.up:
        routes = _routes(direct.private_bird(gateway, "show route"))
        for router in _remote_sites(gateway):
            wanted = {t.bgp for t in _tunnels(mesh, gateway) if t.there.site == router.site}
            for network in (router.network6, router.network4):
                seen = {name for name in routes.get(network, ()) if name.startswith("IBGP_")}
                expect(f"{gateway.name}: {network} learnt from", seen, wanted)
    return "each remote prefix from each gateway of its site, in both families"


def _routes(text: str) -> dict[str, list[str]]:
    """Protocols that have a route, by prefix, from BIRD's `show route`."""
    found: dict[str, list[str]] = {}
    network = ""
    for line in text.splitlines():
        if match := re.match(r"(\S*)\s+unicast \[(\w+) ", line):
            network = match[1] or network
            found.setdefault(network, []).append(match[2])
    return found


def ecmp(mesh: Mesh) -> str:
    """Both paths are in the kernel's route."""
    commands, wanted = [], []
    for gateway in mesh.up:
        for family in ("-6", "-4"):
            commands.append(
                (gateway.private, ("ip", family, "route", "show", "table", "main", "proto", "bird"))
            )
            wanted.append((gateway, family))
    for (gateway, family), text in zip(wanted, direct.run_all(commands), strict=True):
        for router in _remote_sites(gateway):
            network = router.network6 if family == "-6" else router.network4
            block = re.search(rf"^{re.escape(network)} .*(?:\n\s.*)*", text, re.MULTILINE)
            seen = set(re.findall(r"dev (\S+)", block[0])) if block else set()
            there = {t.interface for t in _tunnels(mesh, gateway) if t.there.site == router.site}
            expect(f"{gateway.name}: kernel's route to {network} by", seen, there)
    return "every remote prefix by the tunnels to both gateways of its site"


def ospf_public(mesh: Mesh) -> str:
    for gateway in mesh.up:
        path = gateway.path("bird-public.ctl")
        direct.bird(gateway.public, path, "show ospf neighbors")
        routes = _routes(direct.bird(gateway.public, path, "show route protocol PUBLIC"))
        wanted = {f"{one.address}/128" for one in mesh.up}
        expect(f"{gateway.name}: OSPFv3 has", {net for net in routes if net in wanted}, wanted)
    return f"{len(mesh.up)} public addresses on each"


def ospf_private(mesh: Mesh) -> str:
    for gateway in mesh.up:
        routes = _routes(direct.private_bird(gateway, "show route"))
        here = Router(gateway.site)
        for network, name in ((here.network6, "PRIVATE6"), (here.network4, "PRIVATE4")):
            if name not in routes.get(network, ()):
                raise CheckError(f"{gateway.name}: {network} is not in {name}")
    return "each gateway has its site's prefixes from OSPF"


def ospf_routers(mesh: Mesh) -> str:
    """Routers have remote prefixes by all gateways of their site."""
    commands = [
        (Router(site).netns, ("ip", family, "route", "show", "proto", "bird"))
        for site in SITES
        for family in ("-6", "-4")
    ]
    for (netns, command), text in zip(commands, direct.run_all(commands), strict=True):
        site = int(netns[1:])
        ways = sum(gateway.site == site for gateway in mesh.up)
        for router in (Router(other) for other in SITES if other != site):
            network = router.network6 if command[1] == "-6" else router.network4
            block = re.search(rf"^{re.escape(network)} .*(?:\n\s.*)*", text, re.MULTILINE)
            seen = len(re.findall(r"via ", block[0])) if block else 0
            expect(f"{netns}: ways to {network}", seen, ways)
    return "every remote prefix by each gateway of the site"


def interface_mtu(wanted: int, mesh: Mesh) -> str:
    for gateway in mesh.up:
        with direct.inside(gateway.private):
            seen = {t.interface: _sysfs_mtu(t.interface) for t in _tunnels(mesh, gateway)}
        note(gateway.private, "MTU of interfaces", str(seen))
        expect(f"{gateway.name}: MTU", set(seen.values()), {wanted})
    return f"{wanted} on all interfaces"


def _sysfs_mtu(interface: str) -> int:
    with Path(f"/proc/sys/net/ipv6/conf/{interface}/mtu").open() as file:
        return int(file.read())


def too_big(wanted: int, mesh: Mesh) -> str:
    """Packets of the outside MTU that must not be fragmented are told the tunnel's MTU."""
    del mesh
    for site in SITES:
        with direct.inside(Router(site).netns):
            Path("/proc/sys/net/ipv4/route/flush").write_text("1")
    commands, words = [], []
    for here, there in permutations(map(Router, SITES), 2):
        for source, target, headers, word in (
            (here.address6, there.address6, 48, f"Packet too big: mtu={wanted}"),
            (here.address4, there.address4, 28, f"Frag needed and DF set (mtu = {wanted})"),
        ):
            size = str(OUTSIDE_MTU - headers)
            ping = ("ping", "-n", "-c", "1", "-W", "3", "-M", "do", "-s", size, "-I", source)
            commands.append((here.netns, (*ping, target)))
            words.append(word)
    for (netns, command), word, text in zip(commands, words, direct.run_all(commands), strict=True):
        if word not in text:
            raise CheckError(f"{netns}: {command[-1]}: no {word!r} in {text.splitlines()[1:2]}")
    return f"told {wanted} on {len(words)} ways, IPv6 and IPv4"


def seen_mss(mtu: int, mesh: Mesh) -> str:
    """SYN and SYN-ACK of real connections carry the clamped MSS when they arrive."""
    wanted = {4: mtu - 40, 6: mtu - 60}
    seen = connections(mesh)
    for packet in seen:
        expect(f"MSS of {packet.what}", packet.mss, wanted[packet.family])
    return f"{wanted[4]} and {wanted[6]} in {len(seen)} SYNs and SYN-ACKs as they arrive"


def no_mark(mesh: Mesh) -> str:
    """No packet has a mark in Netfilter's trace; the probe sees one that is set on purpose."""
    gateway = mesh.up[0]
    seen = []
    for netns, own, wanted in (
        (gateway.private, f"192.168.{gateway.site}.{gateway.number + 10}", r'iif "vti\d+"'),
        (gateway.public, gateway.address, r"nexthdr esp|meta l4proto 50|nexthdr 50"),
    ):
        with tracing(netns, own) as trace:
            pings(mesh)
            interco(mesh)
        marked = [line for line in trace.lines if "mark 0x" in line]
        note(netns, "nft monitor trace (excerpt)", "\n".join(trace.lines[:60]))
        if not re.search(wanted, trace.text):
            raise CheckError(f"{netns}: no packet with {wanted} in the trace")
        if marked:
            raise CheckError(f"{netns}: {marked[0]}")
        if not trace.control_seen:
            raise CheckError(f"{netns}: the probe does not show a mark that is there")
        seen.append(f"{trace.packets} packets in {netns}")
    return f"none on {' and '.join(seen)}; a mark set on purpose is shown"


def apart(mesh: Mesh) -> str:
    """Neither namespace has an interface into the other, nor a route to its addresses."""
    commands = []
    for gateway in mesh.up:
        tunnels = {tunnel.interface for tunnel in _tunnels(mesh, gateway)}
        links = direct.interfaces(gateway.private) - FALLBACK
        expect(f"{gateway.private}: links", links, {"lo", "dummy0", "eth1", "eth2", *tunnels})
        links = direct.interfaces(gateway.public) - FALLBACK
        expect(f"{gateway.public}: links", links, {"lo", "dummy0", "eth0"})
        remote = _remote_sites(gateway)[0]
        peer = _tunnels(mesh, gateway)[0].there
        commands += [
            (gateway.public, ("ip", "-6", "route", "get", remote.address6)),
            (gateway.public, ("ip", "route", "get", remote.address4)),
            (gateway.private, ("ip", "-6", "route", "get", peer.address)),
        ]
    for (netns, command), text in zip(commands, direct.run_all(commands), strict=True):
        if "unreachable" not in text:
            raise CheckError(f"{netns}: {' '.join(command)}: {text.strip()}")
    return "no link from one to the other, no route to the other's addresses"


def encrypted(mesh: Mesh) -> str:
    """Nothing of the inside has been on the public segment; the same filter sees it at a site."""
    words = mesh.leaks.seen()
    note("switch", mesh.leaks.command, words or "nothing")
    if words:
        raise CheckError(f"on the public segment: {words.splitlines()[0]}")
    control = mesh.inside.seen()
    if not control:
        raise CheckError("the same filter sees nothing at site 1 either")
    note("switch", mesh.inside.command, "\n".join(control.splitlines()[:10]))
    return f"nothing of the inside in clear; the same filter saw {control.splitlines()[0][16:60]!r}"


COMING = (
    Check("SAs", sas),
    Check("BGP", bgp),
    Check("routes learnt", learnt),
    Check("both paths in the kernel", ecmp),
    Check("pings", pings),
)

UP = (
    Check("R1, R2 and R3 reach each other", pings),
    Check("gateways reach each other's public address", public_reachable),
    Check("4 IKE_SAs and 4 CHILD_SAs on each", sas),
    Check("vtid is ready, its tunnels are up", vtid_ready),
    Check("inner addresses answer through the tunnels", interco),
    Check("4 BGP sessions are established on each", bgp),
    Check("each remote prefix is learnt twice", learnt),
    Check("both paths are in the kernel's route", ecmp),
    Check("OSPFv3 spreads the public addresses", ospf_public),
    Check("OSPF has each site's prefixes", ospf_private),
    Check("routers know all prefixes, by both gateways", ospf_routers),
    Check("MTU follows the ciphers: 1426", partial(interface_mtu, GCM_MTU)),
    Check("Packet Too Big tells 1426", partial(too_big, GCM_MTU)),
    Check("MSS 1386 and 1366 in SYN and SYN-ACK", partial(seen_mss, GCM_MTU)),
    Check("no mark in Netfilter's trace", no_mark),
    Check("public and private namespace are apart", apart),
    Check("only IPsec leads from one to the other", encrypted),
)
