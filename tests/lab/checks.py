"""The lab's checks: what has to hold between two gateways, each a function that can fail.

A check returns what it saw, for the table, or raises `CheckError` with what is there instead.

Rules of this file: checks in `UP` only look, so they can be asked again and again while the lab
comes up; those in `EVENTS` do something to the running lab, one after the other, and leave it as
they found it.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab import figures, observe
from tests.lab.figures import CBC, GCM, HOLD_SECONDS, Router, Tunnel
from tests.lab.shell import CheckError, Daemon, eventually, inside, output, pinging, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.figures import Gateway

LINK_GROUP = 0x76746964
OUTSIDE_MTU = 1500
COUNTERS = (
    "vtid_netlink_writes_total",
    "vtid_nft_transactions_total",
    "vtid_bird_reconfigurations_total",
)


@dataclass(frozen=True, slots=True)
class Daemons:
    """The three daemons of a gateway."""

    charon: Daemon
    bird: Daemon
    vtid: Daemon


@dataclass(frozen=True, slots=True)
class Lab:
    """A running pair of gateways; of the two, `a` starts the tunnel."""

    a: Gateway
    b: Gateway
    daemons: dict[Gateway, Daemons]
    out: Path

    @property
    def tunnels(self) -> tuple[Tunnel, Tunnel]:
        """The tunnel as either end has it."""
        return Tunnel(self.a, self.b), Tunnel(self.b, self.a)

    @property
    def routers(self) -> tuple[Router, Router]:
        """The hosts behind the gateways."""
        return Router(self.a.site), Router(self.b.site)


def expect(what: str, seen: object, wanted: object) -> None:
    """Raise `CheckError` where something is not what was wanted."""
    if seen != wanted:
        raise CheckError(f"{what} is {seen!r}, not {wanted!r}")


# --- what holds while the tunnel is up -----------------------------------------------------------


def sas_up(lab: Lab) -> str:
    for gateway in (lab.a, lab.b):
        installed = [alg for state, alg in observe.child_sas(gateway) if state == "INSTALLED"]
        expect(f"{gateway.name}: CHILD_SAs", installed, ["AES_GCM_16-256"])
    return "AES_GCM_16-256, one on each side"


def ready(lab: Lab) -> str:
    for gateway in (lab.a, lab.b):
        observe.control(gateway, "/readyz")
        expect(f"{gateway.name}: vtid_ready", observe.metric(gateway, "vtid_ready"), 1)
    return "/readyz answers 200"


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
    """Packets of the outside MTU that must not be fragmented are told the tunnel's MTU."""

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
                with _arriving_syn(there.netns) as syn, _arriving_syn(here.netns) as answer:
                    run(here.netns, "bash", "-c", f"exec 3<>/dev/tcp/{address}/7", limit=20)
                expect(f"MSS in the SYN to {address}", syn.mss(), ("S", mss))
                expect(f"MSS in the SYN-ACK of {address}", answer.mss(), ("S.", mss))
        return f"SYN and SYN-ACK arrive with {wanted - 40} and {wanted - 60}, from both sides"

    return check


@dataclass(slots=True)
class _Syn:
    """tcpdump's line about the first packet with SYN that arrived."""

    line: str = ""

    def mss(self) -> tuple[str, int]:
        found = re.search(r"Flags \[(S\.?)\].*mss (\d+)", self.line)
        if not found:
            raise CheckError(f"no MSS in {self.line!r}")
        return found[1], int(found[2])


@contextmanager
def _arriving_syn(netns: str) -> Iterator[_Syn]:
    condition = "tcp[tcpflags] & tcp-syn != 0 or (ip6 proto 6 and ip6[53] & 2 != 0)"
    command = inside(netns, "tcpdump", "-nn", "-l", "-i", "eth0", "-Q", "in", "-c", "1", condition)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    syn = _Syn()
    try:
        while "listening on" not in (line := process.stderr.readline()):
            if not line:
                raise CheckError("tcpdump does not start")
        yield syn
        syn.line = process.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        raise CheckError(f"{netns}: no SYN has arrived") from None
    finally:
        process.kill()
        process.communicate()


