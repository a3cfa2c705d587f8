"""In the machine: two gateways as pods, a tunnel, BGP and a ping, and restarts under the ping.

Rules of this file: everything is asked of podman, charon, BIRD and vtid as an operator would.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAYOUT = Path("/out/sidecar/images")
ETC = Path("/src/etc/sidecar")
WORK = Path("/run/sidecar")
NETWORK = "gateways"
ADDRESSES = {"a": "10.99.0.11", "b": "10.99.0.12"}
PATIENCE = 240.0
"""Seconds until a condition that does not come true fails the trial."""

PEER = "fd00:1::1"
"""Address of `b` on the tunnel."""


class TrialError(Exception):
    """Something is not as it must be; the text says what."""


def podman(*arguments: str, check: bool = True) -> str:
    """Run podman; return what it says."""
    command = ["podman", "--cgroup-manager=cgroupfs", *arguments]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if check and done.returncode:
        raise TrialError(f"podman {' '.join(arguments)}: {done.stderr.strip() or done.stdout}")
    return done.stdout + done.stderr


def inside(gateway: str, container: str, *command: str, check: bool = True) -> str:
    """Run a command in a container of a gateway's pod."""
    return podman("exec", f"gateway-{gateway}-{container}", *command, check=check)


def eventually(what: str, condition: Callable[[], bool]) -> float:
    """Wait until a condition holds; return the seconds that it took."""
    started = time.monotonic()
    while True:
        try:
            if condition():
                return time.monotonic() - started
            why = ""
        except TrialError as error:
            why = f": {error}"
        if time.monotonic() - started > PATIENCE:
            raise TrialError(f"not within {PATIENCE:.0f} s: {what}{why}")
        time.sleep(0.5)


# --- the pods ------------------------------------------------------------------------------------


def prepare() -> None:
    """Make the machine fit for podman, and load the images."""
    subprocess.run(  # noqa: S602 - a script of our own
        "mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup; "
        "mount --make-rshared /; sysctl -qw net.ipv4.ip_forward=1; mkdir -p /run/sidecar",
        shell=True,
        check=True,
    )
    for name in ("charon", "bird", "vtid"):
        identity = podman("pull", "--quiet", f"oci:{LAYOUT}:{name}").split()[-1]
        podman("tag", identity, f"localhost/{name}:latest")
    podman("network", "create", "--subnet", "10.99.0.0/24", "--disable-dns", NETWORK)


def play(gateway: str) -> None:
    """Start a gateway's pod from the manifest in etc/, with the configuration of that gateway."""
    pod, config = ((ETC / name).read_text() for name in ("pod.yaml", "config.yaml"))
    config = of_b(config) if gateway == "b" else config
    pod, config = (text.replace("gateway", f"gateway-{gateway}") for text in (pod, config))
    for name, text in (("pod", pod), ("config", config)):
        (WORK / f"{name}-{gateway}.yaml").write_text(text)
    podman(
        *("kube", "play", "--network", f"{NETWORK}:ip={ADDRESSES[gateway]}"),
        *("--configmap", f"{WORK}/config-{gateway}.yaml", f"{WORK}/pod-{gateway}.yaml"),
    )


def of_b(config: str) -> str:
    """Turn the configuration of `a` into that of its peer."""
    swaps = (
        ("10.99.0.12", "10.99.0.11"),
        ("router id 10.99.0.11", "router id 10.99.0.12"),
        ("      b {\n", "      a {\n"),
        ("id = a }", "id = B }"),
        ("id = b }", "id = a }"),
        ("id = B }", "id = b }"),
        ("start_action = trap|start", "start_action = trap"),
        ("close_action = start\n", "close_action = none\n"),
        ("dpd_action = restart", "dpd_action = clear"),
        ('connection = "b"', 'connection = "a"'),
        ("169.254.1.0/31", "169.254.1.1/31"),
        ("fd00:1::/127", "fd00:1::1/127"),
        ('neighbor = "fd00:1::1"', 'neighbor = "fd00:1::"'),
        ("local_as = 65001", "local_as = 1"),
        ("remote_as = 65002", "remote_as = 65001"),
        ("local_as = 1\n", "local_as = 65002\n"),
        ("route 192.0.2.0/24", "route 198.51.100.0/24"),
    )
    for old, new in swaps:
        if old not in config:
            raise TrialError(f"etc/sidecar/config.yaml has no {old!r} any more")
        config = config.replace(old, new)
    return config


# --- what must hold ------------------------------------------------------------------------------


def ready(gateway: str) -> bool:
    """Whether vtid is ready."""
    return inside(gateway, "vtid", "vtictl", "ready").startswith("ready")


