"""In the machine: two gateways as pods, a tunnel, BGP and a ping, and restarts under the ping.

Rules of this file: everything is asked of podman, charon, BIRD and vtid as an operator would.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.checks.traffic import pinging
from tests.lab.machine.shell import CheckError, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

LAYOUT = Path("/out/sidecar/images")
ETC = Path("/src/etc/sidecar")
WORK = Path("/run/sidecar")
NETWORK = "gateways"
ADDRESSES = {"a": "10.99.0.11", "b": "10.99.0.12"}
CONTAINERS = ("charon", "bird", "vtid")
PATIENCE = 240.0
"""Seconds until a condition that does not come true fails the trial."""

AFTERWARDS = 100
"""Further pings that must be answered once all is up again: two seconds of them."""

LEFT_OUT = ("pip", "setuptools", "pkg_resources", "wheel", "ensurepip", "cc1", "make")
"""Files and folders that only a build needs."""

UP = re.compile(r"^[ab] +up +\S+ +vti42 .* up +\S+$", re.MULTILINE)
"""The row of `vtictl tunnels --wide`: the tunnel is up, and so is its BGP session."""

PEER = "fd00:1::1"
"""Address of `b` on the tunnel."""


def podman(*arguments: str) -> str:
    """Run podman; return what it says. Raises `CheckError` with its complaint."""
    command = ["podman", "--cgroup-manager=cgroupfs", *arguments]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise CheckError(f"podman {' '.join(arguments)}: {done.stderr.strip() or done.stdout}")
    return done.stdout + done.stderr


def ask(gateway: str, container: str, *command: str) -> str:
    """Run a command in a container of a gateway's pod."""
    return podman("exec", f"gateway-{gateway}-{container}", *command)


def seconds_until(look: Callable[[], object]) -> float:
    """Wait until a look raises no `CheckError`; return the seconds that it took."""
    started = time.monotonic()
    eventually(look, PATIENCE)
    return time.monotonic() - started


# --- the pods ------------------------------------------------------------------------------------


def prepare() -> None:
    """Make the machine fit for podman, and load the images."""
    subprocess.run(  # noqa: S602 - a script of our own
        "mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup; "
        "mount --make-rshared /; sysctl -qw net.ipv4.ip_forward=1; mkdir -p /run/sidecar",
        shell=True,
        check=True,
    )
    for name in CONTAINERS:
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
            raise CheckError(f"etc/sidecar/config.yaml has no {old!r} any more")
        config = config.replace(old, new)
    return config


# --- what must hold ------------------------------------------------------------------------------


def ready(gateway: str) -> None:
    """Check that vtid is ready."""
    ask(gateway, "vtid", "vtictl", "ready")


def up(gateway: str) -> None:
    """Check that the tunnel and its BGP session are up."""
    said = ask(gateway, "vtid", "vtictl", "tunnels", "--wide")
    if not UP.search(said):
        raise CheckError(f"vtictl tunnels on {gateway}:\n{said}")


def learnt(gateway: str) -> None:
    """Check that BIRD has the other one's prefix."""
    prefix = "198.51.100.0/24" if gateway == "a" else "192.0.2.0/24"
    said = ask(gateway, "bird", "birdc", "-s", "/run/bird/bird.ctl", "show", "route")
    if f"{prefix} " not in said.replace("\t", " "):
        raise CheckError(f"no {prefix} on {gateway}:\n{said}")


def on_both(look: Callable[[str], None]) -> str:
    """Wait until both gateways are as they must be."""
    return f"{max(seconds_until(partial(look, gateway)) for gateway in ADDRESSES):.0f} s"


def pinged(most: int, meanwhile: Callable[[], str] = str) -> str:
    """Ping the peer through the tunnel from the pod of `a` while something happens; count."""
    pod = podman("pod", "inspect", "--format", "{{.InfraContainerID}}", "gateway-a").strip()
    netns = podman("inspect", "--format", "{{.NetworkSettings.SandboxKey}}", pod).strip()
    with pinging(Path(netns).name, PEER, WORK / "ping.log") as ping:
        result = meanwhile()
        ping.wait_for(AFTERWARDS)
    lost, replies = ping.lost()
    if lost > most:
        raise CheckError(f"{lost} of {lost + replies} pings lost, {most} allowed")
    return f"{lost} of {lost + replies} pings lost" + result


def restarted(container: str, most: int) -> str:
    """Restart a container of `a` under the ping; return the figures."""

    def restart() -> str:
        podman("restart", "--time", "10", f"gateway-a-{container}")
        seconds_until(partial(ready, "a"))
        return f"; up {on_both(up)} after ready"

    return pinged(most, restart)


def slim() -> str:
    """Look for what an image has only to be built; return the sizes."""
    look = f"/ -xdev ( {' -o '.join(f'-name {name}' for name in LEFT_OUT)} )"
    run = ("run", "--rm", "--network", "none", "--entrypoint")
    if found := podman(*run, "find", "localhost/vtid", *look.split()):
        raise CheckError(f"in the image of vtid: {found}")
    megabytes = int(podman("image", "inspect", "--format", "{{.Size}}", "localhost/vtid")) / 1e6
    environment = ask("a", "vtid", "du", "-sm", "/opt/vtid").split()[0]
    return f"{megabytes:.0f} MB, of them {environment} in /opt/vtid; none of {' '.join(LEFT_OUT)}"


def healthy() -> str:
    """Run the health check of the manifest, and look at what vtid may do."""
    podman("healthcheck", "run", "gateway-a-vtid")
    status = ask("a", "vtid", "cat", "/proc/1/status")
    capabilities = re.search(r"CapEff:\s+(\w+)", status)
    if capabilities is None or int(capabilities[1], 16) != 0b11 << 12:
        raise CheckError(f"capabilities of vtid: {capabilities and capabilities[1]}")
    return "health check passes; CapEff is CAP_NET_ADMIN and CAP_NET_RAW alone"


STEPS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("both are ready", partial(on_both, ready)),
    ("tunnel and BGP are up", partial(on_both, up)),
    ("prefixes are learnt", partial(on_both, learnt)),
    ("ping through the tunnel", partial(pinged, 0)),
    ("health and privilege", healthy),
    ("the image is slim", slim),
    ("vtid restarts under the ping", partial(restarted, "vtid", 0)),
    ("BIRD restarts under the ping", partial(restarted, "bird", 0)),
    ("charon restarts under the ping", partial(restarted, "charon", 300)),
)


def main() -> int:
    """Run the trial; return 0 if everything holds."""
    try:
        prepare()
        for gateway in ADDRESSES:
            play(gateway)
        for name, step in STEPS:
            print(f"PASS  {name}: {step()}", flush=True)
    except CheckError as error:
        print(f"FAIL  {error}", flush=True)
        for gateway in ADDRESSES:
            for container in CONTAINERS:
                print(f"--- {container} of {gateway}", flush=True)
                print_anyway("logs", "--tail", "25", f"gateway-{gateway}-{container}")
            print_anyway("exec", f"gateway-{gateway}-vtid", "vtictl", "status")
        return 1
    print(f"{len(STEPS)} passed, 0 failed", flush=True)
    return 0


def print_anyway(*arguments: str) -> None:
    """Print what podman says, also that it fails."""
    try:
        print(podman(*arguments), flush=True)
    except CheckError as error:
        print(error, flush=True)


if __name__ == "__main__":
    sys.exit(main())
