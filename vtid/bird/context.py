"""Context: the variables of a template. Pure.

    sessions   BGP sessions, each a `Session`
    tunnel     the tunnel, a `Tunnel`
    sa         the CHILD_SA that it has, a `Sa`; none while it is down
    vars       what the configuration says under `vars`, by name

Rules of this file:

* Nothing here changes with a rekey: no unique ID, no SPI, no time.
* What BIRD's code can use unquoted (addresses, names of protocols, filters) is a `Word`, numbers
  are numbers; any other text becomes a quoted string in code (`autoescape`).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from vtid.bird.quote import (
    RenderError,
    Word,
    address,
    interface,
    number,
    policy,
    prefix,
    quoted,
    secret,
    symbol,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vtid.model.bgp import BgpSession, BirdBlock, SaFacts, TunnelFacts

NUMBERS = {
    "local_as": 0xFFFFFFFF,
    "remote_as": 0xFFFFFFFF,
    "local_preference": 0xFFFFFFFF,
    "preference": 0xFFFF,
    "multihop": 0xFF,
    "hold_time": 0xFFFF,
    "keepalive_time": 0xFFFF,
    "connect_retry_time": 0xFFFF,
    "connect_delay_time": 0xFFFF,
}
"""Numbers of a session, each with the highest that BIRD takes."""

WORDS = {
    "limit_action": {"warn", "block", "restart", "disable"},
    "role": {"provider", "rs_server", "rs_client", "customer", "peer"},
    "graceful_restart": {"on", "off", "aware"},
}
FAMILIES = frozenset({"ipv4", "ipv6"})

ERROR_WAIT = (1, 30)
"""Seconds, instead of BIRD's 60 to 300: a neighbour that is back with its tunnel need not wait."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One address family of a session, as the template sees it."""

    family: Word
    extended_next_hop: bool
    next_hop: Word | None
    """Of exported routes; None for BIRD's choice."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many routes there may be."""

    routes: Word
    """Which: `import`, `receive`, `export`."""
    number: int


@dataclass(frozen=True, slots=True)
class Session:
    """One BGP session, as the template sees it: every value can go into the text as it is.

    None stands for BIRD's default.
    """

    name: Word
    description: Word
    interface: Word
    vrf: Word | None
    local: Word | None
    local_as: int
    neighbor: Word
    link_local: bool
    """Whether the neighbour's address is in fe80::/10, so that it needs the interface."""
    remote_as: int
    internal: bool
    next_hop_self: bool
    multihop: int | None
    password: Word | None
    bfd: bool
    passive: bool
    graceful_restart: Word | None
    """`on`, `off`, `aware`."""
    role: Word | None
    hold_time: int | None
    keepalive_time: int | None
    connect_retry_time: int | None
    connect_delay_time: int | None
    error_wait_min: int
    error_wait_max: int
    preference: int | None
    local_preference: int | None
    import_policy: Word
    export_policy: Word
    limits: tuple[Limit, ...]
    limit_action: Word | None
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True)
class Sa:
    """The CHILD_SA that serves a tunnel, as the template sees it."""

    connection: str
    child: str
    local_host: Word
    """Outer addresses."""
    remote_host: Word
    local_id: str
    """IKE identities; the peer chooses the remote one."""
    remote_id: str
    local_ts: tuple[str, ...]
    """Traffic selectors, `10.0.0.0/24`; the filter `prefix` turns a prefix into code."""
    remote_ts: tuple[str, ...]
    remote_vips: tuple[Word, ...]
    """Virtual IPs that charon assigned to the peer."""
    local_vips: tuple[Word, ...]
    """Virtual IPs that the peer assigned to us."""
    esp: str
    """ESP algorithms, `AES_GCM_16-256`."""
    encap: bool
    """NAT-T: ESP in UDP."""
    mark_in: int
    """0 where there is none."""
    mark_out: int
    if_id_in: int
    if_id_out: int


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A tunnel, as the template sees it."""

    name: str
    interface: str
    netns: str
    """Empty for vtid's own."""
    addresses: tuple[Word, ...]
    """With prefix length, except for one with a peer."""
    mtu: int
    """Bytes; 0 while it is not known."""


