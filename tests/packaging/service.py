"""In the machine: the package takes over from the version before, and is purged, under a ping.

    a  systemd with charon, BIRD and the package ── eth0 ── b  a charon and a vtid from the source
       10.255.0.1 ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ inner ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ 10.255.0.2

Run by `make deb`. The machine has what the package depends on, charon, BIRD, and a kernel with VTI.

Rules of this file: each step is what an administrator types. It writes to the machine's disk, which
is thrown away.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests import charon
from tests.charon import Charon
from tests.lab.checks.checks import expect
from tests.lab.checks.traffic import monitoring, pinging
from tests.lab.machine.forked import import_vtid
from tests.lab.machine.shell import CheckError, eventually, output, run
from tests.life import texts
from tests.life.gateways import Gateway
from tests.life.texts import INTERFACE, End, Side, connection, swanctl_conf
from tests.systemd import Manager, booted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

A, B = End(1), End(2)
INCLUDE = "/var/lib/vtid/bird/main.conf"
BIRD_CONF = "/etc/bird/bird.conf"

CONFIG = f"""{texts.policy(A)}
[tunnel.bgp]
neighbor = "{B.inner4}"
local_as = 65001
remote_as = 65002
present = "always"
[tunnel.probe]
mtu = false
[[bird]]
name = "main"
socket = "/run/bird/bird.ctl"
include = "{INCLUDE}"
"""
"""MTUs are not probed: while dpkg works an emulated processor, answers come too late to count."""

FILES = {
    "/etc/strongswan.d/trial.conf": """
