"""Admission: who may hold a connection to a listener, and for how long. Pure.

Whoever holds connections must not keep others out:

* A client holds `share` connections at most: an IP address, or a process on the control socket.
* The last `reserve` of all `total` places are for clients that hold none.
* When all places are taken, such a client still gets in, and displaces another: `_ORDER` says
  which. Within a row, it is of the network that holds the most, and began its phase first. A
  network is an IPv6 /64, within which a host chooses its addresses freely, or one IPv4 address.
* Who has taken a good answer before is known. That tells a scraper from those who come with many
  addresses to hold places: they cannot displace it, and it displaces whatever they do.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Generic, TypeVar

PlaceT = TypeVar("PlaceT")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one kind of listener; the files and the memory that it takes follow from them."""

    total: int = 256
    """Connections at once; systemd allows a service 1024 open files. In a flood of strangers, each
    has its place until as many others came: 2,000 a second leave it 0.13 s for its request."""
    share: int = 16
    """Connections of one client."""
    reserve: int = 64
    """Of all places, those for clients that hold none."""
    head: float = 10.0
    """Seconds from a connection, or from the first byte of a later request, to its last header."""
    body: float = 10.0
    """Seconds for the body of a request."""
    send: float = 30.0
    """Seconds for a client to take its answer; Prometheus gives up after 10 by default."""
    idle: float = 120.0
    """Seconds between two requests; scrapes are seldom more than a minute apart."""


class Reason(StrEnum):
    """Why a connection or a request was refused or ended; a label value."""

    SHARE = "share"
    FULL = "full"
    DISPLACED = "displaced"
    HEAD = "head"
    BODY = "body"
    SIZE = "size"
    SEND = "send"
    IDLE = "idle"
    TLS = "tls"
    HOST = "host"
    AUTH = "auth"


class Phase(Enum):
    """What a connection is doing."""

    IDLE = auto()
    """The client has its answer, and may send another request."""
    WAITING = auto()
    """The client owes a request, or the rest of one."""
    WORKING = auto()
    """The daemon owes the answer."""
    SENDING = auto()
    """The client takes the answer."""


_ORDER = (
    (Phase.IDLE, None),  # who loses it connects again
    (Phase.WAITING, False),
    (Phase.SENDING, False),
    (Phase.WORKING, False),
    (Phase.WAITING, True),
    (Phase.SENDING, True),
)
"""Who is displaced first: a phase, and whether the client is known."""

_KNOWN_MAX = 1024
"""Clients that are known at once; more are forgotten, the one that was answered first."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who connects."""

    name: str
    """An IP address, or the number of a process."""
    network: str
    """What its names are taken from."""


@dataclass(frozen=True, slots=True)
class Verdict(Generic[PlaceT]):
    """Whether a connection may stay: it may where `refused` is None."""

    refused: Reason | None = None
    displaced: PlaceT | None = None
    """The connection that has to go for it."""


class Admission(Generic[PlaceT]):
    """The places of a listener; places are what the caller has for connections."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._clients: dict[PlaceT, Client] = {}
        self._held: Counter[str] = Counter()
        self._held_by_network: Counter[str] = Counter()
        self._known: OrderedDict[str, None] = OrderedDict()
        # in the order in which each one's phase began
        self._phases: dict[Phase, dict[PlaceT, None]] = {phase: {} for phase in Phase}

    def __len__(self) -> int:
        return len(self._clients)

    def enter(self, place: PlaceT, client: Client) -> Verdict[PlaceT]:
        """Decide about a new connection of `client`, and note it where it may stay."""
        verdict = self._decide(client)
        if verdict.displaced is not None:
            self.leave(verdict.displaced)
        if verdict.refused is None:
            self._clients[place] = client
            self._held[client.name] += 1
            self._held_by_network[client.network] += 1
            self._phases[Phase.WAITING][place] = None
        return verdict

    def _decide(self, client: Client) -> Verdict[PlaceT]:
        limits, held, taken = self._limits, self._held[client.name], len(self)
        if held >= limits.share:
            return Verdict(Reason.SHARE)
        if taken < limits.total - limits.reserve:
            return Verdict()
        if held:
            return Verdict(Reason.FULL)
        if taken < limits.total:
            return Verdict()
        displaced = self._first_to_go(client)
        return Verdict(Reason.FULL) if displaced is None else Verdict(displaced=displaced)

    def _first_to_go(self, newcomer: Client) -> PlaceT | None:
        """Return whose place a client takes; a stranger takes none where the daemon works on it."""
        for phase, known in _ORDER:
            found = [one for one in self._phases[phase] if known in {None, self._is_known(one)}]
            if found and phase is Phase.WORKING and newcomer.name not in self._known:
                return None
            if found:
                return max(found, key=self._neighbours)
        return None

    def _is_known(self, place: PlaceT) -> bool:
        return self._clients[place].name in self._known

    def _neighbours(self, place: PlaceT) -> int:
        return self._held_by_network[self._clients[place].network]

    def begin(self, place: PlaceT, phase: Phase) -> None:
        """Note that a connection is in a phase from now on, unless it has left."""
        if place in self._clients:
            self._forget_phase(place)
            self._phases[phase][place] = None

    def know(self, place: PlaceT) -> None:
        """Note that the client of a connection has taken a good answer, unless it has left."""
        if place in self._clients:
            name = self._clients[place].name
            self._known[name] = None
            self._known.move_to_end(name)
            if len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)

    def leave(self, place: PlaceT) -> None:
        """Free a connection's place, unless it has left already."""
        client = self._clients.pop(place, None)
        if client is None:
            return
        self._forget_phase(place)
        _take(self._held, client.name)
        _take(self._held_by_network, client.network)

    def _forget_phase(self, place: PlaceT) -> None:
        for places in self._phases.values():
            places.pop(place, None)


def _take(counts: Counter[str], key: str) -> None:
    """Count one less, and forget who holds none: there are more addresses than memory."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


def client_at(address: str) -> Client:
    """Return the client at an IP address.

    An IPv4 address is the same where a dual-stack socket shows it as IPv6 (::ffff:192.0.2.1).
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is None:
        return Client(str(ip), str(IPv6Network((int(ip), 64), strict=False)))
    name = str(ip if isinstance(ip, IPv4Address) else ip.ipv4_mapped)
    return Client(name, name)
