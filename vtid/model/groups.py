"""Groups of metrics that can be switched off. Pure.

What is in none of them stays: whether tunnels and peers are up, and vtid's own state.
"""

from __future__ import annotations

from enum import StrEnum


class Group(StrEnum):
    """A group, by the word that `[metrics] disable` has for it."""

    TRAFFIC = "traffic"
    """Bytes, packets, errors and drops of the tunnels' interfaces."""
    MTU = "mtu"
    """MTU and MSS of the tunnels."""
    PROBE = "probe"
    """What probes through tunnels found."""
    SA = "sa"
    """Deadlines and keys of the tunnels' CHILD_SAs."""
    IKE = "ike"
    """The same of their IKE_SAs, with algorithms and NAT."""
    BGP = "bgp"
    """BGP sessions, their routes and BFD."""
    BGP_CHANGES = "bgp_changes"
    """Updates and withdraws of the BGP sessions: 15 series for each address family."""
    BIRD = "bird"
    """The BIRDs themselves."""
    POLICIES = "policies"
    """Policies beside the connections that charon has loaded."""
    INITIATE = "initiate"
    """What charon is to initiate."""
    CHARON = "charon"
    """Threads, jobs, pools, certificates and alerts of charon."""
    KERNEL = "kernel"
    """Work of netlink and nftables, drops of IPsec, clamped packets."""
    PROCESS = "process"
    """Memory, processor and garbage collection of vtid."""
