"""What holds between two gateways while their tunnel is up.

Rules of this file: a check only looks, and can be asked again and again.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

from tests.lab.checks import observe
from tests.lab.checks.checks import Check, Lab, expect
from tests.lab.checks.traffic import arriving_syn
from tests.lab.machine.shell import CheckError, output, run
from tests.lab.topology.figures import Router
from tests.lab.topology.speakers import SPEAKERS

if TYPE_CHECKING:
    from collections.abc import Callable

LINK_GROUP = 0x76746964
OUTSIDE_MTU = 1500


def sas_up(lab: Lab) -> str:
    for gateway in (lab.a, lab.b):
        installed = [alg for state, alg in observe.child_sas(gateway) if state == "INSTALLED"]
        expect(f"{gateway.name}: CHILD_SAs", installed, ["AES_GCM_16-256"])
    return "AES_GCM_16-256, one on each side"


def ready(lab: Lab) -> str:
    for gateway in (lab.a, lab.b):
        observe.expect_ready(gateway)
        expect(f"{gateway.name}: vtid_ready", observe.metric(gateway, "vtid_ready"), 1)
    return "it waits for nothing"


def interface(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        link = observe.link(tunnel)
        info, mark = link["linkinfo"], f"0.0.0.{tunnel.mark}"
        expect("kind", info["info_kind"], "vti6")
        ends = (tunnel.here.address, tunnel.there.address)
        expect("local, remote", (info["info_data"]["local"], info["info_data"]["remote"]), ends)
        keys = (info["info_data"]["ikey"], info["info_data"]["okey"])
        expect("ikey, okey", keys, (mark, mark))
        if "UP" not in link["flags"]:
            raise CheckError(f"{tunnel.interface} is down")
    return "vti6, keys 3 and 1, up, in the private namespaces"


def ownership(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        link = observe.link(tunnel)
        expect("group", int(link["group"], 0), LINK_GROUP)
        if not link.get("ifalias", "").startswith("vtid:"):
            raise CheckError(f"alias is {link.get('ifalias')!r}")
    return f"group {LINK_GROUP:#x}, alias {link['ifalias']}"


def outer_namespace(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        nsid = observe.link(tunnel).get("link_netnsid")
        known = run(tunnel.here.private, "ip", "netns", "list-id")
        if f"nsid {nsid} (iproute2 netns name: {tunnel.here.public})" not in known:
            raise CheckError(f"{tunnel.interface}: link-netnsid {nsid} of {known.strip()!r}")
    return "link-netns is the public namespace"


def interface_settings(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        base = f"/proc/sys/net/ipv4/conf/{tunnel.interface}"
        files = (f"{base}/disable_policy", f"{base}/rp_filter")
        expect(
            "disable_policy, rp_filter", run(tunnel.here.private, "cat", *files).split(), ["1", "0"]
        )
    return "disable_policy 1, rp_filter 0"


def addresses(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        info = observe.link(tunnel)["addr_info"]
        seen = {f"{a['local']}/{a['prefixlen']}" for a in info if a["scope"] == "global"}
        seen |= {f"{a['local']}/{a['prefixlen']}" for a in info if a["local"] == tunnel.inner4}
        expect(tunnel.interface, seen, {f"{tunnel.inner6}/127", f"{tunnel.inner4}/31"})
    return "/127 and /31 on both"


def mtu(wanted: int) -> Callable[[Lab], str]:
    def check(lab: Lab) -> str:
        for tunnel in lab.tunnels:
            expect(f"MTU of {tunnel.interface}", observe.link(tunnel)["mtu"], wanted)
        return f"{wanted} on both"

    return check


def clamped(wanted: int) -> Callable[[Lab], str]:
    mss4, mss6 = wanted - 40, wanted - 60

    def check(lab: Lab) -> str:
        maps = {"mss4_out": mss4, "mss4_in": mss4, "mss6_out": mss6, "mss6_in": mss6}
        for tunnel in lab.tunnels:
            expect(f"MSS elements of {tunnel.interface}", observe.clamps(tunnel), maps)
        return f"{mss4} and {mss6}, in and out, on both"

    return check


def too_big(wanted: int) -> Callable[[Lab], str]:
    """Packets of the outer MTU with DF are answered with the tunnel's MTU."""

    def check(lab: Lab) -> str:
        for here, there in (lab.routers, lab.routers[::-1]):
            run(here.netns, "ip", "-6", "route", "flush", "cache")
            run(here.netns, "ip", "-4", "route", "flush", "cache")
            for address, headers, words in (
                (there.address6, 48, f"Packet too big: mtu={wanted}"),
                (there.address4, 28, f"Frag needed and DF set (mtu = {wanted})"),
            ):
                size = str(OUTSIDE_MTU - headers)
                command = ("ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", size, address)
                answer = output(here.netns, *command)
                if words not in answer:
                    raise CheckError(
                        f"{here.netns}: {address}: no {words!r} in {answer.split(chr(10))[1]!r}"
                    )
        return f"told {wanted} for IPv6 and IPv4, from both sides"

    return check


