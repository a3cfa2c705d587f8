"""Configuration: TOML text to a frozen `Config`, or every error with its key path and line.

Rules of this file:

* Pure: it reads no file and asks nothing of the machine; `load(text)` is all there is.
* Unknown keys are errors. Every key's default stands here and in `etc/vtid.toml`, and a test
  holds the two together.
* `[defaults]` is merged into each `[[tunnel]]` before validation, so a tunnel read from here has
  every key set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vtid.model import Input, Kind


class _Table(BaseModel):
    """A TOML table: frozen, and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Daemon(_Table):
    """`[daemon]`: where vtid listens and what it says."""

    control_socket: str = "/run/vtid/control.sock"
    metrics: tuple[str, ...] = ("127.0.0.1:9814",)
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Vici(_Table):
    """`[vici]`: how to reach charon."""

    socket: str = "/run/charon.vici"


class Bgp(_Table):
    """`[tunnel.bgp]`: one BGP session over the tunnel; an array of tables for several."""

    neighbor: str
    local_as: int
    remote_as: int
    name: str = ""
    bird: str = ""
    families: tuple[Literal["ipv4", "ipv6"], ...] = ()
    import_filter: str = Field(default="all", alias="import")
    export_filter: str = Field(default="none", alias="export")
    preference: int | None = None
    hold_time: float | None = None


class Tunnel(_Table):
    """`[[tunnel]]`: a policy; it claims the CHILD_SAs that its two patterns match."""

    connection: str
    child: str = "*"
    interface: str
    kind: Kind = Kind.VTI
    netns: str = ""
    mtu: int | Literal["auto", "underlay"] = "auto"
    mss_clamp: bool = True
    hold_time: float = 3.0
    """Seconds."""
    addresses: tuple[str, ...] = ()
    bgp: tuple[Bgp, ...] = ()


class Bird(_Table):
    """`[[bird]]`: a BIRD that vtid writes an include file for."""

    name: str
    socket: str
    include: str


class Config(_Table):
    """The whole configuration."""

    daemon: Daemon = Daemon()
    vici: Vici = Vici()
    tunnels: tuple[Tunnel, ...] = Field(default=(), alias="tunnel")
    birds: tuple[Bird, ...] = Field(default=(), alias="bird")


@dataclass(frozen=True, slots=True)
class ConfigLoaded(Input):
    """A configuration was read and is good."""

    config: Config
