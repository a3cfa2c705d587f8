"""The failures that the lab brings about, in order, and the longest outage that each may cost R1.

Rules of this file: it is a table.
"""

from __future__ import annotations

from tests.lab.alerts.causes import Cause
from tests.lab.checks import failures, narrow
from tests.lab.checks.failures import Scenario
from tests.lab.topology import settings
from tests.lab.topology.figures import MESH

EVERYWHERE = tuple(gateway.name for gateway in MESH.gateways)

FIRST_SITES = ("V1-1", "V1-2", "V2-1", "V2-2")
"""Gateways that have the tunnel which takes R1's packets to R2."""

_STARTING = frozenset({"VtidNotReady", "VtidTunnelDown", "VtidManyTunnelsDown", "VtidBgpDown"})
"""What a gateway shows until its daemons know of each other again."""

_AFTER_SA = frozenset({"VtidBgpDown", "VtidIpsecDrops", "VtidTunnelDrops", "VtidTunnelOneWay"})
"""What follows from a CHILD_SA that an end lacks: packets to and from there find none."""


SCENARIOS = (
    Scenario(
        "vtid of V1-1 is killed with -9 and started again",
        "nothing to wait for: interfaces, addresses, clamp and BIRD's file stay",
        0,
        failures.kill_vtid,
        Cause(("V1-1",), frozenset({"VtidAbsent"}), _STARTING | {"VtidBirdAway"}),
    ),
    Scenario(
        "an IKE_SA is deleted by the peer and comes back",
        "one IKE exchange and its key agreement; the interface outlives it",
        settings.BGP_HOLD_TIME,
        failures.delete_ike_sa,
        Cause(FIRST_SITES, may=_AFTER_SA | {"VtidTunnelDown"}, within=True),
    ),
    Scenario(
        "an IKE_SA is deleted for good, with on_loss hold",
        f"vtid's hold_time of {settings.BRISK.hold_time:.0f} s: then the interface goes, the "
        "kernel drops its next hop and BIRD its session at once",
        settings.BGP_HOLD_TIME - 1,
        failures.lose_ike_sa,
        Cause(FIRST_SITES, frozenset({"VtidTunnelDown"}), _AFTER_SA, within=True),
    ),
    Scenario(
        "an IKE_SA is deleted for good, with on_loss withdraw",
        "nothing to wait for: vtid disables the BGP sessions in BIRD and takes the routes out",
        1,
        failures.withdraw,
        Cause(FIRST_SITES, frozenset({"VtidTunnelDown"}), _AFTER_SA, within=True),
    ),
    Scenario(
        "ESP of a tunnel is dropped and IKE goes on",
        f"BGP's hold time of {settings.BGP_HOLD_TIME:.0f} s; charon sees nothing of it",
        settings.BGP_HOLD_TIME + 2,
        narrow.silence,
        Cause(FIRST_SITES, may=_AFTER_SA | {"VtidPeerSilent"}, within=True),
    ),
    Scenario(
        "charon of V2-1 is killed and comes back",
        f"BGP's hold time of {settings.BGP_HOLD_TIME:.0f} s and DPD, "
        f"{settings.dead_peer_seconds():.0f} s",
        settings.dead_peer_seconds() + 6,
        failures.restart_charon,
        Cause(
            ("V2-1",),
            frozenset({"VtidCharonAway", "VtidTunnelDown"}),
            _AFTER_SA | _STARTING - {"VtidTunnelDown"} | {"VtidPolicyNotLoaded", "VtidPeerSilent"},
        ),
    ),
    Scenario(
        "the public link's MTU drops to 1400",
        "nothing to wait for: small packets pass all the time",
        0,
        failures.shrink_public_link,
    ),
    Scenario(
        "the path drops packets over 1,400 bytes without a word",
        "nothing to wait for: small packets pass all the time",
        0,
        narrow.shrink,
        Cause(EVERYWHERE, may=frozenset({"VtidPathLimited"})),
    ),
    Scenario(
        "the path heals",
        "the same",
        0,
        narrow.heal,
        Cause(EVERYWHERE, may=frozenset({"VtidPathLimited"})),
    ),
    Scenario(
        "the ESP proposal changes and changes back",
        "IKE exchanges with new key agreements; interfaces outlive them",
        2 * settings.BGP_HOLD_TIME,
        failures.other_ciphers,
        Cause(EVERYWHERE, may=_AFTER_SA | {"VtidTunnelDown"}),
    ),
    Scenario(
        "V1-1 and V2-2 stop",
        f"OSPF's dead interval of 4 s at the site, BGP's hold time of "
        f"{settings.BGP_HOLD_TIME:.0f} s between sites",
        settings.BGP_HOLD_TIME + 4,
        failures.stop_gateways,
        Cause(
            tuple(gateway.name for gateway in failures.GONE),
            frozenset({"VtidAbsent", "VtidTunnelDown", "VtidManyTunnelsDown"}),
            _AFTER_SA,
        ),
        lasts=True,
    ),
    Scenario(
        "V1-1 and V2-2 come back",
        "a path is used when its BGP session is up",
        settings.BGP_HOLD_TIME,
        failures.start_gateways,
        Cause(
            tuple(gateway.name for gateway in failures.GONE),
            may=_AFTER_SA | _STARTING | {"VtidAbsent", "VtidCharonAway", "VtidBirdAway"},
        ),
    ),
)