def context(block: BirdBlock) -> dict[str, Any]:
    """Return what a template sees of a block; raises RenderError."""
    facts = block.facts
    return {
        "sessions": tuple(_session(block.tunnel, session) for session in block.sessions),
        "tunnel": _tunnel(block.tunnel, facts) if facts else None,
        "sa": _sa(facts.sa) if facts and facts.sa else None,
        "vars": dict(facts.vars) if facts else {},
    }


def _tunnel(name: str, facts: TunnelFacts) -> Tunnel:
    return Tunnel(
        name=name,
        interface=facts.interface,
        netns=facts.netns,
        addresses=tuple(map(_own, facts.addresses)),
        mtu=facts.mtu,
    )


def _own(text: str) -> Word:
    own, _, peer = text.partition(" peer ")
    return address(own) if peer else prefix(own)


def _sa(facts: SaFacts) -> Sa:
    return Sa(
        connection=facts.connection,
        child=facts.child,
        local_host=address(facts.local_host),
        remote_host=address(facts.remote_host),
        local_id=facts.local_id,
        remote_id=facts.remote_id,
        local_ts=facts.local_ts,
        remote_ts=facts.remote_ts,
        remote_vips=tuple(map(address, facts.remote_vips)),
        local_vips=tuple(map(address, facts.local_vips)),
        esp=str(facts.esp),
        encap=facts.encap,
        mark_in=facts.mark_in,
        mark_out=facts.mark_out,
        if_id_in=facts.if_id_in,
        if_id_out=facts.if_id_out,
    )


def _session(tunnel: str, session: BgpSession) -> Session:
    neighbor = address(session.neighbor)
    internal = session.local_as == session.remote_as
    least, longest = session.error_wait_time or ERROR_WAIT
    return Session(
        name=symbol(session.name),
        description=quoted(f"{tunnel} on {session.interface}"),
        interface=interface(session.interface),
        vrf=interface(session.vrf) if session.vrf else None,
        local=address(session.local_address) if session.local_address else None,
        neighbor=neighbor,
        link_local=":" in neighbor and ip_address(neighbor).is_link_local,
        internal=internal,
        next_hop_self=internal if session.next_hop_self is None else session.next_hop_self,
        password=secret(session.password.text) if session.password else None,
        bfd=session.bfd,
        passive=session.passive,
        graceful_restart=_word("graceful_restart", session.graceful_restart),
        role=_word("role", session.role),
        limit_action=_word("limit_action", session.limit_action),
        error_wait_min=number("error_wait_time", least, 0xFFFF),
        error_wait_max=number("error_wait_time", longest, 0xFFFF),
        import_policy=policy(session.import_filter),
        export_policy=policy(session.export_filter),
        channels=tuple(_channel(family, neighbor, session.next_hop) for family in session.families),
        limits=tuple(_limits(session)),
        **{name: _number(name, getattr(session, name)) for name in NUMBERS},
    )


def _limits(session: BgpSession) -> Iterator[Limit]:
    for routes in ("import", "receive", "export"):
        limit = getattr(session, f"{routes}_limit")
        if limit is not None:
            yield Limit(Word(routes), number(f"{routes}_limit", limit, 0xFFFFFFFF))


def _number(name: str, value: int | None) -> Any:  # noqa: ANN401 - int where one has to be there
    return None if value is None else number(name, value, NUMBERS[name])


def _word(name: str, value: str | None) -> Word | None:
    if value is not None and value not in WORDS[name]:
        raise RenderError(f"{name} {value!r} is none of {', '.join(sorted(WORDS[name]))}")
    return None if value is None else Word(value)


def _channel(family: str, neighbor: str, next_hops: Iterable[str]) -> Channel:
    if family not in FAMILIES:
        raise RenderError(f"{family!r} is no address family: ipv4 or ipv6")
    mine = (address(one) for one in next_hops if (":" in one) == (family == "ipv6"))
    return Channel(
        Word(family),
        extended_next_hop=family == "ipv4" and ":" in neighbor,
        next_hop=next(mine, None),
    )