def bgp_established(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        protocols = observe.birdc(tunnel.here, "show", "protocols")
        if not re.search(rf"{tunnel.bgp} +BGP .* Established", protocols):
            lines = [line for line in protocols.splitlines() if "BGP" in line]
            raise CheckError(f"{tunnel.here.name}: {tunnel.bgp}: {lines or 'no such protocol'}")
    return "on both"


def routes_learnt(lab: Lab) -> str:
    for tunnel in lab.tunnels:
        there = Router(tunnel.there.site)
        routes = observe.birdc(tunnel.here, "show", "route", "protocol", tunnel.bgp)
        for network in (there.network6, there.network4):
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
        expect("vtid_bgp_up", observe.metric(gateway, "vtid_bgp_up", protocol=tunnel.bgp), 1)
    return "tunnel up, its MTU, BGP up"


def main_namespace_clean(lab: Lab) -> str:
    for gateway in (lab.a, lab.b):
        expect(f"{gateway.name}: nftables", run(gateway.public, "nft", "list", "ruleset"), "")
        links = json.loads(run(gateway.public, "ip", "-j", "link"))
        expect(
            "interfaces",
            {found["ifname"] for found in links} - {"ip6_vti0", "ip_vti0"},
            {"lo", "eth0", "dummy0"},
        )
    return "no table and no VTI there"


# --- what must not matter, or must have its effect -----------------------------------------------


def rekey(lab: Lab) -> str:
    tunnel = lab.tunnels[0]
    before, writes = observe.link(tunnel)["ifindex"], _counters(lab.a)
    old = _child_ids(lab.a)
    with _undisturbed(lab):
        observe.swanctl(lab.a, "--rekey", "--child", lab.b.name)
        eventually(lambda: _expect_replaced(lab.a, old), 30)
    expect("ifindex", observe.link(tunnel)["ifindex"], before)
    expect("writes", _counters(lab.a), writes)
    return f"no packet lost, ifindex {before} kept, nothing written"


def _child_ids(gateway: Gateway) -> set[str]:
    return set(re.findall(r"#(\d+), reqid \d+, INSTALLED", observe.swanctl(gateway, "--list-sas")))


def _expect_replaced(gateway: Gateway, old: set[str]) -> None:
    new = _child_ids(gateway)
    if not new or new & old:
        raise CheckError(f"{gateway.name}: CHILD_SAs {new}, before the rekey {old}")


def _counters(gateway: Gateway) -> dict[str, float]:
    return {name: observe.metric(gateway, name) for name in COUNTERS}


@contextmanager
def _undisturbed(lab: Lab) -> Iterator[None]:
    """While it lasts, R1 pings R2 without a loss, and nothing happens to the VTI of `a`."""
    tunnel, there = lab.tunnels[0], lab.routers[1]
    events = lab.out / "ip-monitor.log"
    with (
        pinging(lab.routers[0].netns, there.address6, lab.out / "ping6.log") as ping6,
        pinging(lab.routers[0].netns, there.address4, lab.out / "ping4.log") as ping4,
        _monitoring(lab.a.private, events),
    ):
        yield
        ping6.wait_for(50)
        ping4.wait_for(50)
    for ping in (ping6, ping4):
        lost, received = ping.lost()
        if lost:
            raise CheckError(f"{lost} packets lost of {lost + received}")
    about = [line for line in events.read_text().splitlines() if tunnel.interface in line]
    expect(f"netlink events about {tunnel.interface}", about, [])


@contextmanager
def _monitoring(netns: str, log: Path) -> Iterator[None]:
    """Write down links, addresses and routes of a namespace as they change."""
    with log.open("w") as file:
        command = inside(netns, "ip", "-o", "monitor", "link", "address", "route")
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: _leave_mark(netns, log, "lab-begin"), 20)
        yield
        eventually(lambda: _leave_mark(netns, log, "lab-end"), 20)
    finally:
        process.kill()
        process.wait()


def _leave_mark(netns: str, log: Path, mark: str) -> None:
    """Make an event of our own and see it written down: so all before it are, too."""
    run(netns, "ip", "link", "set", "dummy0", "alias", mark)
    if mark not in log.read_text():
        raise CheckError(f"ip monitor has not seen {mark}")


def kill_and_restart(lab: Lab) -> str:
    return _restart(lab, signal.SIGKILL)


def stop_and_restart(lab: Lab) -> str:
    return _restart(lab, signal.SIGTERM)


def _restart(lab: Lab, number: signal.Signals) -> str:
    """End vtid of `a` and start it again: the data path must not notice."""
    tunnel, vtid = lab.tunnels[0], lab.daemons[lab.a].vtid
    index, reconfigured = observe.link(tunnel)["ifindex"], observe.last_reconfiguration(lab.a)
    with _undisturbed(lab):
        status = vtid.stop(number)
        vtid.start()
        eventually(lambda: ready(lab), 60)
        eventually(lambda: metrics(lab), 30)
    expect("exit status", status, -9 if number == signal.SIGKILL else 0)
    expect("writes", _counters(lab.a), dict.fromkeys(COUNTERS, 0.0))
    expect("ifindex", observe.link(tunnel)["ifindex"], index)
    expect("BIRD's last reconfiguration", observe.last_reconfiguration(lab.a), reconfigured)
    return "no packet lost; 0 netlink writes, 0 nft transactions, 0 reconfigurations"


