"""What an administrator writes for gateways: strongswan.conf, swanctl.conf, vtid.toml.

Of two gateways the lower one starts the tunnel and starts it again when the peer closes it or is
dead; the higher one answers. So there is never a second IKE_SA from both starting at once, and
only an interface's SA has to be there for vtid to make it: a trap policy would wait for packets of
an interface that does not exist yet.

Rules of this file: text only; nothing of VTIs, MTU, MSS and BGP sessions but in vtid.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.topology.figures import CBC, GCM, METRICS_PORT, PSK, Gateway, Tunnel
from tests.lab.topology.speakers import speakers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.lab.topology.speakers import Speaker


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a gateway notices and forgets, in seconds, and who loads its connections."""

    dpd_delay: float
    hold_time: float
    """How long an interface outlives its last SA."""
    loads: bool
    """Whether charon loads its connections at every start."""
    probe: str = ""
    """Keys of `[defaults.probe]`."""


PROBE_INTERVAL = 5.0
BRISK = Pace(dpd_delay=2, hold_time=3, loads=True, probe=f'interval = "{PROBE_INTERVAL:.0f}s"')
PATIENT = Pace(dpd_delay=30, hold_time=10, loads=False)
"""Longer than a new IKE_SA takes where the processor is emulated; connections by hand."""
RETRANSMITS = (1.0, 1.4, 3)
"""Time-out of the first transmission in seconds, factor, and how many follow it."""
BGP_HOLD_TIME = 6.0


def dead_peer_seconds() -> float:
    """Seconds after which a gateway with short timers gives up a peer that answers no DPD."""
    timeout, base, tries = RETRANSMITS
    return BRISK.dpd_delay + sum(timeout * base**number for number in range(tries + 1))


def peers(gateway: Gateway) -> tuple[Gateway, ...]:
    """Return the gateways of other sites."""
    pairs = (pair for pair in gateway.plan.pairs if gateway in pair)
    return tuple(b if a == gateway else a for a, b in pairs)


def tunnels(gateway: Gateway) -> tuple[Tunnel, ...]:
    """Return the tunnels of a gateway, as it has them."""
    return tuple(Tunnel(gateway, peer) for peer in peers(gateway))


def strongswan_conf(gateway: Gateway, pace: Pace = BRISK) -> str:
    """strongswan.conf: no routes, no virtual addresses, VICI on a socket of its own."""
    return f"""
charon-systemd {{
  load = random nonce openssl kdf kernel-netlink socket-default vici
  install_routes = no
  install_virtual_ip = no
{_start_scripts(gateway) if pace.loads else ""}  journal {{
    default = -1
  }}
  filelog {{
    lab {{
      path = {gateway.path("charon.log")}
      append = yes
      flush_line = yes
      time_format = %T
      time_add_ms = yes
    }}
  }}
  plugins {{
    vici {{
      socket = unix://{gateway.path("charon.vici")}
    }}
  }}
}}
swanctl {{
  load = random
}}
"""


def _start_scripts(gateway: Gateway) -> str:
    timeout, base, tries = RETRANSMITS
    load = f"swanctl --load-all --file {gateway.path('swanctl.conf')}"
    return f"""\
  retransmit_timeout = {timeout}
  retransmit_base = {base}
  retransmit_tries = {tries}
  start-scripts {{
    connections = {load} --uri unix://{gateway.path("charon.vici")}
  }}
"""


def swanctl_conf(gateway: Gateway, peers: Sequence[Gateway], esp: str, pace: Pace = BRISK) -> str:
    """swanctl.conf with a connection for each peer.

    Of two gateways the lower one starts the tunnel, so the higher one has to be loaded first; the
    one that starts says which ESP proposal it is, the other one takes either.
    """
    connections = "".join(_connection(Tunnel(gateway, peer), esp, pace) for peer in peers)
    names = "".join(f"    id-{peer.public} = {peer.address}\n" for peer in (gateway, *peers))
    return f"""
connections {{{connections}}}
secrets {{
  ike-lab {{
{names}    secret = "{PSK}"
  }}
}}
"""


def _connection(tunnel: Tunnel, esp: str, pace: Pace) -> str:
    starts = tunnel.here < tunnel.there
    proposals = esp if starts else f"{GCM},{CBC}"
    everything = ",".join({4: "0.0.0.0/0", 6: "::/0"}[one] for one in tunnel.here.plan.inside)
    return f"""
  {tunnel.there.name} {{
    version = 2
    mobike = no
    keyingtries = 0
    dpd_delay = {pace.dpd_delay:.0f}s
    local_addrs = {tunnel.here.address}
    remote_addrs = {tunnel.there.address}
    proposals = {GCM}
    local {{
      auth = psk
      id = {tunnel.here.address}
    }}
    remote {{
      auth = psk
      id = {tunnel.there.address}
    }}
    children {{
      {tunnel.there.name} {{
        local_ts = {everything}
        remote_ts = {everything}
        mark_in = {tunnel.mark}
        mark_out = {tunnel.mark}
        esp_proposals = {proposals}
        start_action = {"start" if starts else "none"}
        close_action = {"start" if starts else "none"}
        dpd_action = {"restart" if starts else "clear"}
      }}
    }}
  }}
"""


def vtid_toml(
    gateway: Gateway, peers: Sequence[Gateway], pace: Pace = BRISK, on_loss: str = "hold"
) -> str:
    """vtid.toml: a tunnel for each peer, with a BGP session for each BIRD."""
    birds = speakers(gateway.plan)
    netns = gateway.private if gateway.plan.split else ""
    return f"""
[daemon]
control_socket = "{gateway.path("vtid.sock")}"
metrics = ["127.0.0.1:{METRICS_PORT}"]

[vici]
socket = "{gateway.path("charon.vici")}"

[defaults]
netns = "{netns}"
interface = "vti{{mark}}"
hold_time = "{pace.hold_time:.0f}s"
on_loss = "{on_loss}"

[defaults.probe]
{pace.probe}

[defaults.bgp]
local_as = {gateway.asn}
import = "all"
export = "site"
preference = 160
hold_time = "{BGP_HOLD_TIME:.0f}s"
{"".join(bird.table(gateway) for bird in birds)}{
        "".join(_policy(Tunnel(gateway, peer), birds) for peer in peers)
    }"""


def _policy(tunnel: Tunnel, birds: Sequence[Speaker]) -> str:
    sessions = "".join(
        f"""
[[tunnel.bgp]]
bird = "{bird.name}"
name = "{tunnel.bgp}"
neighbor = "{tunnel.peer6 if "ipv6" in bird.families else tunnel.peer4}"
remote_as = {tunnel.there.asn}
"""
        for bird in birds
    )
    addresses = ", ".join(f'"{prefix}"' for prefix in tunnel.prefixes)
    return f"""
[[tunnel]]
connection = "{tunnel.there.name}"
addresses = [{addresses}]{sessions}"""
