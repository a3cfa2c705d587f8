"""One session for each key of `[tunnel.bgp]`, and what a BIRD shows once it is established.

`python -m tests.bird.keys` writes what the shipped templates make of them to `rendered`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.birds import Daemon
from vtid.bird.render import compose, render
from vtid.bird.template import SHIPPED, shipped
from vtid.model.bgp import BgpSession, BirdBlock, Secret

RENDERED = Path(__file__).parent / "rendered"

SAMPLES = {
    "bgp": Daemon("2", Path("bird")),
    "bgp-1.6": Daemon("1.6", Path("bird6"), ("ipv6",)),
}
"""A daemon for each template, to render golden files for."""

IBGP = {"local_as": 65100, "remote_as": 65100}
LOOPBACKS = ("2001:db8:ee::1", "2001:db8:ee::2")


@dataclass(frozen=True)
class Case:
    """What makes the session of the left BIRD (and of the right one) different, and the proof."""

    left: dict[str, Any]
    right: dict[str, Any] = field(default_factory=dict)
    command: str = "show protocols all vtid_t1"
    shows: str = "Established"
    """Regular expression on what the left one says to `command`."""
    without: tuple[str, ...] = ()
    """Daemons that cannot have it, by the beginning of their version."""


CASES = {
    "ebgp": Case({}, shows="external"),
    "ibgp": Case(IBGP, IBGP, shows="internal"),
    "link-local": Case(
        {"local_address": "", "neighbor": "fe80::2"},
        {"local_address": "", "neighbor": "fe80::1"},
        shows=r"fe80::2",
    ),
    "local-address": Case(
        {"local_address": LOOPBACKS[0], "neighbor": LOOPBACKS[1], "multihop": 2},
        {"local_address": LOOPBACKS[1], "neighbor": LOOPBACKS[0], "multihop": 2},
        shows=f"multihop(.|\n)*Source address: +{LOOPBACKS[0]}",
    ),
    "password": Case({"password": Secret("a; b}")}, {"password": Secret("a; b}")}),
    "bfd": Case(
        {"bfd": True}, {"bfd": True}, command="show bfd sessions", shows=r"(::1|\.1) .* Up "
    ),
    "graceful-restart": Case(
        {"graceful_restart": "on"},
        {"graceful_restart": "on"},
        shows=r"(Graceful restart\s+Restart time: 120|restart-able)",
    ),
    "no-graceful-restart": Case({"graceful_restart": "off"}),
    "helping-a-restart": Case({"graceful_restart": "aware"}, {"graceful_restart": "on"}),
    "limits": Case(
        {"import_limit": 1, "receive_limit": 8, "export_limit": 7, "limit_action": "block"},
        shows=r"Receive limit: +8\s+Action: +block\s+Import limit: +1( \[HIT\])?\s+"
        r"Action: +block\s+Export limit: +7\s+Action: +block",
    ),
    "preference": Case(
        {"preference": 160}, command="show route protocol vtid_t1", shows=r"\(160\)"
    ),
    "local-preference": Case(
        {"local_preference": 250},
        command="show route protocol vtid_t1 all",
        shows=r"local_pref: 250",
    ),
    "next-hop-self": Case({"next_hop_self": True}, {"next_hop_self": True}),
    "no-next-hop-self": Case({**IBGP, "next_hop_self": False}, IBGP),
    "next-hop": Case(
        {"next_hop": ("169.254.1.0",)},
        {"next_hop": ("169.254.1.1",)},
        command="show route protocol vtid_t1 all",
        shows=r"next_hop: 169\.254\.1\.1",
        without=("1.6",),
    ),
    "passive": Case({"passive": True}, shows="Established"),
    "role": Case(
        {"role": "provider"},
        {"role": "customer"},
        shows=r"Role: provider(.|\n)*Role: customer",
        without=("1.6",),
    ),
    "times": Case(
        {"hold_time": 9, "keepalive_time": 2, "connect_retry_time": 3, "connect_delay_time": 2},
        shows=r"Hold timer: +[\d.]+/9\s+Keepalive timer: +[\d.]+/2",
    ),
    "error-wait": Case({"error_wait_time": (2, 4)}),
}


def session(daemon: Daemon, number: int, case: Case) -> BgpSession:
    """The session of router `number`, 1 being the left one; `bird` of 1.6 has it over IPv4."""
    addresses = ("2001:db8:ff::", "2001:db8:ff::1")
    if daemon.families == ("ipv4",):
        addresses = ("169.254.1.0", "169.254.1.1")
    values: dict[str, Any] = {
        "name": "vtid_t1",
        "interface": "t1",
        "local_address": addresses[number - 1],
        "neighbor": addresses[2 - number],
        "local_as": 65000 + number,
        "remote_as": 65003 - number,
        "families": daemon.families,
        "export_filter": "all",
        **(case.left if number == 1 else case.right),
    }
    return BgpSession(**values)


def fits(daemon: Daemon, case: Case) -> bool:
    """Whether a daemon can have it: `bird` of 1.6 has no IPv6 neighbours."""
    ours = {**case.left, **case.right}
    over_ipv6 = ":" in str(ours.get("neighbor", ""))
    return not (daemon.version.startswith(case.without or ("-",))) and (
        not over_ipv6 or "ipv6" in daemon.families
    )


def rendered(daemon: Daemon) -> str:
    """An include file with the left one's session of every case, a tunnel each."""
    template = shipped(daemon.template)
    cases = {name: case for name, case in CASES.items() if fits(daemon, case)}
    blocks = (BirdBlock("b", name, (session(daemon, 1, case),)) for name, case in cases.items())
    return compose({block.tunnel: render(block, template) for block in blocks})


if __name__ == "__main__":
    RENDERED.mkdir(exist_ok=True)
    for name in SHIPPED:
        (RENDERED / f"{name}.conf").write_text(rendered(SAMPLES[name]))
