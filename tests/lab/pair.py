"""The main job on two gateways: V1-1 and V2-1 with a charon, a BIRD (1.6: two) and a vtid each.

    R1 ── eth2 V1-1-private ┄ vti3 ┄ V1-1 ── eth0 ── V2-1 ┄ vti1 ┄ V2-1-private eth2 ── R2

It runs inside the lab (`python -m tests.lab.host run -- python3 -m tests.lab.pair`), shows what a
person wants to see, and ends with a table of checks and `N passed, N failed`.

Rules of this file: whatever happens, daemons are ended and namespaces removed; what the daemons
said stays in the output folder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.checks import holds, observe
from tests.lab.checks.checks import Check, Daemons, Lab
from tests.lab.checks.events import EVENTS
from tests.lab.machine import keep, shell
from tests.lab.machine.shell import CheckError, daemon, eventually, run
from tests.lab.machine.versions import versions
from tests.lab.report import report, seen
from tests.lab.report.table import Table, show
from tests.lab.report.transcript import transcript
from tests.lab.topology import birds, settings, topology
from tests.lab.topology.figures import GCM, METRICS_PORT, Gateway, Router
from tests.lab.topology.settings import PATIENT
from tests.lab.topology.speakers import SPEAKERS, command

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT = Path("/out")
UP_PATIENCE = 15.0
"""Seconds in which what should be there may come."""
PAIR = (Gateway(1, 1), Gateway(2, 1))
ECHO = """import socket
server = socket.create_server(("::", 7), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    server.accept()[0].close()
"""


def main() -> int:
    """Run the lab; the exit status is 0 if every check passed."""
    table = Table()
    try:
        with running(table) as lab:
            _come_up(lab, table)
            _show(lab)
            for check in (*holds.UP, *EVENTS):
                _check(lab, check, table)
            _report(table)
            keep.hold()
    except (CheckError, OSError, subprocess.SubprocessError) as error:
        table.add("the lab comes up", passed=False, detail=str(error))
        _report(table)
    return table.exit_status()


def _report(table: Table) -> None:
    table.print()
    report.write(OUT, table.results("pair", versions(), seen.gateways(PAIR)))


@contextmanager
def running(table: Table) -> Iterator[Lab]:
    """Two gateways with their daemons, responder loaded; the tunnel is still to be started."""
    with ExitStack() as stack:
        with table.phase("namespaces"):
            stack.enter_context(topology.built(PAIR))
            for gateway in PAIR:
                _listen(stack, Router(gateway.site).netns)
        with table.phase("charon, BIRD, vtid"):
            daemons = {gateway: _start(stack, gateway) for gateway in PAIR}
            lab = Lab(*PAIR, daemons, OUT)
            for gateway in PAIR:
                eventually(partial(_expect_started, lab, gateway), 60)
        yield lab


def _listen(stack: ExitStack, netns: str) -> None:
    """Give the checks a TCP port to connect to."""
    stack.enter_context(daemon(netns, "python3", "-S", "-c", ECHO, log=OUT / f"{netns}.log"))


def _start(stack: ExitStack, gateway: Gateway) -> Daemons:
    """Write a gateway's files and start its daemons."""
    peers = tuple(peer for peer in PAIR if peer != gateway)
    stack.callback(_keep_logs, gateway)
    gateway.folder.mkdir(parents=True)
    for name, text in (
        ("strongswan.conf", settings.strongswan_conf(gateway, PATIENT)),
        ("swanctl.conf", settings.swanctl_conf(gateway, peers, GCM, PATIENT)),
        *((f"{one.program}.conf", birds.without_ospf(gateway, one)) for one in SPEAKERS),
        ("vtid.toml", settings.vtid_toml(gateway, peers, PATIENT)),
    ):
        gateway.path(name).write_text(text)
    env = {"STRONGSWAN_CONF": str(gateway.path("strongswan.conf"))}
    vtid = ("python3", "-m", "vtid", "--config", str(gateway.path("vtid.toml")))

    def start(netns: str, words: tuple[str, ...], name: str) -> shell.Daemon:
        log = gateway.path(f"{name}.out.log")
        return stack.enter_context(daemon(netns, *words, log=log, env=env))

    def start_bird(name: str) -> shell.Daemon:
        return start(gateway.private, command(name, gateway.folder, name), name)

    return Daemons(
        charon=start(gateway.public, ("/usr/sbin/charon-systemd",), "charon"),
        birds=tuple(start_bird(one.program) for one in SPEAKERS),
        vtid=start(gateway.public, vtid, "vtid"),
    )


def _keep_logs(gateway: Gateway) -> None:
    for file in (*gateway.folder.glob("*.log"), *gateway.folder.glob("*.conf")):
        shutil.copy(file, OUT / f"{gateway.public}-{file.name}")


def _expect_started(lab: Lab, gateway: Gateway) -> None:
    daemons = lab.daemons[gateway]
    for one in (daemons.charon, *daemons.birds, daemons.vtid):
        one.check_alive()
    observe.swanctl(gateway, "--stats")
    for speaker in SPEAKERS:
        observe.birdc(gateway, speaker, "show", "status")
    observe.expect_ready(gateway)


def _come_up(lab: Lab, table: Table) -> None:
    """Load the connections, the responder's first, and wait for all that follows."""
    with table.phase("connections loaded"):
        for gateway in (lab.b, lab.a):
            observe.swanctl(gateway, "--load-all", "--file", str(gateway.path("swanctl.conf")))
    for what, look in (
        ("SAs", holds.sas_up),
        ("interfaces", holds.interface),
        ("BGP", holds.bgp_established),
    ):
        # A failure is left to the checks, so that all that is there is shown first.
        with table.phase(what), suppress(CheckError):
            eventually(partial(look, lab), 60)


def _check(lab: Lab, check: Check, table: Table) -> None:
    patience = UP_PATIENCE if check in holds.UP else 0
    table.begin()
    with transcript() as commands:

        def look() -> str:
            commands.clear()
            return check.look(lab)

        try:
            detail, passed = eventually(look, patience), True
        except (CheckError, OSError, LookupError, ValueError) as error:
            detail, passed = str(error) or repr(error), False
    table.add(check.name, passed=passed, detail=detail, commands=commands)


def _show(lab: Lab) -> None:
    """What a person wants to see of V1-1."""
    gateway, tunnel = lab.a, lab.tunnels[0]
    for word in ("status", "tunnels"):
        said = shell.inside(gateway.public, *observe.vtictl(gateway, word))
        show(f"[{gateway.public}] vtictl {word}", said)
    show("swanctl --list-sas", text=observe.swanctl(gateway, "--list-sas"))
    questions = [
        ("birdc", "-s", str(speaker.socket(gateway)), "show", what)
        for speaker in SPEAKERS
        for what in ("protocols", "route")
    ]
    for what in (
        ("ip", "-d", "address", "show", "dev", tunnel.interface),
        *questions,
        ("nft", "list", "table", "inet", "vtid"),
    ):
        show(f"[{gateway.private}] {' '.join(what)}", shell.inside(gateway.private, *what))
    r1, r2 = lab.routers
    for address in (r2.address6, r2.address4):
        ping = ("ping", "-n", "-c", "2", "-i", "0.2", address)
        show(f"[{r1.netns}] {' '.join(ping)}", shell.inside(r1.netns, *ping))
    url = f"http://127.0.0.1:{METRICS_PORT}/metrics"
    fetch = f"import urllib.request as r; print(r.urlopen('{url}').read().decode())"
    text = run(gateway.public, "python3", "-c", fetch)
    wanted = (
        "vtid_tunnel_up",
        "vtid_tunnel_mtu",
        "vtid_tunnel_mss",
        "vtid_tunnel_info",
        "vtid_bgp_up",
    )
    lines = [line for line in text.splitlines() if line.startswith(wanted)]
    show(f"[{gateway.public}] {url}", text="\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
