"""What must not matter to a running pair of gateways, and what must have its effect.

Rules of this file: a check leaves the lab as it found it or as the next one needs it; they run one
after the other.
"""

from __future__ import annotations

import json
import re
import signal
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tests.lab.checks import holds, observe
from tests.lab.checks.checks import Check, Lab, expect
from tests.lab.checks.traffic import monitoring, pinging
from tests.lab.machine.shell import CheckError, eventually, output, run
from tests.lab.topology import settings
from tests.lab.topology.figures import CBC, GCM, Router, Tunnel
from tests.lab.topology.settings import PATIENT
from tests.lab.topology.speakers import SPEAKERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.topology.figures import Gateway

COUNTERS = (
    "vtid_netlink_writes_total",
    "vtid_nft_transactions_total",
    "vtid_bird_reconfigurations_total",
)


def rekey(lab: Lab) -> str:
    tunnel = lab.tunnels[0]
    before, writes = observe.link(tunnel)["ifindex"], _counters(lab.a)
    old = _child_ids(lab.a)
    with _undisturbed(lab):
        observe.swanctl(lab.a, "--rekey", "--child", lab.b.name)
        eventually(partial(_expect_replaced, lab.a, old), 30)
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
        monitoring(lab.a.private, events),
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


def kill_and_restart(lab: Lab) -> str:
    return _restart(lab, signal.SIGKILL)


def stop_and_restart(lab: Lab) -> str:
    return _restart(lab, signal.SIGTERM)


def _restart(lab: Lab, number: signal.Signals) -> str:
    """End vtid of `a` and start it again: the data path must not notice."""
    tunnel, vtid = lab.tunnels[0], lab.daemons[lab.a].vtid
    index, reconfigured = observe.link(tunnel)["ifindex"], observe.reconfigurations(lab.a)
    with _undisturbed(lab):
        status = vtid.stop(number)
        vtid.start()
        eventually(partial(holds.ready, lab), 60)
        eventually(partial(holds.metrics, lab), 30)
    expect("exit status", status, -9 if number == signal.SIGKILL else 0)
    expect("writes", _counters(lab.a), dict.fromkeys(COUNTERS, 0.0))
    expect("ifindex", observe.link(tunnel)["ifindex"], index)
    expect("BIRD's reconfigurations", observe.reconfigurations(lab.a), reconfigured)
    return "no packet lost; 0 netlink writes, 0 nft transactions, 0 reconfigurations"


def other_ciphers(lab: Lab) -> str:
    """Change the ESP proposal: the same interface gets the MTU that follows, and goes back."""
    index = observe.link(lab.tunnels[0])["ifindex"]
    for esp, mtu in ((CBC, 1406), (GCM, 1426)):
        _load(lab, esp)
        eventually(partial(holds.mtu(mtu), lab), 60)
        eventually(partial(holds.clamped(mtu), lab), 30)
        eventually(partial(holds.bgp_established, lab), 60)
        eventually(partial(holds.pings, lab), 30)
        holds.too_big(mtu)(lab)
        holds.seen_mss(mtu)(lab)
    expect("ifindex", observe.link(lab.tunnels[0])["ifindex"], index)
    return "MTU 1406, MSS 1366 and 1346, told and seen; then 1426 again, ifindex kept"


def _load(lab: Lab, esp: str) -> None:
    """Give both charons a connection with this proposal and make the SAs anew, responder first."""
    for gateway, peer in ((lab.b, lab.a), (lab.a, lab.b)):
        file = gateway.path("swanctl.conf")
        file.write_text(settings.swanctl_conf(gateway, (peer,), esp, PATIENT))
        observe.swanctl(gateway, "--load-conns", "--file", str(file))


