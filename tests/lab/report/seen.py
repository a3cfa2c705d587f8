"""What each gateway's daemons report of its tunnels, now: vtid's `/v1/status` and BIRD itself.

Rules of this file: nothing is taken from the plan but the names of gateways by their public
addresses. Who does not answer is reported as such, and so is what only one of the two knows.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab.checks import direct, observe
from tests.lab.machine.shell import CheckError
from tests.lab.report import drawing
from tests.lab.report.results import GatewayState, TunnelState
from tests.lab.topology.figures import IPV4, MESH, PLANS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.lab.topology.figures import Gateway

OUT = Path("/out/topology.svg")
NAMES = {gateway.address: gateway.name for plan in PLANS for gateway in plan.gateways}
NETNS = Path("/run/netns")


def gateways(running: Sequence[Gateway]) -> tuple[GatewayState, ...]:
    """Ask the daemons of gateways."""
    return tuple(gateway_state(one, *_ask(one)) for one in running)


def _ask(gateway: Gateway) -> tuple[dict[str, Any] | None, str | None]:
    """What vtid and BIRD say, None for one that does not answer."""
    try:
        status = json.loads(observe.control(gateway, "/v1/status"))
    except (CheckError, ValueError):
        status = None
    try:
        return status, direct.private_bird(gateway, "show protocols")
    except CheckError:
        return status, None


def gateway_state(
    gateway: Gateway, status: Mapping[str, Any] | None, protocols: str | None
) -> GatewayState:
    """Read what the daemons of a gateway said."""
    tunnels = status["tunnels"] if status else ()
    return GatewayState(
        name=gateway.name,
        site=gateway.site,
        number=gateway.number,
        address=gateway.address,
        answers=status is not None,
        tunnels=tuple(_tunnel(gateway, tunnel, protocols) for tunnel in tunnels),
    )


def _tunnel(gateway: Gateway, tunnel: Mapping[str, Any], protocols: str | None) -> TunnelState:
    link, clamp = tunnel["link"] or {}, tunnel["clamp"] or {}
    sessions = [session["protocol"] for session in tunnel["bgp"]]
    return TunnelState(
        interface=tunnel["interface"],
        gateway=gateway.name,
        peer=_peer(tunnel),
        state=tunnel["state"],
        mtu=link.get("mtu"),
        mss4=clamp.get("mss4"),
        mss6=clamp.get("mss6"),
        bgp=", ".join(sessions),
        bgp_state=", ".join(dict.fromkeys(bgp_state(name, protocols) for name in sessions)),
        reason=tunnel["error"] or tunnel["reason"],
    )


def _peer(tunnel: Mapping[str, Any]) -> str:
    """Name of the other end: by its address, or as the policy calls the connection."""
    remote = [sa["remote_host"] for sa in tunnel["sas"]]
    remote += [tunnel["link"]["remote"]] if tunnel["link"] else []
    names = [NAMES.get(address, address) for address in remote]
    return names[-1] if names else str(tunnel["policy"].partition("/")[0])


def bgp_state(name: str, protocols: str | None) -> str:
    """State of a session in `show protocols`: BIRD's info column, its state column without it.

    Two BIRDs 1.6 have a session of the same name each.
    """
    if protocols is None:
        return "BIRD does not answer"
    rows = (line.split(maxsplit=5) for line in protocols.splitlines())
    found = [row[-1].strip() if len(row) > 5 else row[3] for row in rows if _is(name, row)]
    return ", ".join(dict.fromkeys(found)) or "not in BIRD"


def _is(name: str, row: Sequence[str]) -> bool:
    return list(row[:2]) == [name, "BGP"] and len(row) > 3


def main() -> int:
    """Draw the gateways that there are, as they are now."""
    plan = MESH if list(NETNS.glob("*-private")) else IPV4
    here = [gateway for gateway in plan.gateways if gateway.folder.is_dir()]
    taken = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    OUT.write_text(drawing.svg("vtid's lab", gateways(here), taken))
    print(f"{OUT}: {', '.join(gateway.name for gateway in here) or 'no gateway runs here'}")
    return 0 if here else 1


if __name__ == "__main__":
    sys.exit(main())
