"""Sysctls that a tunnel interface can have: their sysctl(8) names and netlink numbers. Pure.

Rules of this file:

* Only sysctls that make sense on a tunnel and that vtid does not set on its own account
  (`disable_ipv6`, `mtu`, IPv4's `disable_policy` and `disable_xfrm` are excluded).
* A name is `ipv4.NAME` for net.ipv4.conf.IFACE.NAME and `ipv6.NAME` for net.ipv6.conf.IFACE.NAME.

Numbers: IPV4_DEVCONF_* in linux/ip.h, which count from 1, and DEVCONF_* in linux/ipv6.h, from 0.
"""

from __future__ import annotations

from typing import Final

IPV4: Final = {
    "forwarding": 1,
    "accept_redirects": 4,
    "secure_redirects": 5,
    "send_redirects": 6,
    "shared_media": 7,
    "rp_filter": 8,
    "accept_source_route": 9,
    "log_martians": 11,
    "promote_secondaries": 20,
    "accept_local": 23,
    "src_valid_mark": 24,
    "route_localnet": 26,
    "ignore_routes_with_linkdown": 29,
    "bc_forwarding": 32,
}

IPV6: Final = {
    "forwarding": 0,
    "hop_limit": 1,
    "accept_ra": 3,
    "accept_redirects": 4,
    "autoconf": 5,
    "proxy_ndp": 22,
    "accept_source_route": 24,
    "use_oif_addrs_only": 37,
    "ignore_routes_with_linkdown": 39,
    "keep_addr_on_down": 42,
    "seg6_enabled": 44,
    "seg6_require_hmac": 45,
    "disable_policy": 48,
    "rpl_seg_enabled": 51,
}

Sysctls = tuple[tuple[str, int], ...]
"""Settings with their values, sorted by name."""