def other_ciphers(lab: Lab) -> str:
    """Change the ESP proposal: the same interface gets the MTU that follows, and goes back."""
    index = observe.link(lab.tunnels[0])["ifindex"]
    for esp, size in ((CBC, 1406), (GCM, 1426)):
        _load(lab, esp)
        eventually(lambda size=size: mtu(size)(lab), 60)  # type: ignore[misc]
        eventually(lambda size=size: clamped(size)(lab), 30)  # type: ignore[misc]
        eventually(lambda: bgp_established(lab), 60)
        eventually(lambda: pings(lab), 30)
        too_big(size)(lab)
        seen_mss(size)(lab)
    expect("ifindex", observe.link(lab.tunnels[0])["ifindex"], index)
    return "MTU 1406, MSS 1366 and 1346, told and seen; then 1426 again, ifindex kept"


def _load(lab: Lab, esp: str) -> None:
    """Give both charons a connection with this proposal and make the SAs anew, responder first."""
    for gateway, peer in ((lab.b, lab.a), (lab.a, lab.b)):
        file = gateway.path("swanctl.conf")
        file.write_text(figures.swanctl_conf(gateway, (peer,), esp))
        observe.swanctl(gateway, "--load-conns", "--file", str(file))


def terminate(lab: Lab) -> str:
    """End the SAs: after the hold time, all that belonged to the tunnel is gone, on both sides."""
    observe.swanctl(lab.a, "--terminate", "--ike", lab.b.name)
    eventually(lambda: _expect_gone(lab), HOLD_SECONDS + 30)
    for tunnel in lab.tunnels:
        status = observe.tunnel_status(tunnel)
        expect("state", status["state"], "down")
        name = status["tunnel"]
        expect("vtid_tunnel_up", observe.metric(tunnel.here, "vtid_tunnel_up", tunnel=name), 0)
    return "no interface, MSS elements, BIRD block, route; vtid_tunnel_up 0"


def _expect_gone(lab: Lab) -> None:
    for tunnel in lab.tunnels:
        links = [
            found["ifname"] for found in json.loads(run(tunnel.here.private, "ip", "-j", "link"))
        ]
        if tunnel.interface in links:
            raise CheckError(f"{tunnel.here.name}: {tunnel.interface} is still there")
        expect("MSS elements", observe.clamps(tunnel), {})
        if tunnel.bgp in tunnel.here.path("vtid.private.conf").read_text():
            raise CheckError(f"{tunnel.here.name}: {tunnel.bgp} is still in BIRD's file")
        if tunnel.bgp in observe.birdc(tunnel.here, "show", "protocols"):
            raise CheckError(f"{tunnel.here.name}: {tunnel.bgp} is still in BIRD")
        network = Router(tunnel.there.site).network6
        expect("route", run(tunnel.here.private, "ip", "-6", "route", "show", network), "")


def foreign_interface(lab: Lab) -> str:
    """An interface of somebody else that has our name is reported and left alone."""
    tunnel = lab.tunnels[0]
    run(lab.a.private, "ip", "link", "add", tunnel.interface, "type", "dummy")
    try:
        observe.swanctl(lab.a, "--initiate", "--child", lab.b.name)
        error = eventually(lambda: _error_of(tunnel), 30)
        found = observe.link(tunnel)
        expect("kind", found["linkinfo"]["info_kind"], "dummy")
        if "UP" in found["flags"]:
            raise CheckError(f"{tunnel.interface} of somebody else was set up")
    finally:
        run(lab.a.private, "ip", "link", "delete", tunnel.interface)
    eventually(lambda: interface(lab), 60)
    return f"untouched; {error!r}; ours comes once it is away"


def _error_of(tunnel: Tunnel) -> str:
    status = observe.tunnel_status(tunnel)
    expect("state", status["state"], "error")
    if tunnel.interface not in status["error"]:
        raise CheckError(f"error is {status['error']!r}")
    return str(status["error"])


def all_back(lab: Lab) -> str:
    for check in UP:
        eventually(lambda check=check: check.look(lab), 60)  # type: ignore[misc]
    return f"all {len(UP)} checks hold again"


def no_trouble_logged(lab: Lab) -> str:
    for gateway in (lab.a, lab.b):
        words = lab.daemons[gateway].vtid.log.read_text(errors="replace")
        if "Traceback" in words:
            raise CheckError(
                f"{gateway.name}: vtid logged a traceback: {lab.daemons[gateway].vtid.log}"
            )
    return "no traceback in either log"


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table."""

    name: str
    look: Callable[[Lab], str]


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
    Check("Packet Too Big tells the MTU", too_big(1426)),
    Check("MSS seen in real connections", seen_mss(1426)),
    Check("metrics say so", metrics),
    Check("the public namespace has nothing of ours", main_namespace_clean),
)

EVENTS = (
    Check("rekey of the CHILD_SA", rekey),
    Check("kill -9 of vtid and restart", kill_and_restart),
    Check("SIGTERM of vtid and restart", stop_and_restart),
    Check("other ciphers, other MTU", other_ciphers),
    Check("swanctl --terminate", terminate),
    Check("somebody else's interface with our name", foreign_interface),
    Check("up again", all_back),
    Check("vtid's log", no_trouble_logged),
)