charon {
 install_routes = no
 plugins {
  forecast {
   load = no
  }
 }
}
""",
    "/etc/swanctl/conf.d/trial.conf": swanctl_conf(connection(A.outer4, B.outer4, Side())),
    BIRD_CONF: f"router id {A.outer4};\nprotocol device {{}}\n",
}
"""What the administrator of `a` has before vtid comes: see docs/strongswan.md."""

ENVIRONMENT = (
    *("HOME=/root", "LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"),
    "DEBIAN_FRONTEND=noninteractive",
)
"""Nothing of the lab's, which has vtid's source in PYTHONPATH."""

PATIENCE = 400
"""Seconds for apt: the package compiles its modules, on an emulated processor."""

AFTERWARDS = 100
"""Further pings that must be answered once all is done: a second of them."""

LOOKS = (
    "ip -s -d link",
    "ip address",
    "ip rule",
    "ip route show table all",
    "ip -s xfrm state list nokeys",
    "ip -s xfrm policy",
    "nft list ruleset",
    "cat /proc/thread-self/net/xfrm_stat",
)

UP = "tunnels: 1 up"
"""What the service says of its state."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The gateway with systemd, its packages, and the folder of its peer."""

    systemd: Manager
    before: str
    package: str
    folder: Path

    def run(self, *command: str) -> str:
        """Run a command of an administrator; return what it prints. It has to succeed."""
        line = self.systemd.inside("env", "--ignore-environment", *ENVIRONMENT, *command)
        done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise CheckError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def apt(self, *words: str) -> str:
        """Run apt-get; nothing is fetched."""
        return self.run("apt-get", "--yes", "--quiet", *words)

    def bird_reads(self) -> None:
        """Have BIRD, once it is there, read its configuration again."""
        said = self.run("birdc", "configure")
        if "Reconfigured" not in said:
            raise CheckError(f"birdc configure: {said}")

    def ifindex(self) -> str:
        """Number of the tunnel's interface."""
        return self.run("ip", "-o", "link", "show", INTERFACE).split(":")[0]

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While it lasts, no packet is lost, and nothing happens to the interface."""
        before = self.ifindex()
        events = self.folder / "events.log"
        faster = ("-i", "0.01")
        with (
            pinging("a", B.inner4, self.folder / "ping.log", *faster) as ping,
            monitoring("a", events),
        ):
            yield
            ping.wait_for(AFTERWARDS)
        lost, replies = ping.lost()
        print(f"      {lost} of {lost + replies} pings lost, 100 a second", flush=True)
        expect("pings lost", lost, 0)
        expect("ifindex", self.ifindex(), before)
        seen = [line for line in events.read_text().splitlines() if INTERFACE in line]
        expect("events of the interface", seen, [])


# --- the steps -----------------------------------------------------------------------------------


def installed(trial: Trial) -> str:
    """Install the version before: the service waits for a configuration."""
    for service in ("strongswan", "bird"):
        trial.run("systemctl", "start", service)
    trial.apt("install", trial.before)
    keys = ("UnitFileState", "ActiveState", "ConditionResult")
    expect("service", [trial.systemd.show(key) for key in keys], ["enabled", "inactive", "no"])
    return f"{_version(trial)} is enabled, and not started without a configuration"


def started(trial: Trial) -> str:
    """Write a configuration and start the service: charon, BIRD and the kernel let it in."""
    folder = str(Path(INCLUDE).parent)
    trial.run("install", "-d", "-o", "vtid", "-g", "bird", "-m", "2755", folder)
    trial.run("sh", "-c", f"echo 'include \"{folder}/*.conf\";' >>{BIRD_CONF}")
    eventually(trial.bird_reads, 60)
    _write(trial, "/etc/vtid/vtid.toml", CONFIG)
    trial.run("systemctl", "start", "vtid")
    trial.run("swanctl", "--initiate", "--child", texts.CONNECTION, "--timeout", "60")
    trial.systemd.eventually(lambda: trial.systemd.show("StatusText") == UP)
    trial.systemd.eventually(lambda: INTERFACE in trial.systemd.run("cat", INCLUDE))
    with trial.undisturbed():
        pass
    return f"tunnel up, by the user {trial.run('stat', '-c', '%U', '/run/vtid/control.sock')}"


def upgraded(trial: Trial) -> str:
    """Install the new version under the ping: a vtid runs that has loaded its files."""
    old = trial.systemd.show("MainPID")
    with trial.undisturbed():
        trial.apt("install", trial.package)
        trial.run("vtictl", "wait", "--for", "up", "--timeout", "90")
    new = trial.systemd.show("MainPID")
    mapped = trial.run("grep", "/usr/lib/vtid/", f"/proc/{new}/maps")
    if new == old or "(deleted)" in mapped:
        raise CheckError(f"the old vtid still runs: {mapped}")
    expect("version", _version(trial), trial.package.split("_")[1])
    return f"{_version(trial)} runs; same ifindex, no event of links, addresses or routes"


def purged(trial: Trial) -> str:
    """Purge it under the ping: the tunnel stays, and apt tells what removes what is left."""
    with trial.undisturbed():
        said = trial.apt("purge", "vtid")
    trial.run("systemctl", "restart", "bird")
    trial.run("sed", "-i", "/include/d", BIRD_CONF)
    eventually(trial.bird_reads, 60)
    for command in re.findall(r"^ {4}(.+)$", said, re.MULTILINE):
        trial.run(*shlex.split(command))
    return "BIRD starts, and the tunnel stays up until the commands are used that apt printed"


def traceless(trial: Trial) -> str:
    """Look for whatever could be left, and whether charon does without."""
    for what, command in LEFT.items():
        expect(what, trial.systemd.run("sh", "-c", command), "")
    trial.run("systemctl", "restart", "strongswan")
    return f"no {', '.join(LEFT)}; charon starts without vtid"


ELSEWHERE = " -o ".join(
    f"-path {path}" for path in ("/src", "/out", "/ctl", "/opt/vtid", "/dev", "/proc", "/sys")
)
FIND = rf"find / \( {ELSEWHERE} \) -prune -o"
"""All that is not the lab's or the kernel's."""

LEFT = {
    "file": f"{FIND} -name '*vtid*' -print",
    "file of its user": rf"{FIND} \( -nouser -o -nogroup \) -print",
    "user": "getent passwd vtid",
    "group": "getent group vtid",
    "interface": f"ip -o link show | grep {INTERFACE}",
    "route": "ip route show table all proto 118",
    "nftables table": "nft list tables",
    "unit": "systemctl list-units --all --no-legend 'vtid*'",
    "access to charon": "stat -c %G /run/charon.vici | grep -v root",
}
"""What is looked for, and the command that prints it."""

STEPS: tuple[Callable[[Trial], str], ...] = (installed, started, upgraded, purged, traceless)


def _version(trial: Trial) -> str:
    return trial.run("dpkg-query", "--show", "--showformat=${Version}", "vtid")


def _write(trial: Trial, path: str, text: str) -> None:
    trial.run("sh", "-c", f"umask 027; printf %s {shlex.quote(text)} >{path}")


# --- the two gateways ----------------------------------------------------------------------------


@contextmanager
def gateways(before: str, package: str) -> Iterator[Trial]:
    """Start `a`, and `b` with all that it has."""
    import_vtid()
    with ExitStack() as stack:
        files = (f"printf %s {shlex.quote(text)} >{path}\n" for path, text in FILES.items())
        systemd = stack.enter_context(booted("".join(files)))
        charon.run("ip", "netns", "attach", "a", str(systemd.pid))
        stack.callback(charon.run, "ip", "netns", "delete", "a")
        run("a", "ip", "link", "add", "dummy0", "up", "type", "bridge")  # for `monitoring`
        stack.enter_context(charon.namespace("b"))
        charon.connect("a", "b", [f"{A.outer4}/24"], [f"{B.outer4}/24"])
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vtid-")))
        peer = Gateway(B, stack.enter_context(Charon("b", folder, "")))
        peer.configure(peer.policy())
        peer.start_vtid()
        stack.callback(peer.stop_vtid)
        peer.load(connection(B.outer4, A.outer4, Side()))
        yield Trial(systemd, before, package, folder)


def show() -> None:
    """Print what tells why packets do not arrive."""
    for netns in ("a", "b"):
        for look in LOOKS:
            print(f"[{netns}] {look}\n{output(netns, *look.split())}", flush=True)


def main(before: str, package: str = "") -> int:
    """Run the trial; return 0 if everything holds."""
    with gateways(before, package or before) as trial:
        for step in STEPS:
            try:
                print(f"PASS  {step.__name__}: {step(trial)}", flush=True)
            except (AssertionError, CheckError) as error:
                print(f"FAIL  {step.__name__}: {error}", flush=True)
                show()
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
