"""What an administrator writes for the six gateways: strongswan.conf, swanctl.conf, vtid.toml.

Of two gateways the lower one starts the tunnel and starts it again when the peer closes it or is
dead; the higher one answers. So there is never a second IKE_SA from both starting at once, and
only an interface's SA has to be there for vtid to make it: a trap policy would wait for packets of
an interface that does not exist yet.

Rules of this file: text only; nothing of VTIs, MTU, MSS and BGP sessions but in vtid.toml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.figures import GCM, METRICS_PORT, PAIRS, PSK, Gateway, Tunnel

if TYPE_CHECKING:
    from collections.abc import Sequence

DPD_DELAY = 2.0
RETRANSMITS = (1.0, 1.4, 3)
"""Time-out of the first transmission in seconds, factor, and how many follow it."""
HOLD_TIME = 3.0
"""Seconds that an interface outlives its last SA."""
BGP_HOLD_TIME = 6.0


def dead_peer_seconds() -> float:
    """Seconds after which a silent peer is given up: a DPD that nobody answers."""
    timeout, base, tries = RETRANSMITS
    return DPD_DELAY + sum(timeout * base**number for number in range(tries + 1))


def peers(gateway: Gateway) -> tuple[Gateway, ...]:
    """Return the gateways of other sites."""
    return tuple(pair[1] if pair[0] == gateway else pair[0] for pair in PAIRS if gateway in pair)


def tunnels(gateway: Gateway) -> tuple[Tunnel, ...]:
    """Return the tunnels of a gateway, as it has them."""
    return tuple(Tunnel(gateway, peer) for peer in peers(gateway))


def strongswan_conf(gateway: Gateway) -> str:
    """strongswan.conf: no routes, no virtual addresses, connections loaded at every start."""
    timeout, base, tries = RETRANSMITS
    load = f"swanctl --load-all --file {gateway.path('swanctl.conf')}"
    return f"""
charon-systemd {{
  load = random nonce openssl kdf kernel-netlink socket-default vici
  install_routes = no
  install_virtual_ip = no
  retransmit_timeout = {timeout}
  retransmit_base = {base}
  retransmit_tries = {tries}
  start-scripts {{
    connections = {load} --uri unix://{gateway.path("charon.vici")}
  }}
  journal {{
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


def swanctl_conf(gateway: Gateway, esp: str = GCM, without: Sequence[Gateway] = ()) -> str:
    """swanctl.conf with a connection for each peer."""
    others = peers(gateway)
    connections = "".join(
        _connection(Tunnel(gateway, peer), esp) for peer in others if peer not in without
    )
    names = "".join(f"    id-{peer.public} = {peer.address}\n" for peer in (gateway, *others))
    return f"""
connections {{{connections}}}
secrets {{
  ike-lab {{
{names}    secret = "{PSK}"
  }}
}}
"""


def _connection(tunnel: Tunnel, esp: str) -> str:
    starts = tunnel.here < tunnel.there
    return f"""
  {tunnel.there.name} {{
    version = 2
    mobike = no
    keyingtries = 0
    dpd_delay = {DPD_DELAY:.0f}s
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
        local_ts = ::/0,0.0.0.0/0
        remote_ts = ::/0,0.0.0.0/0
        mark_in = {tunnel.mark}
        mark_out = {tunnel.mark}
        esp_proposals = {esp}
        start_action = {"start" if starts else "none"}
        close_action = {"start" if starts else "none"}
        dpd_action = {"restart" if starts else "clear"}
      }}
    }}
  }}
"""


def vtid_toml(gateway: Gateway) -> str:
    """vtid.toml: a tunnel with a BGP session for each peer."""
    policies = "".join(_policy(tunnel) for tunnel in tunnels(gateway))
    return f"""
[daemon]
control_socket = "{gateway.path("vtid.sock")}"
metrics = ["127.0.0.1:{METRICS_PORT}"]

[vici]
socket = "{gateway.path("charon.vici")}"

[defaults]
netns = "{gateway.private}"
interface = "vti{{mark}}"
hold_time = "{HOLD_TIME:.0f}s"

[defaults.bgp]
local_as = {gateway.asn}
import = "all"
export = "site"
preference = 160
hold_time = "{BGP_HOLD_TIME:.0f}s"

[[bird]]
name = "private"
socket = "{gateway.path("bird.ctl")}"
include = "{gateway.path("vtid.private.conf")}"
{policies}"""


def _policy(tunnel: Tunnel) -> str:
    return f"""
[[tunnel]]
connection = "{tunnel.there.name}"
addresses = ["{tunnel.inner6}/127", "{tunnel.inner4}/31"]
[tunnel.bgp]
name = "{tunnel.bgp}"
neighbor = "{tunnel.peer6}"
remote_as = {tunnel.there.asn}
"""
