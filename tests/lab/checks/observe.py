"""What the lab's checks look at: the kernel, nftables, charon, BIRD and vtid of a gateway.

Rules of this file: it only reads; where something is not there it raises `CheckError`.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from typing import TYPE_CHECKING, Any, Protocol

from tests.lab.machine.shell import CheckError, run
from tests.lab.topology.speakers import SPEAKERS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.topology.figures import Gateway, Tunnel
    from tests.lab.topology.speakers import Speaker


class Place(Protocol):
    """Where the daemons of a gateway have their files: `vtid.sock`, `charon.vici`, …"""

    @property
    def name(self) -> str: ...
    def path(self, name: str, /) -> Path: ...


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def control(gateway: Place, path: str, method: str = "GET") -> str:
    """GET from vtid's control socket, or POST to it."""
    connection = _UnixConnection(str(gateway.path("vtid.sock")))
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        raise CheckError(f"{gateway.name}: vtid does not answer: {error!r}") from None
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise CheckError(
            f"{gateway.name}: vtid answers {path} with {response.status}: {body[:200]}"
        )
    return body


def metric(gateway: Place, name: str, **labels: str) -> float:
    """Sum of a metric's series that have these labels. Raises `CheckError` if there are none."""
    total, found = 0.0, False
    for line in control(gateway, "/metrics").splitlines():
        series, _, value = line.rpartition(" ")
        if series.split("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
            total, found = total + float(value), True
    if not found:
        raise CheckError(f"{gateway.name}: no metric {name} {labels or ''}")
    return total


def expect_ready(gateway: Place) -> None:
    """Raise `CheckError` with what vtid waits for if it is not ready."""
    status = json.loads(control(gateway, "/v1/status"))
    if not status["ready"]:
        raise CheckError(f"{gateway.name}: vtid waits for {', '.join(status['waiting_for'])}")


def tunnel_status(tunnel: Tunnel) -> dict[str, Any]:
    """vtid's own view of a tunnel."""
    for found in json.loads(control(tunnel.here, "/v1/status"))["tunnels"]:
        if found["interface"] == tunnel.interface:
            return dict(found)
    raise CheckError(f"{tunnel.here.name}: vtid has no tunnel {tunnel.interface}")


def link(tunnel: Tunnel) -> dict[str, Any]:
    """The VTI with its addresses, as `ip -d -j address` shows it in the private namespace."""
    for found in json.loads(run(tunnel.here.private, "ip", "-d", "-j", "address")):
        if found.get("ifname") == tunnel.interface:
            return dict(found)
    raise CheckError(f"{tunnel.here.name}: no interface {tunnel.interface}")


def clamps(tunnel: Tunnel) -> dict[str, int]:
    """MSS of the interface in each map of table `inet vtid` that has it."""
    return elements(run(tunnel.here.private, "nft", "list", "ruleset"), tunnel.interface)


def elements(ruleset: str, interface: str) -> dict[str, int]:
    """Value of an interface in each map of a ruleset that has it."""
    found = {}
    for name, body in re.findall(r"map (\w+) \{(.*?)\n\t\}", ruleset, re.DOTALL):
        if element := re.search(rf'"{interface}" : (\d+)', body):
            found[name] = int(element[1])
    return found


def birdc(gateway: Gateway, speaker: Speaker, *command: str) -> str:
    """What a BIRD of the private side answers."""
    return run(gateway.private, "birdc", "-s", str(speaker.socket(gateway)), *command)


def swanctl(gateway: Gateway, *arguments: str, limit: float = 60) -> str:
    """Run swanctl against the gateway's charon."""
    uri = f"unix://{gateway.path('charon.vici')}"
    env = {"STRONGSWAN_CONF": str(gateway.path("strongswan.conf"))}
    return run(gateway.public, "swanctl", *arguments, "--uri", uri, limit=limit, env=env)


def child_sas(gateway: Gateway) -> list[tuple[str, str]]:
    """State and algorithms of each CHILD_SA, from `swanctl --list-sas`."""
    text = swanctl(gateway, "--list-sas")
    return re.findall(r"#\d+, reqid \d+, (\w+), TUNNEL, ESP:(\S+)", text)


def vtictl(gateway: Place, *arguments: str) -> tuple[str, ...]:
    """Return the command line of vtictl for this gateway's vtid."""
    path = str(gateway.path("vtid.sock"))
    return ("python3", "-m", "vtid.ctl.main", *arguments, "--socket", path)


def reconfigurations(gateway: Gateway) -> int:
    """How often BIRDs took a new configuration, by their logs."""
    return sum(
        speaker.log(gateway).read_text().count("<INFO> Reconfigured") for speaker in SPEAKERS
    )
