"""BGP: the sessions over tunnels, the facts for BIRD's templates, and BIRD's protocols. Pure.

Rules of this file:

* A session is the same before and after a rekey: it has no unique ID, no SPI and no time.
"""

from __future__ import annotations

from dataclasses import dataclass

from vtid.esp.algorithms import EspAlgorithms

HIDDEN = "**********"
"""What is shown for any password."""


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A password. Only `text` has it in clear: no log, status or plan shows it."""

    text: str

    def __repr__(self) -> str:
        return HIDDEN


@dataclass(frozen=True, slots=True)
class BgpSession:
    """One BGP session over a tunnel, with everything that BIRD's configuration says of it.

    None leaves BIRD's default; times are in seconds.
    """

    name: str
    """BIRD protocol name: a safe symbol that survives rekey, restart and reordering."""
    interface: str
    neighbor: str
    local_as: int
    remote_as: int
    local_address: str = ""
    """Our address on the tunnel of the neighbour's family; empty where none is configured."""
    families: tuple[str, ...] = ("ipv6",)
    """Channels: `ipv4`, `ipv6`."""
    import_filter: str = "all"
    """`all`, `none`, or the name of a filter the administrator defined."""
    export_filter: str = "none"
    import_limit: int | None = None
    """Routes that filters let in; `receive_limit` counts before them, `export_limit` going out."""
    receive_limit: int | None = None
    export_limit: int | None = None
    limit_action: str | None = None
    """What BIRD does at a limit: `warn`, `block`, `restart`, `disable`."""
    preference: int | None = None
    local_preference: int | None = None
    """LOCAL_PREF (RFC 4271) of routes that come without."""
    next_hop_self: bool | None = None
    """None: for iBGP, not for eBGP."""
    next_hop: tuple[str, ...] = ()
    """The next hop of exported routes, one for each family that has another than BIRD's choice."""
    multihop: int | None = None
    """Hops to the neighbour; None: it is on the tunnel."""
    role: str | None = None
    """Ours in RFC 9234: `provider`, `customer`, `peer`, `rs_server`, `rs_client`."""
    password: Secret | None = None
    """TCP MD5 signature (RFC 2385)."""
    bfd: bool = False
    graceful_restart: str | None = None
    """RFC 4724: `on`, `off`; `aware` helps a neighbour that restarts and asks for no help."""
    passive: bool = False
    hold_time: int | None = None
    keepalive_time: int | None = None
    connect_retry_time: int | None = None
    connect_delay_time: int | None = None
    error_wait_time: tuple[int, int] | None = None
    """Least and longest wait before the session is tried again after an error."""
    vrf: str = ""
    """VRF of the interface, where BIRD's sockets have to be, too; empty for none."""


@dataclass(frozen=True, slots=True)
class SaFacts:
    """What a template can use of a tunnel's CHILD_SA; a rekey alone changes none of it.

    The fields are those of `vtid.model.ChildSa`; marks are their values, 0 where there is none.
    """

    connection: str
    child: str
    local_host: str
    remote_host: str
    esp: EspAlgorithms
    encap: bool = False
    mark_in: int = 0
    mark_out: int = 0
    if_id_in: int = 0
    if_id_out: int = 0
    local_id: str = ""
    remote_id: str = ""
    local_ts: tuple[str, ...] = ()
    remote_ts: tuple[str, ...] = ()
    remote_vips: tuple[str, ...] = ()
    local_vips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TunnelFacts:
    """What a template can use of a tunnel, apart from its sessions."""

    interface: str
    netns: str = ""
    addresses: tuple[str, ...] = ()
    """As the configuration has them: with prefix length, or `ADDRESS peer ADDRESS/LENGTH`."""
    mtu: int = 0
    """Bytes; 0 while it is not known."""
    sa: SaFacts | None = None
    """None while the tunnel is down."""
    vars: tuple[tuple[str, str | int | bool], ...] = ()
    """What the configuration says under `vars`, sorted."""


@dataclass(frozen=True, slots=True)
class BirdBlock:
    """What one tunnel contributes to the include file of one BIRD."""

    instance: str
    tunnel: str
    sessions: tuple[BgpSession, ...]
    facts: TunnelFacts | None = None
    """None for a block of which only the name is known, from the file."""
    switched: tuple[tuple[str, bool], ...] = ()
    """Sessions that are switched without reconfiguration, and whether they are on."""


IMPORT_UPDATES = ("received", "rejected", "filtered", "ignored", "accepted")
IMPORT_WITHDRAWS = ("received", "rejected", "ignored", "accepted")
EXPORT_UPDATES = ("received", "rejected", "filtered", "accepted")
EXPORT_WITHDRAWS = ("received", "accepted")
"""What BIRD counts of each kind of change (nest/proto.c, channel_show_stats)."""


@dataclass(frozen=True, slots=True)
class BgpChannel:
    """One address family of a BGP session; None is what BIRD does not report, as while it is down.

    BIRD counts the routes that its import filter refused only with `import keep filtered`.
    """

    family: str
    """BIRD's name of the channel: `ipv4`, `ipv6`, …"""
    state: str = ""
    """`UP`, `DOWN`, …; empty for BIRD 1.6, where session and channel are one."""
    imported: int | None = None
    filtered: int | None = None
    exported: int | None = None
    preferred: int | None = None
    limits_hit: tuple[str, ...] = ()
    """Of `import`, `receive` and `export` those whose limit on routes was reached."""
    import_updates: tuple[int, ...] = ()
    """Since the session was up last, as often as each of `IMPORT_UPDATES`; empty if unknown."""
    import_withdraws: tuple[int, ...] = ()
    """The same for `IMPORT_WITHDRAWS`."""
    export_updates: tuple[int, ...] = ()
    """The same for `EXPORT_UPDATES`."""
    export_withdraws: tuple[int, ...] = ()
    """The same for `EXPORT_WITHDRAWS`."""


@dataclass(frozen=True, slots=True)
class BgpState:
    """One BGP protocol of a BIRD, from `show protocols all`."""

    protocol: str
    state: str
    """BIRD's state column: `up`, `start`, `down`."""
    info: str
    """BIRD's info column: `Established`, `Active`, … with its message."""
    since: str
    """Last change of `state`, in the words of BIRD."""
    since_at: float = 0.0
    """The same as Unix time, in seconds; 0 where BIRD's words do not say it."""
    neighbor: str = ""
    interface: str = ""
    """Where BIRD says it: of a neighbour given with one."""
    last_error: str = ""
    channels: tuple[BgpChannel, ...] = ()
    bfd: str = ""
    """State of the BFD session towards the neighbour (`Up`, `Down`, `Init`); empty for none."""
    bfd_since_at: float = 0.0
    """Unix time of the last change of `bfd`, in seconds; 0 where BIRD's words do not say it."""
    bfd_interval: float = 0.0
    """Seconds between two BFD packets to the neighbour."""
    bfd_timeout: float = 0.0
    """Seconds without one from the neighbour after which the session is down; 0 for never."""
    bird: str = ""
    """The BIRD that has it: names of protocols are unique only within one."""

    @property
    def established(self) -> bool:
        """Whether the session is Established (RFC 4271, section 8.2.2)."""
        return self.info.split(" ", 1)[0] == "Established"
