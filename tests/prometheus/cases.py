"""Cases for the alerts: a gateway that is well, and what is wrong when each of them fires. Pure.

The values are in promtool's notation: `1x120` is 1 for two hours, `0+60x120` grows by one a second.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

MINUTES = 120
"""How long the series are."""

AT = 90
"""Minute at which the alerts are looked at: longer than any `for:`, and than any range."""

GATEWAY = 'job="vtid",instance="gw"'
TUNNELS = 10

ONE, ZERO, CLOCK = (f"{one}x{MINUTES}" for one in ("1", "0", "0+60"))
GONE = f"_x{MINUTES}"
"""No sample."""

TUNNEL = f'{GATEWAY},tunnel="t1"'
CERTIFICATE = (
    f"vtid_charon_certificate_expiry_timestamp_seconds{{{GATEWAY},"
    'serial="12",name="gw-a.example.net"}'
)
BROKEN = f'vtid_metric_errors_total{{{GATEWAY},collector="tunnels",family="vtid_tunnel_up"}}'
SESSION = f'{TUNNEL},bird="main",protocol="vtid_t1"'


def growing(per_minute: float) -> str:
    """Values of a counter."""
    return f"0+{per_minute}x{MINUTES}"


def _well() -> dict[str, str]:
    """Series of a gateway of which no alert says anything."""
    series = {
        f"vtid_tunnel_paused{{{TUNNEL}}}": ZERO,
        f"vtid_tunnel_drained{{{TUNNEL}}}": ZERO,
        f"up{{{GATEWAY}}}": ONE,
        f"process_start_time_seconds{{{GATEWAY}}}": ZERO,
        f"vtid_ready{{{GATEWAY}}}": ONE,
        f"vtid_vici_up{{{GATEWAY}}}": ONE,
        f"vtid_vici_last_success_timestamp_seconds{{{GATEWAY}}}": CLOCK,
        f"vtid_vici_connections_total{{{GATEWAY}}}": ONE,
        f"vtid_charon_workers_idle{{{GATEWAY}}}": f"11x{MINUTES}",
        CERTIFICATE: f"{90 * 86400}x{MINUTES}",
        f'vtid_netlink_up{{{GATEWAY},netns="private"}}': ONE,
        f'vtid_netlink_overruns_total{{{GATEWAY},netns="private"}}': ZERO,
        f'vtid_nft_up{{{GATEWAY},netns="private"}}': ONE,
        f'vtid_xfrm_drops_total{{{GATEWAY},netns="",reason="InNoStates"}}': ZERO,
        f'vtid_bird_up{{{GATEWAY},bird="main"}}': ONE,
        f'vtid_bird_error{{{GATEWAY},bird="main"}}': ZERO,
        f'vtid_bird_undos_total{{{GATEWAY},bird="main"}}': ZERO,
        f"vtid_config_reload_failed{{{GATEWAY}}}": ZERO,
        f"vtid_config_stale{{{GATEWAY}}}": ZERO,
        f"vtid_problems{{{GATEWAY}}}": ZERO,
        BROKEN: ZERO,
        f'vtid_initiate_up{{{GATEWAY},connection="c1",child="net"}}': ONE,
        f'vtid_policy_loaded{{{GATEWAY},policy="c1/*",netns="",interface="vti1"}}': ONE,
        f'vtid_event_to_done_seconds_bucket{{{GATEWAY},le="0.05"}}': growing(6),
        f'vtid_event_to_done_seconds_bucket{{{GATEWAY},le="60.0"}}': growing(6),
        f'vtid_event_to_done_seconds_bucket{{{GATEWAY},le="+Inf"}}': growing(6),
        f'vtid_loop_lag_seconds_bucket{{{GATEWAY},le="0.5"}}': growing(600),
        f"vtid_loop_lag_seconds_count{{{GATEWAY}}}": growing(600),
        f"vtid_bgp_up{{{SESSION}}}": ONE,
        f"vtid_bgp_bfd_up{{{SESSION}}}": ONE,
        f'vtid_bgp_routes_imported{{{SESSION},family="ipv4"}}': f"12x{MINUTES}",
        f'vtid_bgp_routes_imported{{{SESSION},family="ipv6"}}': ZERO,
        f'vtid_bgp_limit_reached{{{SESSION},family="ipv4"}}': ZERO,
    }
    for number in range(1, TUNNELS + 1):
        series |= _tunnel(f'{GATEWAY},tunnel="t{number}"')
    return series


def _tunnel(labels: str) -> dict[str, str]:
    losses = (f"{way}_{what}" for way in ("receive", "transmit") for what in ("errors", "drops"))
    counters = {
        f"vtid_tunnel_{name}_total{{{labels}}}": ZERO for name in ("downs", "retries", *losses)
    }
    return counters | {
        f"vtid_tunnel_up{{{labels}}}": ONE,
        f'vtid_tunnel_state{{{labels},state="error"}}': ZERO,
        f"vtid_tunnel_receive_packets_total{{{labels}}}": growing(600),
        f"vtid_tunnel_transmit_packets_total{{{labels}}}": growing(600),
        f"vtid_tunnel_sa_installed_timestamp_seconds{{{labels}}}": ZERO,
        f"vtid_tunnel_path_mtu_bytes{{{labels}}}": f"1406x{MINUTES}",
        f"vtid_tunnel_probe_alive{{{labels}}}": ONE,
        f'vtid_tunnel_mtu_limited{{{labels},bound="ciphers"}}': ONE,
        f'vtid_tunnel_mtu_limited{{{labels},bound="proven"}}': ZERO,
    }


WELL = _well()


@dataclass(frozen=True)
class Case:
    """What is wrong, and which alerts fire, each how often; no other one may."""

    what: str
    changes: dict[str, str]
    firing: dict[str, int]

    @property
    def series(self) -> dict[str, str]:
        """All series of the gateway. A change to one that is not there is a mistake."""
        assert self.changes.keys() <= WELL.keys(), self.changes.keys() - WELL.keys()
        return WELL | self.changes


def _case(what: str, firing: str, changes: dict[str, str]) -> Case:
    """Make a case; in `firing`, an alert that fires twice stands twice."""
    return Case(what, changes, dict(Counter(firing.split())))


_OTHERS = {name: GONE for name in WELL if not name.startswith("up{")}
_MANY = {f'vtid_tunnel_up{{{GATEWAY},tunnel="t{number}"}}': ZERO for number in (1, 2, 3)}
_OLD = f"-{25 * 3600}x{MINUTES}"

CASES: tuple[Case, ...] = (
    _case("nothing", "", {}),
    _case("a tunnel is down", "VtidTunnelDown", {f"vtid_tunnel_up{{{TUNNEL}}}": ZERO}),
    _case(
        "a tunnel is down for a moment only",
        "",
        {f"vtid_tunnel_up{{{TUNNEL}}}": "1x86 0x3 1x60"},
    ),
    _case(
        "a tunnel is in error, and so down",
        "VtidTunnelError",
        {
            f"vtid_tunnel_up{{{TUNNEL}}}": ZERO,
            f'vtid_tunnel_state{{{TUNNEL},state="error"}}': ONE,
        },
    ),
    _case("many are down", "VtidManyTunnelsDown" + 3 * " VtidTunnelDown", _MANY),
    _case("a tunnel is paused", "VtidTunnelByHand", {f"vtid_tunnel_paused{{{TUNNEL}}}": ONE}),
    _case("a tunnel is drained", "VtidTunnelByHand", {f"vtid_tunnel_drained{{{TUNNEL}}}": ONE}),
    _case(
        "a tunnel comes and goes",
        "VtidTunnelFlapping",
        {f"vtid_tunnel_downs_total{{{TUNNEL}}}": growing(0.2)},
    ),
    _case(
        "nothing comes back",
        "VtidTunnelOneWay",
        {f"vtid_tunnel_receive_packets_total{{{TUNNEL}}}": f"7x{MINUTES}"},
    ),
    _case(
        "a tunnel loses packets",
        "VtidTunnelDrops",
        {f"vtid_tunnel_transmit_errors_total{{{TUNNEL}}}": growing(120)},
    ),
    _case(
        "operations fail",
        "VtidTunnelRetries",
        {f"vtid_tunnel_retries_total{{{TUNNEL}}}": growing(1)},
    ),
    _case(
        "no rekey for a day",
        "VtidSaNotRekeyed",
        {f"vtid_tunnel_sa_installed_timestamp_seconds{{{TUNNEL}}}": _OLD},
    ),
    _case(
        "little fits",
        "VtidSmallMtu",
        {f"vtid_tunnel_path_mtu_bytes{{{TUNNEL}}}": f"1246x{MINUTES}"},
    ),
    _case("the peer is silent", "VtidPeerSilent", {f"vtid_tunnel_probe_alive{{{TUNNEL}}}": ZERO}),
    _case(
        "the path is narrow",
        "VtidPathLimited",
        {f'vtid_tunnel_mtu_limited{{{TUNNEL},bound="proven"}}': ONE},
    ),
    _case(
        "charon does not bring up a child",
        "VtidInitiateFails",
        {f'vtid_initiate_up{{{GATEWAY},connection="c1",child="net"}}': ZERO},
    ),
    _case(
        "a connection is not loaded, and its tunnel is down",
        "VtidPolicyNotLoaded VtidTunnelDown",
        {
            f'vtid_policy_loaded{{{GATEWAY},policy="c1/*",netns="",interface="vti1"}}': ZERO,
            f"vtid_tunnel_up{{{TUNNEL}}}": ZERO,
        },
    ),
    _case("an SA has no mark", "VtidSaRefused", {f"vtid_problems{{{GATEWAY}}}": ONE}),
    _case(
        "packets find no SA",
        "VtidIpsecDrops",
        {f'vtid_xfrm_drops_total{{{GATEWAY},netns="",reason="InNoStates"}}': growing(120)},
    ),
    _case("a session is down", "VtidBgpDown", {f"vtid_bgp_up{{{SESSION}}}": ZERO}),
    _case(
        "a session is down with its tunnel",
        "VtidTunnelDown",
        {f"vtid_bgp_up{{{SESSION}}}": ZERO, f"vtid_tunnel_up{{{TUNNEL}}}": ZERO},
    ),
    _case(
        "a session brings no route",
        "VtidBgpNoRoutes",
        {f'vtid_bgp_routes_imported{{{SESSION},family="ipv4"}}': ZERO},
    ),
    _case(
        "a limit is reached",
        "VtidBgpLimit",
        {f'vtid_bgp_limit_reached{{{SESSION},family="ipv4"}}': ONE},
    ),
    _case("BFD is down", "VtidBfdDown", {f"vtid_bgp_bfd_up{{{SESSION}}}": ZERO}),
    _case("vtid is gone", "VtidAbsent", {**_OTHERS, f"up{{{GATEWAY}}}": ZERO}),
    _case("vtid waits for something", "VtidNotReady", {f"vtid_ready{{{GATEWAY}}}": ZERO}),
    _case(
        "vtid starts again and again",
        "VtidRestarts",
        {f"process_start_time_seconds{{{GATEWAY}}}": f"0+60x{MINUTES}"},
    ),
    _case(
        "charon is gone",
        "VtidCharonAway",
        {
            f"vtid_vici_up{{{GATEWAY}}}": ZERO,
            f"vtid_ready{{{GATEWAY}}}": ZERO,
            f"vtid_vici_last_success_timestamp_seconds{{{GATEWAY}}}": ZERO,
        },
    ),
    _case(
        "charon hangs",
        "VtidCharonSilent",
        {f"vtid_vici_last_success_timestamp_seconds{{{GATEWAY}}}": ZERO},
    ),
    _case("charon is busy", "VtidCharonBusy", {f"vtid_charon_workers_idle{{{GATEWAY}}}": ZERO}),
    _case(
        "a certificate ends soon",
        "VtidCertificateEnds",
        {CERTIFICATE: f"{14 * 86400 + 3600}x{MINUTES}"},
    ),
    _case(
        "charon is lost and found",
        "VtidCharonReconnects",
        {f"vtid_vici_connections_total{{{GATEWAY}}}": growing(0.2)},
    ),
    _case(
        "a namespace is gone",
        "VtidNamespaceAway",
        {
            f'vtid_netlink_up{{{GATEWAY},netns="private"}}': ZERO,
            f'vtid_nft_up{{{GATEWAY},netns="private"}}': ZERO,
        },
    ),
    _case(
        "events are lost",
        "VtidEventsLost",
        {f'vtid_netlink_overruns_total{{{GATEWAY},netns="private"}}': growing(0.1)},
    ),
    _case(
        "nftables does not answer",
        "VtidNoClamp",
        {f'vtid_nft_up{{{GATEWAY},netns="private"}}': ZERO},
    ),
    _case(
        "BIRD is gone",
        "VtidBirdAway",
        {
            f'vtid_bird_up{{{GATEWAY},bird="main"}}': ZERO,
            f'vtid_bird_error{{{GATEWAY},bird="main"}}': ONE,
        },
    ),
    _case(
        "BIRD refuses the file",
        "VtidBirdError",
        {f'vtid_bird_error{{{GATEWAY},bird="main"}}': ONE},
    ),
    _case(
        "a push took sessions down",
        "VtidBirdUndone",
        {f'vtid_bird_undos_total{{{GATEWAY},bird="main"}}': "0x75 1x45"},
    ),
    _case(
        "the configuration is bad",
        "VtidConfigRefused",
        {
            f"vtid_config_reload_failed{{{GATEWAY}}}": ONE,
            f"vtid_config_stale{{{GATEWAY}}}": ONE,
        },
    ),
    _case(
        "nobody reloaded",
        "VtidConfigStale",
        {f"vtid_config_stale{{{GATEWAY}}}": ONE},
    ),
    _case(
        "events take long",
        "VtidSlow",
        {f'vtid_event_to_done_seconds_bucket{{{GATEWAY},le="0.05"}}': ZERO},
    ),
    _case(
        "a metric cannot be written",
        "VtidMetricBroken",
        {BROKEN: growing(4)},
    ),
    _case(
        "the loop stands still",
        "VtidStalls",
        {f'vtid_loop_lag_seconds_bucket{{{GATEWAY},le="0.5"}}': growing(599)},
    ),
)
