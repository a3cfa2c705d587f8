"""Facts of a gateway at one moment, for `vtictl doctor`. Pure.

Rule of this file: None, or a missing key, is for what could not be read; nothing follows from it,
and where it could have been there, a `Gap` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtid.model.connection import Connection
    from vtid.model.input import UnderlaySeen
    from vtid.model.link import Clamp
    from vtid.model.sa import ChildSa


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that the doctor could not look at."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class InterfaceMatch:
    """What a rule asks of the interface that a packet comes in or leaves by."""

    way: str
    """`in` or `out`."""
    names: tuple[str, ...]
    """Patterns."""
    wanted: bool = True
    """Whether one has to match, or none may."""

    def holds(self, interface: str) -> bool:
        """Whether it holds for an interface."""
        return any(fnmatchcase(interface, one) for one in self.names) == self.wanted


@dataclass(frozen=True, slots=True)
class OtherClamp:
    """A rule of another program that sets TCP's maximum segment size."""

    place: str
    """Family, table and chain."""
    size: int
    interfaces: tuple[InterfaceMatch, ...] = ()
    """All that it asks of interfaces."""
    versions: tuple[int, ...] = (4, 6)
    """Of the IP packets that it may apply to."""

    def applies(self, interface: str) -> bool:
        """Whether it may apply to packets through an interface, in or out."""
        ways = {one.way for one in self.interfaces}
        return not ways or any(self._holds(way, interface) for way in ways)

    def _holds(self, way: str, interface: str) -> bool:
        return all(one.holds(interface) for one in self.interfaces if one.way == way)


@dataclass(frozen=True, slots=True)
class NetnsFacts:
    """What one network namespace has."""

    sysctls: Mapping[str, str] = field(default_factory=dict)
    """By path below /proc/sys/net, as `ipv4/ip_forward`."""
    xfrm_growth: Mapping[str, int] = field(default_factory=dict)
    """By how much counters of /proc/net/xfrm_stat grew while they were watched."""
    traffic: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Packets that each interface received and sent meanwhile."""
    mtus: Mapping[str, int] = field(default_factory=dict)
    """MTU of each interface, in bytes."""
    clamps: Mapping[str, Clamp] | None = None
    """Of table `inet vtid`, by interface; `Clamp(0, 0)` for one that is not in force."""
    other_clamps: tuple[OtherClamp, ...] = ()


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """Modules of the kernel that runs, by name."""

    known: frozenset[str] = frozenset()
    """Those that are built in, or installed for it."""
    ready: frozenset[str] = frozenset()
    """Those that are built in or loaded."""
    is_locked: bool = False
    """Whether no more can be loaded until the next boot (kernel.modules_disabled)."""
    barred: Mapping[str, str] = field(default_factory=dict)
    """File of modprobe.d(5) that keeps a module from being loaded."""


@dataclass(frozen=True, slots=True)
class UdevRule:
    """A rule of udev that sets what vtid sets of interfaces."""

    place: str
    """Its file."""
    sets: str
    names: tuple[tuple[str, bool], ...] = ()
    """Patterns of names, with `|` between alternatives, and whether they have to match."""

    def applies(self, name: str) -> bool:
        """Whether it applies to an interface."""
        return all(
            any(fnmatchcase(name, one) for one in pattern.split("|")) == wanted
            for pattern, wanted in self.names
        )


@dataclass(frozen=True, slots=True)
class UdevFacts:
    """What udev does with interfaces of vtid's own namespace."""

    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What a .link file set of an interface, as `FILE: KEY=VALUE`."""
    handled: frozenset[str] = frozenset()
    """Those that it handles and that the shipped rules do not know."""
    ours: frozenset[str] = frozenset()
    """Those with vtid's mark, whatever their name is now."""
    rules: tuple[UdevRule, ...] = ()
    unread: tuple[str, ...] = ()
    """Files that have rules of which only udev knows whether they apply."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the machine has."""

    namespaces: Mapping[str, NetnsFacts] = field(default_factory=dict)
    """Those that the configuration names and could be entered; "" is vtid's own."""
    paths: Mapping[tuple[str, str], UnderlaySeen] = field(default_factory=dict)
    """Routes and outer MTUs of the SAs that are up, by local and remote address."""
    proven: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Bytes that probes of the vtid that runs found to be the most, by namespace and interface."""
    watched: float = 0.0
    """Seconds for which counters were watched."""
    charon_routes: int | None = None
    """Routes in charon's own table, 220."""
    addresses: Mapping[str, str] | None = None
    """Interface of each address."""
    release: str = ""
    """Of the kernel, as `6.1.0-57-amd64`."""
    modules: ModuleFacts | None = None
    networkd: Mapping[str, str] | None = None
    """`[Network]` of networkd.conf with its drop-ins; None where networkd does not run."""
    networkd_links: Mapping[str, str] = field(default_factory=dict)
    """.network file of each interface that systemd-networkd manages."""
    networkmanager_links: tuple[str, ...] = ()
    """Interfaces that NetworkManager manages."""
    udev: UdevFacts | None = None
    """None where udev does not run."""
    bird_conf: str | None = None
    """BIRD's configuration as Debian installs it."""
    daemon_capabilities: int | None = None
    """Effective capabilities of the vtid that runs, as bits (linux/capability.h)."""
    is_synchronised: bool | None = None
    """Whether the kernel is told that the clock is right."""
    clock_jumped: float = 0.0
    """Seconds by which the clock was set since the vtid that runs started."""
    hooks_refused: tuple[str, ...] = ()
    """Programs of `hooks` that may not be run, one line each with why and the way out."""
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class CharonLists:
    """What charon has loaded and what is up; `error` is why it cannot be asked."""

    error: str = ""
    connections: tuple[Connection, ...] = ()
    sas: tuple[ChildSa, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, and how to fix it."""

    id: str
    """A heading of docs/doctor.md, the same in every version."""
    subject: str
    """What it is about: an SA, an interface, a connection, a file."""
    what: str
    fix: str
    """How to fix it; the name is a key of the JSON output, and stays."""