def reload(lab: Lab) -> str:
    """`vtictl reload`: no change does nothing, an error keeps the old, a change has its effect."""
    file, command = lab.a.path("vtid.toml"), observe.vtictl(lab.a, "reload")
    good, before = file.read_text(), _counters(lab.a)
    run(lab.a.public, *command)
    expect("writes", _counters(lab.a), before)
    file.write_text(good.replace("hold_time =", "hold_tim =", 1))
    refusal = output(lab.a.public, *command)
    if "hold_tim: unknown key" not in refusal:
        raise CheckError(f"reload of a wrong file says {refusal!r}")
    for text, mtu in (
        (good.replace("[defaults]", "[defaults]\nmtu = 1300", 1), 1300),
        (good, 1426),
    ):
        file.write_text(text)
        run(lab.a.public, *command)
        eventually(partial(_expect_mtu, lab.tunnels[0], mtu), 30)
    holds.pings(lab)
    return "unchanged: nothing written; wrong key: told, the old kept; mtu = 1300: done"


def _expect_mtu(tunnel: Tunnel, mtu: int) -> None:
    expect("MTU", observe.link(tunnel)["mtu"], mtu)
    expect("MSS", observe.clamps(tunnel)["mss4_out"], mtu - 40)


def terminate(lab: Lab) -> str:
    """End the SAs: after the hold time, all that belonged to the tunnel is gone, on both sides."""
    observe.swanctl(lab.a, "--terminate", "--ike", lab.b.name)
    eventually(partial(_expect_gone, lab), PATIENT.hold_time + 30)
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
        for speaker in SPEAKERS:
            if tunnel.bgp in speaker.include(tunnel.here).read_text():
                raise CheckError(f"{tunnel.here.name}: {tunnel.bgp} is still in BIRD's file")
            if tunnel.bgp in observe.birdc(tunnel.here, speaker, "show", "protocols"):
                raise CheckError(f"{tunnel.here.name}: {tunnel.bgp} is still in BIRD")
        network = Router(tunnel.there.site).network6
        expect("route", run(tunnel.here.private, "ip", "-6", "route", "show", network), "")


def foreign_interface(lab: Lab) -> str:
    """A foreign interface with our name is reported and left alone."""
    tunnel = lab.tunnels[0]
    run(lab.a.private, "ip", "link", "add", tunnel.interface, "type", "dummy")
    try:
        observe.swanctl(lab.a, "--initiate", "--child", lab.b.name)
        error = eventually(partial(_error_of, tunnel), 30)
        found = observe.link(tunnel)
        expect("kind", found["linkinfo"]["info_kind"], "dummy")
        if "UP" in found["flags"]:
            raise CheckError(f"{tunnel.interface} is foreign, and was set up")
    finally:
        run(lab.a.private, "ip", "link", "delete", tunnel.interface)
    eventually(partial(holds.interface, lab), 60)
    return f"untouched; {error!r}; ours comes once it is away"


def _error_of(tunnel: Tunnel) -> str:
    status = observe.tunnel_status(tunnel)
    expect("state", status["state"], "error")
    if tunnel.interface not in status["error"]:
        raise CheckError(f"error is {status['error']!r}")
    return str(status["error"])


def all_back(lab: Lab) -> str:
    for check in holds.UP:
        eventually(partial(check.look, lab), 60)
    return f"all {len(holds.UP)} checks hold again"


def no_trouble_logged(lab: Lab) -> str:
    for gateway in (lab.a, lab.b):
        words = lab.daemons[gateway].vtid.log.read_text(errors="replace")
        if "Traceback" in words:
            raise CheckError(
                f"{gateway.name}: vtid logged a traceback: {lab.daemons[gateway].vtid.log}"
            )
    return "no traceback in either log"


EVENTS = (
    Check("rekey of the CHILD_SA", rekey),
    Check("kill -9 of vtid and restart", kill_and_restart),
    Check("SIGTERM of vtid and restart", stop_and_restart),
    Check("other ciphers, other MTU", other_ciphers),
    Check("vtictl reload", reload),
    Check("swanctl --terminate", terminate),
    Check("a foreign interface with our name", foreign_interface),
    Check("up again", all_back),
    Check("vtid's log", no_trouble_logged),
)
