"""A kernel, an nftables and a BIRD of dicts, for driving the core without any of them.

It answers operations as the real ones do: links and addresses by echoes, the rest by results.
It refuses what the real ones refuse, so that a wrong plan fails here as well.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vtid.config.keys import Config, ConfigLoaded
from vtid.config.load import load
from vtid.core.crowd import members_for
from vtid.core.desired import desire
from vtid.core.lifecycle import MOVES, Life
from vtid.core.route_book import RouteBook
from vtid.core.state import State
from vtid.core.status import status, tunnel_rows
from vtid.esp.algorithms import EspAlgorithms
from vtid.esp.mtu import IPV6_MIN_MTU
from vtid.kernel.likeness import differences
from vtid.model.input import (
    AddressGone,
    AddressSeen,
    BirdSnapshot,
    ClampSnapshot,
    Input,
    LinkGone,
    LinkSeen,
    LinkSnapshot,
    OpDone,
    OpFailed,
    ProbeAnswered,
    RouteGone,
    RouteSeen,
    RoutesSeen,
    SaSnapshot,
    UnderlaySeen,
)
from vtid.model.link import tunnel_name
from vtid.model.operation import (
    AddAddress,
    AddRoute,
    AdoptLink,
    CreateLink,
    DeleteAddress,
    DeleteBird,
    DeleteClamp,
    DeleteLink,
    DeleteRoute,
    Initiate,
    Op,
    ProbeUnderlay,
    PutBird,
    Rekey,
    SendProbe,
    SetClamp,
    SetLink,
    SetUp,
)
from vtid.model.sa import ChildSa, Mark, SaMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vtid.config.keys import Policy
    from vtid.core.underlay import Path, Underlay
    from vtid.model.bgp import BirdBlock
    from vtid.model.counts import LinkCounters
    from vtid.model.link import Clamp, Desired, Link, Route
    from vtid.model.status import Status

GCM = EspAlgorithms("AES_GCM_16", 256)
CBC = EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128")


def sa(unique_id: int, connection: str = "V2-1", mark: int | None = 3, **facts: object) -> ChildSa:
    """A CHILD_SA of the lab: V1-1 towards V2-1."""
    base = ChildSa(
        unique_id=unique_id,
        connection=connection,
        child="net",
        ike_unique_id=1,
        local_host="2001:db8:1::1",
        remote_host="2001:db8:2::1",
        mode=SaMode.TUNNEL,
        protocol="ESP",
        esp=GCM,
        mark_in=None if mark is None else Mark(mark),
        mark_out=None if mark is None else Mark(mark),
    )
    return replace(base, **facts)  # type: ignore[arg-type]


def desired_of(
    tunnel: str,
    policy: Policy,
    sas: Sequence[ChildSa],
    known: Mapping[Path, Underlay],
    proven: int = 0,
) -> Desired:
    """What a tunnel with these SAs should look like."""
    members, book = members_for(policy, sas, known), RouteBook()
    members.sync(book, policy)
    return desire(tunnel, policy, members, known, book, proven=proven)


def status_of(world: World, *, tunnels: bool = True, clock_offset: float = 0.0) -> Status:
    """The status of a vtid that has just started over a world."""
    return status(
        world.state,
        rows=tunnel_rows(world.state, clock_offset) if tunnels else None,
        version="1",
        started_at=0.0,
        config_loaded_at=0.0,
        config_error="",
        waiting_for=(),
        clock_offset=clock_offset,
    )


LAB_TEXT = """
[[tunnel]]
connection = "V2-1"
interface = "vti{mark}"
netns = "private"
addresses = ["2001:db8:ff::/127", "169.254.1.0/31"]
[tunnel.bgp]
neighbor = "2001:db8:ff::1"
local_as = 65001
remote_as = 65002

[[tunnel]]
connection = "V2-2"
interface = "fixed0"
addresses = ["2001:db8:ff::2/127"]

