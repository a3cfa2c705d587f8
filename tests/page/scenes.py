"""What the page is looked at with: gateways that are well, or not, and one with hostile peers."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.core.world import World
from tests.http.samples import FakeDaemon, link, sa, status
from tests.http.worlds import WorldDaemon
from tests.test_hostile_names import CONFIG, WORDS, played
from vtid.model.bgp import BgpState
from vtid.model.counts import Counts, LinkCounters
from vtid.model.input import SaSnapshot
from vtid.model.link import Clamp
from vtid.model.listing import Event, Listing
from vtid.model.sa import Mark
from vtid.model.status import (
    BirdSummary,
    PastOp,
    ProbeStatus,
    Summary,
    Trouble,
    TunnelState,
    TunnelStatus,
)

if TYPE_CHECKING:
    from vtid.model.listing import Wanted
    from vtid.model.sa import ChildSa

HOSTILE = ("html", "right-to-left", "ansi", "jinja", "quotes", "invisible", "64 KiB of escapes")

PEERS = ("V2-1", "V2-2", "V3-1", "V3-2")


@dataclass(frozen=True)
class Scene:
    """A page, as it is looked at."""

    name: str
    daemon: FakeDaemon
    width: int = 1280
    height: int = 860
    dark: bool = False
    query: str = ""


class Gateway(FakeDaemon):
    """A daemon with these tunnels."""

    def __init__(self, tunnels: list[TunnelStatus], *troubles: Trouble, events: str) -> None:
        super().__init__(status(*tunnels))
        now = time.time()
        counts = {str(state): 0 for state in TunnelState}
        for one in tunnels:
            counts[one.state] += 1
        sessions = [one for tunnel in tunnels for one in tunnel.bgp]
        established = sum(one.established for one in sessions)
        self.screen = Summary(
            version="0.1.0",
            started_at=now - 273_000,
            config_loaded_at=now - 7_300,
            ready=True,
            waiting_for=(),
            synced=not troubles,
            vici_connected=True,
            namespaces=2,
            namespaces_watched=2,
            birds=(
                BirdSummary(
                    "private",
                    connected=True,
                    version="2.0.12",
                    sessions=len(sessions),
                    established=established,
                    unconfirmed=False,
                ),
            ),
            tunnels=counts,
            paused=0,
            drained=0,
            initiating=0,
            troubles=troubles,
            more_troubles=0,
        )
        self._events = events

    async def listing(self, wanted: Wanted) -> Listing:
        found = await super().listing(wanted)
        return replace(found, events=tuple(_events(time.time(), self._events)))


def _events(now: float, tunnel: str) -> list[Event]:
    why = f"CHILD_SA {tunnel}/net{{7}} is installed"
    ops = (
        ("PutBird", "private", "done"),
        ("SetClamp", "1406/1386", "done"),
        ("SetUp", "", "done"),
        ("AddAddress", "2001:db8:ff::2/127", "done"),
        ("CreateLink", "", "done"),
    )
    return [
        Event(tunnel, PastOp(now - 754 - age / 10, op, subject, result, why))
        for age, (op, subject, result) in enumerate(ops)
    ]


def tunnel(number: int, peer: str) -> TunnelStatus:
    """A tunnel of the lab's gateway V1-1, as it is while all is well."""
    now = time.time()
    name = f"vti{number}"
    far = f"2001:db8:{number}::1"
    child = replace(
        sa(number), connection=peer, remote_host=far, remote_id=f"{peer.lower()}.example"
    )
    return TunnelStatus(
        tunnel=peer,
        interface=name,
        netns="private",
        policy=f"{peer}/*",
        state=TunnelState.UP,
        reason=f"CHILD_SA {peer}/net{{{number}}} is installed: MTU 1406 from AES_GCM_16-256 in"
        " IPv6, outer MTU 1500 on eth0",
        since=now - 754 - 9000 * number,
        sas=(child,),
        link=replace(link(name), mtu=1406),
        ifindex=number,
        clamp=Clamp(1366, 1346),
        path_mtu=1406,
        underlay_mtu=1500,
        underlay_interface="eth0",
        bgp=(
            BgpState(
                f"vtid_{name}",
                "up",
                "Established",
                "12:00:01",
                neighbor=f"2001:db8:ff::{number:x}",
                bird="private",
            ),
        ),
        counts=Counts(1, 0, 7, 0, LinkCounters(41_000_000_000 // number, 3_700_000_000, 10, 20)),
        probe=ProbeStatus("fe80::1", "search complete", 1406, 1406, True, 9, 9, 0.01, now, ""),  # noqa: FBT003
    )


def well() -> Gateway:
    """All tunnels are up."""
    return Gateway([tunnel(n, peer) for n, peer in enumerate(PEERS, 2)], events="V2-1")


def one_down() -> Gateway:
    """One tunnel is down, another one has a smaller path and no BGP, a third cannot be made."""
    up, narrow, lost, bad = (tunnel(n, peer) for n, peer in enumerate(PEERS, 2))
    now = time.time()
    assert narrow.probe
    narrow = replace(
        narrow,
        link=replace(link("vti3"), mtu=1372),
        clamp=Clamp(1332, 1312),
        path_mtu=1372,
        probe=replace(narrow.probe, proven_mtu=1372),
        bgp=(
            replace(narrow.bgp[0], state="start", info="Active        Socket: Connection refused"),
        ),
    )
    lost = replace(
        lost,
        state=TunnelState.DOWN,
        reason="no CHILD_SA: the last one left, and the hold time is over; charon: no answer from "
        "2001:db8:4::1 (retransmission timed out)",
        since=now - 132,
        sas=(),
        link=None,
        clamp=None,
        bgp=(replace(lost.bgp[0], state="", info=""),),
        probe=None,
    )
    error = "interface vti5 belongs to another program: rename it, or change `interface`"
    bad = replace(
        bad, state=TunnelState.ERROR, error=error, since=now - 4000, link=None, clamp=None
    )
    trouble = Trouble("V3-2", error, now - 4000)
    return Gateway([up, narrow, lost, bad], trouble, events="V2-2")


def many() -> Gateway:
    """10,000 tunnels."""
    one = tunnel(2, "V2-1")
    tunnels = [
        replace(
            one,
            tunnel=f"site-{number:05}",
            interface=f"vti{number}",
            policy=f"site-{number:05}/*",
            sas=(replace(one.sas[0], remote_id=f"site-{number:05}.example"),),
            state=TunnelState.HOLDING if number % 97 == 0 else TunnelState.UP,
        )
        for number in range(10_000)
    ]
    return Gateway(tunnels, events="site-04711")


async def hostile() -> WorldDaemon:
    """Peers that chose their identities; a charon is played (`tests/test_hostile_names.py`)."""
    sas: list[ChildSa] = []
    for word in HOSTILE:
        with tempfile.TemporaryDirectory() as folder:
            for event in await played(WORDS[word], Path(folder)):
                sas += event.sas if isinstance(event, SaSnapshot) else ()
    world = World(config=CONFIG).start([_apart(number, one) for number, one in enumerate(sas, 1)])
    return WorldDaemon(world, time.time() - world.now)


def _apart(number: int, one: ChildSa) -> ChildSa:
    """Return an SA beside others, whose charons gave out the same numbers."""
    mark = Mark(number)
    return replace(one, unique_id=number, ike_unique_id=number, mark_in=mark, mark_out=mark)


async def scenes() -> tuple[Scene, ...]:
    """All of them."""
    return (
        Scene("up", well(), height=900),
        Scene("down", one_down(), height=900),
        Scene("phone", one_down(), width=390, height=1500),
        Scene("dark", one_down(), height=900, dark=True),
        Scene("events", one_down(), height=420, query="#events"),
        Scene("many", many(), height=480, query="?page=37#tunnels"),
        Scene("hostile", await hostile(), height=620, query="#tunnels"),
        Scene("hostile-phone", await hostile(), width=390, height=1100),
    )
