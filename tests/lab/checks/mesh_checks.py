"""What must hold while all six gateways are up, or those that are left.

Rules of this file: a check only looks, and can be asked again and again; it returns what it saw or
raises `CheckError` with what is there instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.checks import direct, observe
from tests.lab.checks.checks import expect
from tests.lab.checks.probes import connections, tracing
from tests.lab.machine.shell import CheckError, run
from tests.lab.report.transcript import note
from tests.lab.topology import settings
from tests.lab.topology.figures import Router, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.lab.topology.figures import Gateway, Plan, Tunnel
    from tests.lab.topology.stations import Mesh

OUTSIDE_MTU = 1500
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
    return [router for router in gateway.plan.routers if router.site != gateway.site]


def pings(mesh: Mesh) -> str:
    ways = mesh.plan.ways
    commands = [(way.here.netns, _ping(way.source, way.target)) for way in ways]
    for way, text in zip(ways, direct.run_all(commands), strict=True):
        if "2 received" not in text:
            raise CheckError(f"R{way.here.site} → {way.target}: {_last(text)}")
    return f"{len(ways)} pairs, {_versions(mesh)}"


def _versions(mesh: Mesh) -> str:
    return " and ".join(f"IPv{version}" for version in mesh.plan.inside)


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
        targets = [address for tunnel in there for address in tunnel.peers]
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
            for network in router.networks:
                seen = {name for name in routes.get(network, ()) if name.startswith("IBGP_")}
                expect(f"{gateway.name}: {network} learnt from", seen, wanted)
    return f"each remote prefix from each gateway of its site, {_versions(mesh)}"


def _routes(text: str) -> dict[str, list[str]]:
    """Protocols that have a route, by prefix, from BIRD's `show route`; 1.6 has other words."""
    found: dict[str, list[str]] = {}
    network = ""
    for line in text.splitlines():
        if match := re.match(r"(\S*)\s+(?:unicast|multipath|via .*|dev \S+) \[(\w+) ", line):
            network = match[1] or network
            found.setdefault(network, []).append(match[2])
    return found


def ecmp(mesh: Mesh) -> str:
    """Both paths are in the kernel's route."""
    commands, wanted = [], []
    for gateway in mesh.up:
        for family in (f"-{version}" for version in mesh.plan.inside):
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
        wanted = {one.network for one in mesh.up}
        expect(f"{gateway.name}: OSPF has", {net for net in routes if net in wanted}, wanted)
    return f"{len(mesh.up)} public prefixes on each"


def ospf_private(mesh: Mesh) -> str:
    for gateway in mesh.up:
        routes = _routes(direct.private_bird(gateway, "show route"))
        here = Router(gateway.site, mesh.plan)
        for version, network in zip(mesh.plan.inside, here.networks, strict=True):
            if f"PRIVATE{version}" not in routes.get(network, ()):
                raise CheckError(f"{gateway.name}: {network} is not in PRIVATE{version}")
    return "each gateway has its site's prefixes from OSPF"


def ospf_routers(mesh: Mesh) -> str:
    """Routers have remote prefixes by all gateways of their site."""
    commands = [
        (router.netns, ("ip", f"-{version}", "route", "show", "proto", "bird"))
        for router in mesh.plan.routers
        for version in mesh.plan.inside
    ]
    for (netns, command), text in zip(commands, direct.run_all(commands), strict=True):
        site = int(netns[1:])
        ways = sum(gateway.site == site for gateway in mesh.up)
        for router in (other for other in mesh.plan.routers if other.site != site):
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
    """Packets of the outer MTU with DF are answered with the tunnel's MTU."""
    for router in mesh.plan.routers:
        with direct.inside(router.netns):
            Path("/proc/sys/net/ipv4/route/flush").write_text("1")
    ways = mesh.plan.ways
    headers = {6: 48, 4: 28}
    words = {6: f"Packet too big: mtu={wanted}", 4: f"Frag needed and DF set (mtu = {wanted})"}
    commands = []
    for way in ways:
        size = str(OUTSIDE_MTU - headers[way.version])
        ping = ("ping", "-n", "-c", "1", "-W", "3", "-M", "do", "-s", size, "-I", way.source)
        commands.append((way.here.netns, (*ping, way.target)))
    for way, text in zip(ways, direct.run_all(commands), strict=True):
        if (word := words[way.version]) not in text:
            where = f"{way.here.netns}: {way.target}"
            raise CheckError(f"{where}: no {word!r} in {text.splitlines()[1:2]}")
    return f"told {wanted} on {len(ways)} ways, {_versions(mesh)}"


def seen_mss(mtu: int, mesh: Mesh) -> str:
    """SYN and SYN-ACK of real connections carry the clamped MSS when they arrive."""
    wanted = Size("", mtu).mss
    seen = connections(mesh)
    for packet in seen:
        expect(f"MSS of {packet.what}", packet.mss, wanted[packet.family])
    values = " and ".join(str(wanted[version]) for version in sorted(mesh.plan.inside))
    return f"{values} in {len(seen)} SYNs and SYN-ACKs as they arrive"


