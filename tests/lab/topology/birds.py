"""BIRD's configuration in the lab, by its version: the text an administrator would write.

Rules of this file: text only; nothing about tunnels and their sessions, which vtid writes. OSPF's
timers are short so that a gateway that stops is missed within seconds, and a site's router is its
designated router, so that a gateway that stops is not the one whose place has to be taken first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.lab.topology.figures import PUBLIC_TABLE, TRANSFER
from tests.lab.topology.speakers import OLD

if TYPE_CHECKING:
    from tests.lab.topology.figures import Gateway, Router
    from tests.lab.topology.speakers import Speaker

TIMERS = "hello 1; dead 4; wait 2; retransmit 2;"


def public(gateway: Gateway) -> str:
    """BIRD of a gateway's public side: OSPF spreads the public address.

    With a single namespace its routes are in a table of their own, and so is the segment itself.
    """
    family = f"ipv{gateway.plan.outside}"
    version = {4: "v2", 6: "v3"}[gateway.plan.outside]
    apart = not gateway.plan.split
    table = f"  kernel table {PUBLIC_TABLE};\n" if apart else ""
    segment = f'protocol static {{\n  {_channel(family)}\n  route {TRANSFER} via "eth0";\n}}\n'
    return f"""
router id 0.0.{gateway.site}.{gateway.number};
log "{gateway.path("bird-public.log")}" all;
protocol device {{ }}
protocol kernel {{
{table}  {_channel(family, "import none; export all;")}
}}
{segment if apart else ""}protocol ospf {"" if OLD else version} PUBLIC {{
  {_channel(family, "import all; export none;")}
  area 0 {{
    interface "eth0" {{ {TIMERS} }};
    interface "dummy0" {{ stub; }};
  }};
}}
"""


def private(gateway: Gateway, speaker: Speaker) -> str:
    """BIRD of a gateway's private side; the include is the file that vtid writes.

    Routes from BGP go to the site by OSPF, and the networks of eth* go to the peers. OSPF's
    external routes lie there as well, but are other sites' prefixes without their AS path: told
    on, they could come back to where they are from and be preferred there.
    """
    stub = '\n    interface "dummy0" { stub; };' if gateway.plan.split else ""
    area = f'\n    interface "eth1", "eth2" {{ {TIMERS} }};{stub}'
    return f"""{_beginning(gateway, speaker)}{_each(speaker, area)}{_end(gateway, speaker)}"""


def without_ospf(gateway: Gateway, speaker: Speaker) -> str:
    """The same for a gateway whose site is reached by static routes."""
    kernels = "".join(_kernel(family) for family in speaker.families)
    return f"""{_beginning(gateway, speaker)}{kernels}{_end(gateway, speaker)}"""


def router(router: Router, speaker: Speaker, log: str) -> str:
    """BIRD of a site's router."""
    area = f"""
    interface "eth0" {{ {TIMERS} priority 10; }};
    interface "dummy0" {{ stub; }};"""
    channels = "".join(f"\n  {_channel(family)}" for family in speaker.families)
    return f"""
router id 0.0.0.{router.site};
log "{log}" all;
protocol device {{ }}
protocol direct {{{channels}
}}
{_each(speaker, area)}"""


def _beginning(gateway: Gateway, speaker: Speaker) -> str:
    return f"""
router id 1.0.{gateway.site}.{gateway.number};
log "{speaker.log(gateway)}" all;
filter site {{
  if source = RTS_OSPF_EXT1 || source = RTS_OSPF_EXT2 then reject;
  if ifname ~ "eth*" then accept;
  reject;
}}
protocol device {{ }}
"""


def _end(gateway: Gateway, speaker: Speaker) -> str:
    """The wildcard lets it start before there is a file."""
    return f'include "{gateway.path(f"vtid.{speaker.name}*.conf")}";\n'


def _each(speaker: Speaker, area: str) -> str:
    return "".join(_kernel(family) + _ospf(family, area) for family in speaker.families)


def _kernel(family: str) -> str:
    return f"""protocol kernel kernel_{family} {{
  scan time 5;
  learn;
  merge paths;
  {_channel(family, "import all; export all;")}
}}
"""


def _ospf(family: str, area: str) -> str:
    version = {"ipv4": "v2", "ipv6": "v3"}[family]
    return f"""protocol ospf {"" if OLD else version} PRIVATE{family[-1]} {{
  ecmp yes;
  merge external yes;
  {_channel(family, "import all; export where source = RTS_BGP;")}
  area 0 {{{area}
  }};
}}
"""


def _channel(family: str, policy: str = "") -> str:
    """A channel with a policy; for BIRD 1.6, which has none, the policy of the protocol."""
    if OLD:
        return policy
    return f"{family} {{ {policy} }};" if policy else f"{family};"
