"""BIRD's configuration in the lab, by its version: the text an administrator would write.

Rules of this file: text only; nothing about tunnels and their sessions, which vtid writes. OSPF's
timers are short so that a gateway that stops is missed within seconds, and a site's router is its
designated router, so that a gateway that stops is not the one whose place has to be taken first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.figures import Gateway, Router

TIMERS = "hello 1; dead 4; wait 2; retransmit 2;"


def public(gateway: Gateway) -> str:
    """BIRD 2 and 3 of a gateway's public side: OSPFv3 spreads the public address."""
    return f"""
router id 0.0.{gateway.site}.{gateway.number};
log "{gateway.path("bird-public.log")}" all;
protocol device {{ }}
protocol kernel {{
  ipv6 {{ import none; export all; }};
}}
protocol ospf v3 PUBLIC {{
  ipv6 {{ import all; export none; }};
  area 0 {{
    interface "eth0" {{ {TIMERS} }};
    interface "dummy0" {{ stub; }};
  }};
}}
"""


def private(gateway: Gateway) -> str:
    """BIRD 2 and 3 of a gateway's private side; the include is the file that vtid writes.

    What comes by eBGP is told to the site by OSPF, and what lies on eth* to the peers. OSPF's
    external routes lie there as well, but are other sites' prefixes without their AS path: told
    on, they could come back to where they are from and be preferred there.
    """
    return f"""
router id 1.0.{gateway.site}.{gateway.number};
log "{gateway.path("bird.log")}" all;
filter site {{
  if source = RTS_OSPF_EXT1 || source = RTS_OSPF_EXT2 then reject;
  if ifname ~ "eth*" then accept;
  reject;
}}
protocol device {{ }}
{_kernel(4)}{_kernel(6)}{_ospf(2, 4, _GATEWAY_AREA)}{_ospf(3, 6, _GATEWAY_AREA)}
include "{gateway.path("vtid.*.conf")}";
"""


def router(router: Router, log: str) -> str:
    """BIRD 2 and 3 of a site's router."""
    return f"""
router id 0.0.0.{router.site};
log "{log}" all;
protocol device {{ }}
protocol direct {{
  ipv4;
  ipv6;
}}
{_kernel(4)}{_kernel(6)}{_ospf(2, 4, _ROUTER_AREA)}{_ospf(3, 6, _ROUTER_AREA)}"""


_GATEWAY_AREA = f"""
    interface "eth1", "eth2" {{ {TIMERS} }};
    interface "dummy0" {{ stub; }};"""
_ROUTER_AREA = f"""
    interface "eth0" {{ {TIMERS} priority 10; }};
    interface "dummy0" {{ stub; }};"""


def _kernel(family: int) -> str:
    return f"""protocol kernel kernel{family} {{
  learn;
  merge paths;
  ipv{family} {{ import all; export all; }};
}}
"""


def _ospf(version: int, family: int, area: str) -> str:
    name = f"PRIVATE{family}"
    return f"""protocol ospf v{version} {name} {{
  ecmp yes;
  merge external yes;
  ipv{family} {{ import all; export where source = RTS_BGP; }};
  area 0 {{{area}
  }};
}}
"""
