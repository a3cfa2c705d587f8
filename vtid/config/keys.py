"""Keys: the tables of vtid.toml with every key, its type and its default. Pure.

Rules of this file:

* Every key and default also stands in `etc/vtid.toml`, with its explanation; a test compares both.
* A policy that `load` returns is complete: `[defaults]` is already merged into it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from vtid.config.bgp import Bgp, DefaultBgp
from vtid.config.interface import Address, Routes, SysctlKeys
from vtid.config.metrics import Metrics
from vtid.config.probe import DefaultProbe, Probe
from vtid.config.tables import KEY, Table
from vtid.config.types import (
    AbsolutePath,
    BirdTemplate,
    EspProposal,
    GroupName,
    InstanceName,
    InterfaceTemplate,
    InterfaceTemplateOrEmpty,
    Key,
    Listen,
    Mtu,
    NetnsName,
    OuterAddress,
    Pattern,
    Remote,
    Seconds,
    SocketPath,
    UnderlayMtu,
    Vars,
    VrfName,
    family_of,
)
from vtid.model.input import Input
from vtid.model.link import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon(Table):
    """`[daemon]`: where vtid listens and what it says."""

    control_socket: SocketPath = "/run/vtid/control.sock"
    read_only_socket: SocketPath | None = None
    read_only_group: GroupName | None = None
    metrics: tuple[Listen, ...] = ("127.0.0.1:14814",)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    hooks: AbsolutePath | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vici(Table):
    """`[vici]`: how to reach charon."""

    socket: SocketPath = "/run/charon.vici"


@dataclass(frozen=True, slots=True, kw_only=True)
class _PolicyKeys(Table):
    """Keys of a tunnel that `[defaults]` can set, too."""

    child: Pattern = "*"
    kind: Kind = Kind.VTI
    netns: NetnsName = ""
    vrf: VrfName = ""
    mtu: Mtu = "auto"
    underlay_mtu: UnderlayMtu | None = None
    mss_clamp: bool = True
    routes: Routes = ()
    sysctls: SysctlKeys = SysctlKeys()
    hold_time: Seconds = 3.0
    on_loss: Literal["hold", "withdraw"] = "hold"
    on_down: Literal["delete", "down"] = "delete"
    presence: Literal["sa", "always"] = "sa"
    initiate: bool = False
    local: OuterAddress | None = None
    esp: EspProposal | None = None
    vars: Vars = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(_PolicyKeys):
    """`[[tunnel]]`: a policy; it claims the CHILD_SAs that its two patterns match."""

    connection: Pattern
    interface: InterfaceTemplate
    interface_in: InterfaceTemplateOrEmpty = ""
    addresses: tuple[Address, ...] = ()
    remote: Remote | None = None
    mark: Key | None = None
    mark_in: Key | None = None
    mark_out: Key | None = None
    if_id: Key | None = None
    probe: Probe = Probe()
    bgp: tuple[Bgp, ...] = ()

    def with_families(self) -> Policy:
        """Give sessions the neighbour's family and those of the tunnel's addresses (RFC 4760)."""
        if all(session.families for session in self.bgp):
            return self
        ours = {family_of(address) for address in self.addresses}
        found = ((one, tuple(sorted(ours | {family_of(one.neighbor)}))) for one in self.bgp)
        sessions = (one if one.families else replace(one, families=new) for one, new in found)
        return replace(self, bgp=tuple(sessions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults(_PolicyKeys):
    """`[defaults]`: keys that tunnels have where they do not say otherwise.

    `connection`, `addresses`, the `peer` of probes and a session's `neighbor` and `name` belong to
    one tunnel alone.
    """

    interface: InterfaceTemplate | None = None
    bgp: DefaultBgp = DefaultBgp()
    probe: DefaultProbe = DefaultProbe()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bird(Table):
    """`[[bird]]`: a BIRD that vtid writes an include file for."""

    name: InstanceName
    socket: SocketPath
    include: AbsolutePath
    template: BirdTemplate = "bgp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Table):
    """The whole configuration. `defaults` is already merged into every tunnel."""

    daemon: Daemon = Daemon()
    metrics: Metrics = Metrics()
    vici: Vici = Vici()
    defaults: Defaults = Defaults()
    policies: tuple[Policy, ...] = field(default=(), metadata={KEY: "tunnel"})
    birds: tuple[Bird, ...] = field(default=(), metadata={KEY: "bird"})


@dataclass(frozen=True, slots=True)
class ConfigLoaded(Input):
    """A valid configuration was loaded."""

    config: Config