def clamped(mtu: int, mesh: Mesh) -> str:
    """The maps of the nftables table have the MSS of every tunnel, in and out."""
    mss = Size("", mtu).mss
    wanted = {f"mss{version}_{way}": mss[version] for version in mss for way in ("in", "out")}
    for gateway in mesh.up:
        ruleset = run(gateway.private, "nft", "list", "table", "inet", "vtid")
        for tunnel in _tunnels(mesh, gateway):
            where = f"{gateway.name}: MSS of {tunnel.interface}"
            expect(where, observe.elements(ruleset, tunnel.interface), wanted)
    return f"{mss[4]} and {mss[6]} for every tunnel, in and out"


def no_mark(mesh: Mesh) -> str:
    """No packet has a mark in Netfilter's trace; the probe sees one that is set on purpose."""
    gateway = mesh.up[0]
    seen = []
    inside, outside = r'iif "vti\d+"', r"nexthdr esp|protocol esp|meta l4proto 50|nexthdr 50"
    sides: list[tuple[str, str, tuple[str, ...]]]
    sides = [(gateway.public, gateway.address, (inside, outside))]
    if mesh.plan.split:
        own = gateway.private_address.partition("/")[0]
        sides = [(gateway.private, own, (inside,)), (gateway.public, gateway.address, (outside,))]
    for netns, own, patterns in sides:
        with tracing(netns, own) as trace:
            pings(mesh)
            interco(mesh)
        marked = [line for line in trace.lines if "mark 0x" in line]
        note(netns, "nft monitor trace (excerpt)", "\n".join(trace.lines[:60]))
        for pattern in patterns:
            if not re.search(pattern, trace.text):
                raise CheckError(f"{netns}: no packet with {pattern} in the trace")
        if marked:
            raise CheckError(f"{netns}: {marked[0]}")
        if not trace.control_seen:
            raise CheckError(f"{netns}: the probe does not show a mark that is there")
        seen.append(f"{trace.packets} packets in {netns}")
    return f"none on {' and '.join(seen)}; a mark set on purpose is shown"


def apart(mesh: Mesh) -> str:
    """No packet has a way from the public to the private side, nor back."""
    if mesh.plan.split:
        return _apart_by_namespaces(mesh)
    return _apart_by_rules(mesh)


def _apart_by_rules(mesh: Mesh) -> str:
    """Neither table leads to the other's addresses, whoever's the packet is."""
    commands = []
    for gateway in mesh.up:
        remote, peer = _remote_sites(gateway)[0], _tunnels(mesh, gateway)[0].there
        own = Router(gateway.site, mesh.plan)
        for target, source in (
            (remote.address4, ("from", peer.address, "iif", "eth0")),
            (own.address4, ("from", peer.address, "iif", "eth0")),
            (peer.address, ("from", own.address4, "iif", "eth2")),
            (remote.address4, ("from", gateway.address)),
        ):
            commands.append((gateway.public, ("ip", "route", "get", target, *source)))
    _expect_unreachable(commands)
    return "no route from one side's packets to the other's addresses"


def _expect_unreachable(commands: Sequence[tuple[str, Sequence[str]]]) -> None:
    for (netns, command), text in zip(commands, direct.run_all(commands), strict=True):
        if "unreachable" not in text.lower() and "No route to host" not in text:
            raise CheckError(f"{netns}: {' '.join(command)}: {text.strip()}")


def _apart_by_namespaces(mesh: Mesh) -> str:
    """Neither namespace has an interface into the other, nor a route to its addresses."""
    commands: list[tuple[str, tuple[str, ...]]] = []
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
    _expect_unreachable(commands)
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


SAS = Check("SAs", sas)
COMING = (
    SAS,
    Check("BGP", bgp),
    Check("routes learnt", learnt),
    Check("both paths in the kernel", ecmp),
    Check("routers' paths", ospf_routers),
    Check("pings", pings),
)

ENCRYPTED = Check("only IPsec leads from one to the other", encrypted)


def up(plan: Plan) -> tuple[Check, ...]:
    """Return what must hold while all gateways are up."""
    mtu, mss = plan.size.mtu, plan.size.mss
    sizes = " and ".join(str(mss[version]) for version in sorted(plan.inside))
    return (
        Check("R1, R2 and R3 reach each other", pings),
        Check("gateways reach each other's public address", public_reachable),
        Check("4 IKE_SAs and 4 CHILD_SAs on each", sas),
        Check("vtid is ready, its tunnels are up", vtid_ready),
        Check("inner addresses answer through the tunnels", interco),
        Check("4 BGP sessions are established on each", bgp),
        Check("each remote prefix is learnt twice", learnt),
        Check("both paths are in the kernel's route", ecmp),
        Check("OSPF spreads the public addresses", ospf_public),
        Check("OSPF has each site's prefixes", ospf_private),
        Check("routers know all prefixes, by both gateways", ospf_routers),
        Check(f"MTU follows the ciphers: {mtu}", partial(interface_mtu, mtu)),
        Check(f"Packet Too Big tells {mtu}", partial(too_big, mtu)),
        Check("MSS elements in nftables", partial(clamped, mtu)),
        Check(f"MSS {sizes} in SYN and SYN-ACK", partial(seen_mss, mtu)),
        Check("no mark in Netfilter's trace", no_mark),
        Check("public and private side are apart", apart),
        ENCRYPTED,
    )