def seen_mss(wanted: int) -> Callable[[Lab], str]:
    """SYN and SYN-ACK of real connections carry the clamped MSS when they arrive."""

    def check(lab: Lab) -> str:
        for here, there in (lab.routers, lab.routers[::-1]):
            for address, mss in ((there.address4, wanted - 40), (there.address6, wanted - 60)):
                with arriving_syn(there.netns) as syn, arriving_syn(here.netns) as answer:
                    run(here.netns, "bash", "-c", f"exec 3<>/dev/tcp/{address}/7", limit=20)
                expect(f"MSS in the SYN to {address}", syn.mss(), ("S", mss))
                expect(f"MSS in the SYN-ACK of {address}", answer.mss(), ("S.", mss))
        return f"SYN and SYN-ACK arrive with {wanted - 40} and {wanted - 60}, from both sides"

    return check


def bgp_established(lab: Lab) -> str:
    for tunnel, speaker in product(lab.tunnels, SPEAKERS):
        protocols = observe.birdc(tunnel.here, speaker, "show", "protocols")
        if not re.search(rf"{tunnel.bgp} +BGP .* Established", protocols):
            lines = [line for line in protocols.splitlines() if "BGP" in line]
            where = f"{tunnel.here.name}: {speaker.program}: {tunnel.bgp}"
            raise CheckError(f"{where}: {lines or 'no such protocol'}")
    return f"on both, in {' and '.join(speaker.program for speaker in SPEAKERS)}"


def routes_learnt(lab: Lab) -> str:
    for tunnel, speaker in product(lab.tunnels, SPEAKERS):
        there = Router(tunnel.there.site)
        routes = observe.birdc(tunnel.here, speaker, "show", "route", "protocol", tunnel.bgp)
        networks = {"ipv6": there.network6, "ipv4": there.network4}
        for network in (networks[family] for family in speaker.families):
            if not re.search(rf"{network} .*\(160\)", routes):
                raise CheckError(f"{tunnel.here.name}: BIRD has not learnt {network}: {routes!r}")
    return "both prefixes on both, preference 160"


def routes_in_kernel(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        there = Router(tunnel.there.site)
        for family, network in (("-6", there.network6), ("-4", there.network4)):
            route = run(
                tunnel.here.private, "ip", family, "route", "show", network, "proto", "bird"
            )
            if f"dev {tunnel.interface}" not in route:
                raise CheckError(f"{tunnel.here.name}: kernel route to {network}: {route!r}")
    return "both prefixes on both, through the VTI"


def pings(lab: Lab) -> str:
    for here, there in (lab.routers, lab.routers[::-1]):
        for address in (there.address6, there.address4):
            run(here.netns, "ping", "-n", "-c", "1", "-W", "2", address)
    return "R1 and R2 reach each other, IPv6 and IPv4"


def no_policy_missed(lab: Lab) -> str:
    """Some kernels drop what a VTI receives, counted as XfrmInNoPols (strongSwan issue 2647)."""
    before = _without_policy(lab)
    pings(lab)
    expect("more XfrmInNoPols", _without_policy(lab) - before, 0)
    return f"XfrmInNoPols stays {before} in all namespaces, with pings in both families"


def _without_policy(lab: Lab) -> int:
    namespaces = (ns for gateway in (lab.a, lab.b) for ns in (gateway.public, gateway.private))
    statistics = (run(netns, "cat", "/proc/net/xfrm_stat") for netns in namespaces)
    return sum(int(re.findall(r"XfrmInNoPols\s+(\d+)", text)[0]) for text in statistics)


def interco(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        run(tunnel.here.private, "fping", "-q", tunnel.peer6, tunnel.peer4)
    return "the inner addresses answer"


def metrics(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        gateway, name = tunnel.here, observe.tunnel_status(tunnel)["tunnel"]
        expect("vtid_tunnel_up", observe.metric(gateway, "vtid_tunnel_up", tunnel=name), 1)
        size = observe.metric(gateway, "vtid_tunnel_mtu_bytes", tunnel=name)
        expect("vtid_tunnel_mtu_bytes", size, observe.link(tunnel)["mtu"])
        up = observe.metric(gateway, "vtid_bgp_up", protocol=tunnel.bgp)
        expect("vtid_bgp_up", up, len(SPEAKERS))
    return "tunnel up, its MTU, BGP up"


def main_namespace_clean(lab: Lab) -> str:
    for gateway in (lab.a, lab.b):
        expect(f"{gateway.name}: nftables", run(gateway.public, "nft", "list", "ruleset"), "")
        links = run(gateway.public, "ip", "-o", "link", "show", "group", str(LINK_GROUP))
        expect(f"{gateway.name}: links of ours", links, "")
    return "no table and no VTI there"


UP = (
    Check("IKE_SA and CHILD_SA are up", sas_up),
    Check("vtid is ready", ready),
    Check("VTI with the SA's ends and marks", interface),
    Check("ownership is marked on it", ownership),
    Check("its outer side is in the public namespace", outer_namespace),
    Check("its IPv4 settings", interface_settings),
    Check("its addresses", addresses),
    Check("its MTU follows the ciphers", mtu(1426)),
    Check("MSS elements", clamped(1426)),
    Check("BGP is established", bgp_established),
    Check("prefixes are learnt", routes_learnt),
    Check("prefixes are in the kernel", routes_in_kernel),
    Check("pings through the tunnel", pings),
    Check("pings to the inner addresses", interco),
    Check("no packet lacks an IPsec policy", no_policy_missed),
    Check("Packet Too Big tells the MTU", too_big(1426)),
    Check("MSS seen in real connections", seen_mss(1426)),
    Check("metrics say so", metrics),
    Check("the public namespace has nothing of ours", main_namespace_clean),
)