[[bird]]
name = "private"
socket = "/run/bird.private.ctl"
include = "/etc/bird/vtid.private.conf"
"""
LAB = load(LAB_TEXT)

MOVED: set[tuple[Life, Life]] = set()
"""From which life to which one tunnels have moved, in all worlds of this process."""


class Links(dict[tuple[str, int], "Link"]):
    """Links by namespace and index; `named` has the index by namespace and name."""

    def __init__(self) -> None:
        super().__init__()
        self.named: dict[tuple[str, str], int] = {}

    def __setitem__(self, place: tuple[str, int], link: Link) -> None:
        if place in self:
            self._forget(place)
        super().__setitem__(place, link)
        self.named[place[0], link.name] = place[1]

    def __delitem__(self, place: tuple[str, int]) -> None:
        self._forget(place)
        super().__delitem__(place)

    def _forget(self, place: tuple[str, int]) -> None:
        self.named.pop((place[0], self[place].name), None)


def assert_own_interface(op: Op) -> None:
    """No two tunnels share an interface: `daemon/executor.py` and `kernel/client.py` rely on it."""
    about: Any = getattr(op, "link", op)
    name = getattr(about, "name", "") or getattr(about, "interface", "")
    assert not name or tunnel_name(about.netns, name) == op.tunnel


@dataclass
class World:
    """The state under test and the fake peers around it."""

    config: Config = LAB
    now: float = 1000.0
    underlay_mtu: int = 1500
    learnt: int = 0
    """Path MTU that the kernel learnt towards any peer, and for how many seconds from a lookup."""
    expires: float = 600.0
    state: State = field(default_factory=State)
    links: Links = field(default_factory=Links)
    addresses: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    marked: set[tuple[int, str]] = field(default_factory=set)
    """Index and address of what vtid added: the kernel keeps its mark."""
    routes: dict[tuple[str, int], set[Route]] = field(default_factory=dict)
    strangers: dict[tuple[str, int], Link] = field(default_factory=dict)
    """Links that somebody else made; vtid does not see them."""
    clamps: dict[tuple[str, str], Clamp] = field(default_factory=dict)
    blocks: dict[tuple[str, str], BirdBlock] = field(default_factory=dict)
    counted: dict[int, LinkCounters] = field(default_factory=dict)
    """What each link has counted, by its index."""
    failing: dict[type[Op], str] = field(default_factory=dict)
    without_ipv6: set[tuple[str, int]] = field(default_factory=set)
    """Links from which the kernel took IPv6 because of their MTU."""
    done: list[Op] = field(default_factory=list)
    probes: list[SendProbe] = field(default_factory=list)
    passes: int = 0
    """Bytes of the largest probe that is answered; 0 for a peer that never answers."""
    lives: dict[str, Life] = field(default_factory=dict)
    checked: bool = True
    """Whether each pass looks at the lives of all tunnels; not in benchmarks."""
    slow: bool = False
    """Whether operations are only run and answered by `answer`."""
    late: list[Op] = field(default_factory=list)
    """Those that are not run yet."""
    next_ifindex: int = 10
    inbox: deque[Input] = field(default_factory=deque)

    def start(self, sas: Sequence[ChildSa] = ()) -> World:
        """A vtid that starts over this world, and charon with these SAs."""
        self.state = State()
        self.lives.clear()
        self.inbox.clear()
        self.slow, self.late = False, []
        self.tell(ConfigLoaded(self.config), BirdSnapshot("private", self.named_in_file()))
        self.tell(*(self.links_in(netns) for netns in self.state.namespaces()))
        self.tell(*(self.clamps_in(netns) for netns in self.state.namespaces()))
        self.tell(SaSnapshot(tuple(sas)))
        return self

    def named_in_file(self) -> tuple[str, ...]:
        return tuple(tunnel for _, tunnel in self.blocks)

    def links_in(self, netns: str) -> LinkSnapshot:
        addresses = tuple(
            (index, address)
            for (ns, index), addresses in self.addresses.items()
            for address in sorted(addresses)
            if ns == netns and (ns, index) in self.links
        )
        routes = (
            (index, route)
            for (ns, index), routes in self.routes.items()
            for route in sorted(routes)
            if ns == netns
        )
        links = ((index, link) for (ns, index), link in self.links.items() if ns == netns)
        marked = tuple(pair for pair in addresses if pair in self.marked)
        return LinkSnapshot(netns, tuple(links), addresses, marked, tuple(routes))

    def clamps_in(self, netns: str) -> ClampSnapshot:
        mine = ((name, clamp) for (ns, name), clamp in self.clamps.items() if ns == netns)
        return ClampSnapshot(netns, tuple(mine))

    def tell(self, *events: Input) -> list[Op]:
        """Apply inputs and run all that follows at this moment; the operations that ran."""
        before = len(self.done)
        for event in events:
            self.state.apply(event, self.now)
            self.settle()
        return self.done[before:]

    def pass_time(self, seconds: float) -> list[Op]:
        """Let time pass; the operations that ran."""
        before = len(self.done)
        self.now += seconds
        self.settle()
        return self.done[before:]

    def settle(self) -> None:
        """Run passes until nothing moves any more."""
        for _ in range(100 + len(self.config.policies) // 50):
            ops = self.state.work(self.now, limit=1000)
            self.check_lives()
            if not ops and not self.inbox and not self.state.has_work():
                return
            if self.slow:
                self.late.extend(ops)
            else:
                self.run(ops)
            while self.inbox:
                self.state.apply(self.inbox.popleft(), self.now)
        raise AssertionError("the core does not come to rest")

    def check_lives(self) -> None:
        """Whatever happens, a tunnel moves from life to life as the table has it."""
        if not self.checked:
            return
        lives = {name: tunnel.life for name, tunnel in self.state.tunnels.items()}
        for name, life in lives.items():
            before = self.lives.get(name, Life.UNWANTED)
            if life is not before:
                assert life in MOVES[before], f"{name}: {before} -> {life}"
                MOVED.add((before, life))
        self.lives = lives

    def answer(self, count: int) -> None:
        """Run and answer the first of the late operations; what follows is for `settle`."""
        self.late.sort(key=lambda op: op.stage)
        ops, self.late = self.late[:count], self.late[count:]
        self.run(ops, late=True)

    def run(self, ops: Sequence[Op], *, late: bool = False) -> None:
        """Run operations; what a late one is about may be gone, or there, by now."""
        failed: set[str] = set()
        for op in sorted(ops, key=lambda op: op.stage):
            assert_own_interface(op)
            if isinstance(op, SendProbe):
                self.probe(op)
                continue
            error = "skipped" if op.tunnel in failed else self.failing.get(type(op), "")
            if not (error := error or self.refusal(op)):
                self.done.append(op)
                try:
                    self.execute(op)
                except (AssertionError, KeyError):
                    if not late:
                        raise
                    error = "it is too late"
            if error and op.gates:
                failed.add(op.tunnel)
            self.inbox.append(OpFailed(op, error) if error else OpDone(op))

    def probe(self, op: SendProbe) -> None:
        self.probes.append(op)
        error = self.failing.get(SendProbe, "")
        self.inbox.append(OpFailed(op, error) if error else OpDone(op))
        for size in op.sizes if not error else ():
            if size <= self.passes:
                self.inbox.append(ProbeAnswered(op.tunnel, op.round, size, rtt=0.02))

    def refusal(self, op: Op) -> str:
        """Why the kernel refuses a name that is taken, or what is not as it is wanted, or IPv6.

        Addrconf takes IPv6 away at an MTU below 1280.
        """
        match op:
            case SetLink(link=link, ifindex=ifindex):
                mtu = link.mtu if "mtu" in op.changes else self.links[link.netns, ifindex].mtu
                wants = "link_local" in op.changes and link.link_local
                return "Address family not supported" if wants and mtu < IPV6_MIN_MTU else ""
            case CreateLink(link=link) if self.stranger(link):
                return f"{link.name} belongs to someone else"
            case AdoptLink(link=link) if there := self.stranger(link):
                return ", ".join(differences(link, self.strangers[there]))
            case CreateLink(link=link):
                wants = link.link_local and link.mtu < IPV6_MIN_MTU
                return "Address family not supported" if wants else ""
            case AddAddress(address=address):
                index = self.index_of(op.netns, op.interface)
                small = (op.netns, index) in self.without_ipv6
                return "Invalid argument" if ":" in address and small else ""
        return ""

    def execute(self, op: Op) -> None:  # noqa: C901, PLR0912 - one case for each operation
        match op:
            case ProbeUnderlay():
                route = (op.local, op.remote, self.underlay_mtu, "eth0")
                expires = self.expires if self.learnt else 0.0
                self.inbox.append(UnderlaySeen(*route, learnt=self.learnt, expires=expires))
            case CreateLink(link=link):
                assert self.index_of(link.netns, link.name) is None
                self.next_ifindex += 1
                self.seen(self.next_ifindex, replace(link, up=False))
            case AdoptLink(link=link):
                if there := self.stranger(link):
                    self.hand_over(there, op)
            case SetLink(link=link, ifindex=ifindex, changes=changes):
                old = self.links[link.netns, ifindex]
                self.seen(ifindex, replace(old, **{name: getattr(link, name) for name in changes}))
            case SetUp():
                index = self.index_of(op.netns, op.name)
                assert index is not None
                self.seen(index, replace(self.links[op.netns, index], up=op.up))
                if not op.up:
                    self.lose_ipv6(op.netns, index)
                    self.lose_routes(op.netns, index)
            case DeleteLink(netns=netns, ifindex=ifindex):
                del self.links[netns, ifindex]
                self.addresses.pop((netns, ifindex), None)
                self.routes.pop((netns, ifindex), None)
                self.inbox.append(LinkGone(netns, ifindex, self.counted.pop(ifindex, None)))
            case AddAddress() | DeleteAddress():
                self.change_address(op)
            case AddRoute() | DeleteRoute():
                self.change_route(op)
            case SetClamp():
                self.clamps[op.netns, op.interface] = op.clamp
            case DeleteClamp():
                del self.clamps[op.netns, op.interface]
            case PutBird(block=block):
                self.blocks[block.instance, op.tunnel] = block
            case DeleteBird():
                del self.blocks[op.instance, op.tunnel]
            case Initiate() | Rekey():
                pass  # what becomes of it is the test's to tell
            case _:
                raise AssertionError(op)

    def stranger(self, link: Link) -> tuple[str, int] | None:
        """Place of the link that somebody else made and gave the name of one that is wanted."""
        for place, there in self.strangers.items():
            if (there.netns, there.name) == (link.netns, link.name):
                return place
        return None

    def hand_over(self, place: tuple[str, int], op: AdoptLink) -> None:
        """Make a link of somebody else's ours, as the kernel's edge does."""
        self.links[place] = replace(self.strangers.pop(place), alias=op.link.alias)
        have = self.addresses.get(place, set())
        self.marked |= {(place[1], address) for address in have & {*op.addresses}}
        self.inbox.append(LinkSeen(self.links[place], place[1], self.counted.get(place[1])))
        self.inbox.append(self.links_in(op.link.netns))

    def lose_ipv6(self, netns: str, index: int) -> None:
        """As Linux does with an interface that is set down (net.ipv6.conf.*.keep_addr_on_down)."""
        have = self.addresses.get((netns, index), set())
        for address in sorted(address for address in have if ":" in address):
            have.remove(address)
            self.inbox.append(AddressGone(netns, index, address))

    def lose_routes(self, netns: str, index: int) -> None:
        """As Linux does with an interface that is set down; no event tells it of IPv4's."""
        if self.routes.pop((netns, index), None):
            self.inbox.append(RoutesSeen(netns, index, ()))

    def change_ipv6(self, ifindex: int, link: Link) -> None:
        """As Linux does when an MTU crosses 1280 (net/ipv6/addrconf.c, addrconf_notify)."""
        key = (link.netns, ifindex)
        if link.mtu >= IPV6_MIN_MTU:
            self.without_ipv6.discard(key)
        elif key not in self.without_ipv6:
            self.without_ipv6.add(key)
            self.lose_ipv6(*key)

    def change_address(self, op: AddAddress | DeleteAddress) -> None:
        index = self.index_of(op.netns, op.interface)
        assert index is not None
        have = self.addresses.setdefault((op.netns, index), set())
        if isinstance(op, AddAddress):
            have.add(op.address)
            self.marked.add((index, op.address))
            self.inbox.append(AddressSeen(op.netns, index, op.address, ours=True))
            return
        have.remove(op.address)
        self.inbox.append(AddressGone(op.netns, index, op.address))

    def change_route(self, op: AddRoute | DeleteRoute) -> None:
        index = self.index_of(op.netns, op.interface)
        assert index is not None
        link, have = self.links[op.netns, index], self.routes.setdefault((op.netns, index), set())
        assert link.up
        route = replace(op.route, table=op.route.table or link.table)
        if isinstance(op, AddRoute):
            have.add(route)
            self.inbox.append(RouteSeen(op.netns, index, route))
        else:
            have.remove(route)
            self.inbox.append(RouteGone(op.netns, index, route))

    def seen(self, ifindex: int, link: Link) -> None:
        self.change_ipv6(ifindex, link)
        if (link.netns, ifindex) in self.without_ipv6:
            link = replace(link, link_local=False)
        self.links[link.netns, ifindex] = link
        self.inbox.append(LinkSeen(link, ifindex))

    def change_mtu(self, ifindex: int, link: Link) -> None:
        """Have another program change a link's MTU."""
        self.seen(ifindex, link)
        while self.inbox:
            self.state.apply(self.inbox.popleft(), self.now)
        self.settle()

    def index_of(self, netns: str, name: str) -> int | None:
        return self.links.named.get((netns, name))

    def link(self, name: str = "vti3", netns: str = "private") -> Link | None:
        index = self.index_of(netns, name)
        return None if index is None else self.links[netns, index]

    def routes_of(self, name: str, netns: str = "") -> set[Route]:
        return self.routes.get((netns, self.index_of(netns, name) or 0), set())

    def addresses_of(self, name: str, netns: str = "") -> set[str]:
        return self.addresses.get((netns, self.index_of(netns, name) or 0), set())

    def forget(self, event: Input) -> None:
        """Let the kernel be as an event that comes from someone else tells it."""
        match event:
            case AddressGone():
                self.addresses[event.netns, event.ifindex].discard(event.address)
            case RouteGone():
                self.routes[event.netns, event.ifindex].discard(event.route)
            case RoutesSeen():
                self.routes[event.netns, event.ifindex] = set(event.routes)
            case LinkSeen():
                self.links[event.link.netns, event.ifindex] = event.link