def up(gateway: str) -> bool:
    """Whether the tunnel and its BGP session are up, and nothing is in trouble."""
    said = inside(gateway, "vtid", "vtictl", "status", check=False)
    return (
        bool(re.search(r"^[ab] +vti42 +up .* up +\S+$", said, re.MULTILINE)) and "\n!" not in said
    )


def learnt(gateway: str) -> bool:
    """Whether BIRD has the other one's prefix."""
    prefix = "198.51.100.0/24" if gateway == "a" else "192.0.2.0/24"
    said = inside(gateway, "bird", "birdc", "-s", "/run/bird/bird.ctl", "show", "route")
    return f"{prefix} " in said.replace("\t", " ")


@dataclass
class Ping:
    """A ping through the tunnel, five times a second."""

    process: subprocess.Popen[str]

    def end(self) -> tuple[int, int]:
        """End it; return the requests, and those without a reply."""
        self.process.send_signal(2)
        said = self.process.communicate(timeout=30)[0]
        found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        if found is None:
            raise TrialError(f"ping says {said!r}")
        return int(found[1]), int(found[1]) - int(found[2])


@contextmanager
def pinging() -> Iterator[Ping]:
    """Ping the peer's address on the tunnel from the pod of `a`."""
    pid = podman("inspect", "--format", "{{.State.Pid}}", "gateway-a-charon").strip()
    infra = podman("pod", "inspect", "--format", "{{.InfraContainerID}}", "gateway-a").strip()
    pid = podman("inspect", "--format", "{{.State.Pid}}", infra).strip() or pid
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "ping", "-i", "0.2", "-n", PEER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Ping(process)
        finally:
            process.kill()


def restart(container: str, most: int) -> str:
    """Restart a container of `a` under the ping; return the figures."""
    with pinging() as ping:
        time.sleep(2)
        podman("restart", "--time", "10", f"gateway-a-{container}")
        eventually(f"vtid is ready after {container}", lambda: ready("a"))
        seconds = eventually(f"up after {container}", lambda: up("a") and up("b"))
        time.sleep(2)
        sent, lost = ping.end()
    if lost > most:
        raise TrialError(f"restart of {container}: {lost} of {sent} pings lost, {most} allowed")
    return f"{lost} of {sent} pings lost; up {seconds:.0f} s after ready"


def healthy() -> str:
    """Run the health check of the manifest, and look at what vtid may do."""
    podman("healthcheck", "run", "gateway-a-vtid")
    status = inside("a", "vtid", "cat", "/proc/1/status")
    capabilities = re.search(r"CapEff:\s+(\w+)", status)
    if capabilities is None or int(capabilities[1], 16) != 1 << 12:
        raise TrialError(f"capabilities of vtid: {capabilities and capabilities[1]}")
    return "health check passes; CapEff is CAP_NET_ADMIN alone"


def ping_once() -> str:
    """Ping through the tunnel, small and large."""
    with pinging() as ping:
        time.sleep(3)
        sent, lost = ping.end()
    if lost:
        raise TrialError(f"{lost} of {sent} pings lost")
    return f"0 of {sent} lost"


STEPS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("both are ready", lambda: f"{max(_wait(one, ready) for one in 'ab'):.0f} s"),
    ("tunnel and BGP are up", lambda: f"{max(_wait(one, up) for one in 'ab'):.0f} s"),
    ("prefixes are learnt", lambda: f"{max(_wait(one, learnt) for one in 'ab'):.0f} s"),
    ("ping through the tunnel", ping_once),
    ("health and privilege", healthy),
    ("vtid restarts under the ping", lambda: restart("vtid", 0)),
    ("BIRD restarts under the ping", lambda: restart("bird", 0)),
    ("charon restarts under the ping", lambda: restart("charon", 600)),
)


def _wait(gateway: str, condition: Callable[[str], bool]) -> float:
    return eventually(f"{condition.__name__} on {gateway}", lambda: condition(gateway))


def main() -> int:
    """Run the trial; return 0 if everything holds."""
    try:
        prepare()
        for gateway in ADDRESSES:
            play(gateway)
        for name, step in STEPS:
            print(f"PASS  {name}: {step()}", flush=True)
    except TrialError as error:
        print(f"FAIL  {error}", flush=True)
        for gateway in ADDRESSES:
            for container in ("charon", "bird", "vtid"):
                print(f"--- {container} of {gateway}", flush=True)
                print(podman("logs", "--tail", "25", f"gateway-{gateway}-{container}", check=False))
            print(inside(gateway, "vtid", "vtictl", "status", check=False), flush=True)
        return 1
    print(f"{len(STEPS)} passed, 0 failed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
