"""Metrics: a `Status` as Prometheus text exposition format 0.0.4. Pure.

Rules of this file:

* A configured tunnel never disappears: one that is down shows 0.
* Labels are bounded: no SPI, unique ID, mark or traffic selector, so a rekey makes no new series.
  What changes with the negotiation stands in `_info` series only.
* Times are Unix timestamps, never ages. States are one-hot sets of words, never numbers.
* What is not known has no sample; it is not 0.
* Label values are escaped, and a series is written once, however often a name comes up: one bad
  line would lose the whole scrape.

The text is written directly, family by family, with the label string of each tunnel made once per
scrape: collectors of prometheus_client take some twenty times as long for the same bytes, and
10,000 tunnels have a quarter of a million series.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from vtid.model import TunnelState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vtid.model import (
        BgpChannel,
        BgpState,
        BirdState,
        ChildSa,
        LinkCounters,
        Status,
        TunnelStatus,
    )

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

RowT = TypeVar("RowT")

# The format gives an escape to three characters; the other controls, and the lone surrogates that
# undecodable bytes leave behind, can only be replaced.
_UNSAFE = re.compile('[\\\\"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


def escape(value: str) -> str:
    r"""Write a label value so that it cannot end its quotes or its line; controls become U+FFFD."""
    return _UNSAFE.sub(lambda match: _ESCAPES.get(match[0], "\ufffd"), value)


def labels(**values: str) -> str:
    """Write a label set without its braces."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in values.items())


@dataclass(frozen=True, slots=True)
class _Family(Generic[RowT]):
    """A metric family: what it means, and how each of its series follows from a row.

    `series` pairs further labels with a value; None where a row has no such sample.
    """

    name: str
    kind: str
    help: str
    series: tuple[tuple[str, Callable[[RowT], float | None]], ...]


def _family(
    kind: str, name: str, text: str, value: Callable[[RowT], float | None]
) -> _Family[RowT]:
    return _Family(name, kind, text, (("", value),))


def _one_hot(
    name: str, text: str, words: Iterable[str], word_of: Callable[[RowT], str]
) -> _Family[RowT]:
    """Make a family with one series per word, 1 for the word that holds."""

    def holds(word: str) -> Callable[[RowT], float]:
        return lambda row: int(word_of(row) == word)

    return _Family(name, "gauge", text, tuple((labels(state=word), holds(word)) for word in words))


def render(status: Status, counters: Mapping[str, LinkCounters]) -> str:
    """Write all series of `status`; `counters` has the link counters by tunnel, where known."""
    lines: list[str] = []
    _write(lines, _DAEMON, {"": status})
    _write(lines, _BUILD, {labels(version=status.version): status})
    _write(lines, _NETNS, {labels(netns=name): error for name, error in status.namespaces})
    _write(lines, _BIRD, {labels(bird=bird.instance): bird for bird in status.birds})
    _write(lines, _BIRD_INFO, {_bird_info(bird): bird for bird in status.birds})
    tunnels = [_Row(tunnel, counters.get(tunnel.tunnel)) for tunnel in status.tunnels]
    _write(lines, _TUNNEL, {labels(tunnel=row.tunnel.tunnel): row for row in tunnels})
    _write(lines, _TUNNEL_INFO, {_tunnel_info(row): row for row in tunnels})
    sessions = [(row.tunnel.tunnel, bgp) for row in tunnels for bgp in row.tunnel.bgp]
    _write(lines, _BGP, {_bgp_labels(name, bgp): bgp for name, bgp in sessions})
    channels = [(name, bgp, one) for name, bgp in sessions for one in bgp.channels]
    _write(lines, _CHANNEL, {_channel_labels(name, bgp, one): one for name, bgp, one in channels})
    _write(lines, _BGP_INFO, {_bgp_info(name, bgp): bgp for name, bgp in sessions})
    lines.append("")
    return "\n".join(lines)


def _write(lines: list[str], families: Iterable[_Family[RowT]], rows: Mapping[str, RowT]) -> None:
    """Append each family with its samples for all rows; `rows` are keyed by their labels."""
    for family in families:
        lines.append(f"# HELP {family.name} {family.help}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for extra, value_of in family.series:
            lines.extend(_samples(family.name, extra, value_of, rows))


def _samples(
    name: str, extra: str, value_of: Callable[[RowT], float | None], rows: Mapping[str, RowT]
) -> list[str]:
    if "" in rows:
        return [f"{name} {value}" for row in rows.values() if (value := value_of(row)) is not None]
    head, tail = f"{name}{{", f",{extra}}}" if extra else "}"
    return [
        f"{head}{known}{tail} {value}"
        for known, row in rows.items()
        if (value := value_of(row)) is not None
    ]


# --- the daemon ----------------------------------------------------------------------------------

_DAEMON: tuple[_Family[Status], ...] = (
    _family("gauge", "vtid_ready", "Whether readiness waits for nothing.", lambda s: int(s.ready)),
    _family(
        "gauge",
        "vtid_vici_up",
        "Whether the VICI connection to charon is there.",
        lambda s: int(s.vici_connected),
    ),
    _family(
        "gauge",
        "vtid_config_loaded_timestamp_seconds",
        "Unix time at which the configuration in use was loaded.",
        lambda s: s.config_loaded_at or None,
    ),
    _family(
        "gauge",
        "vtid_config_reload_failed",
        "Whether the last reload was refused, so that an older configuration is in use.",
        lambda s: int(bool(s.config_error)),
    ),
    _family(
        "gauge",
        "vtid_problems",
        "CHILD_SAs that no tunnel could be made for.",
        lambda s: len(s.problems),
    ),
)

_BUILD: tuple[_Family[Status], ...] = (
    _family("gauge", "vtid_build_info", "Version of vtid; always 1.", lambda _: 1),
)

_NETNS: tuple[_Family[str], ...] = (
    _family(
        "gauge",
        "vtid_netns_up",
        "Whether a network namespace is watched; the empty name is vtid's own.",
        lambda error: int(not error),
    ),
)

# --- BIRD ----------------------------------------------------------------------------------------

_BIRD: tuple[_Family[BirdState], ...] = (
    _family(
        "gauge",
        "vtid_bird_up",
        "Whether the control connection to a BIRD is there.",
        lambda b: int(b.connected),
    ),
    _family(
        "gauge",
        "vtid_bird_error",
        "Whether a BIRD is out of reach or refused the include file last written.",
        lambda b: int(bool(b.error)),
    ),
    _family(
        "counter",
        "vtid_bird_reconfigurations_total",
        "Reconfigurations that a BIRD accepted.",
        lambda b: b.pushes,
    ),
    _family(
        "counter",
        "vtid_bird_refusals_total",
        "Include files that a BIRD refused.",
        lambda b: b.refusals,
    ),
)

_BIRD_INFO: tuple[_Family[BirdState], ...] = (
    _family("gauge", "vtid_bird_info", "Version of a BIRD; always 1.", lambda _: 1),
)


def _bird_info(bird: BirdState) -> str:
    return labels(bird=bird.instance, version=bird.version)


# --- tunnels -------------------------------------------------------------------------------------


class _Row:
    """A tunnel with its link counters, and the newest of its CHILD_SAs."""

    __slots__ = ("counters", "newest", "tunnel")

    def __init__(self, tunnel: TunnelStatus, counters: LinkCounters | None) -> None:
        self.tunnel = tunnel
        self.counters = counters
        self.newest = newest_sa(tunnel.sas)


def newest_sa(sas: tuple[ChildSa, ...]) -> ChildSa | None:
    """Find the CHILD_SA that was installed last: the one whose keys protect what is sent."""
    if len(sas) <= 1:
        return sas[0] if sas else None
    return max(sas, key=lambda sa: (sa.installed_at, sa.unique_id))


def is_up(tunnel: TunnelStatus) -> bool:
    """Whether the tunnel has an SA and its interface is up.

    A tunnel that is being changed in place (a rekey with another MTU, an endpoint that moved)
    stays up meanwhile.
    """
    if tunnel.state is TunnelState.UP:
        return True
    in_place = tunnel.link is not None and tunnel.link.up and bool(tunnel.sas)
    return tunnel.state is TunnelState.PENDING and in_place


def _counter(name: str, text: str, value: Callable[[LinkCounters], int]) -> _Family[_Row]:
    return _family(
        "counter",
        f"vtid_tunnel_{name}_total",
        f"{text} the tunnel's interface since it was created.",
        lambda row: value(row.counters) if row.counters is not None else None,
    )


_TUNNEL: tuple[_Family[_Row], ...] = (
    _family(
        "gauge",
        "vtid_tunnel_up",
        "Whether the tunnel has an SA and its interface is up.",
        lambda row: int(is_up(row.tunnel)),
    ),
    _one_hot(
        "vtid_tunnel_state",
        "State of the tunnel: 1 for the one that holds.",
        TunnelState,
        lambda row: row.tunnel.state,
    ),
    _family(
        "gauge",
        "vtid_tunnel_state_changed_timestamp_seconds",
        "Unix time of the last change of state.",
        lambda row: row.tunnel.since or None,
    ),
    _family(
        "gauge",
        "vtid_tunnel_failures",
        "Failed operations since the last success.",
        lambda row: row.tunnel.failures,
    ),
    _family(
        "gauge",
        "vtid_tunnel_child_sas",
        "Live CHILD_SAs of the tunnel; more than one during a rekey.",
        lambda row: len(row.tunnel.sas),
    ),
    _family(
        "gauge",
        "vtid_tunnel_sa_installed_timestamp_seconds",
        "Unix time at which the newest CHILD_SA was installed.",
        lambda row: row.newest.installed_at or None if row.newest else None,
    ),
    _family(
        "gauge",
        "vtid_tunnel_mtu_bytes",
        "MTU of the tunnel's interface.",
        lambda row: row.tunnel.link.mtu if row.tunnel.link else None,
    ),
    _family(
        "gauge",
        "vtid_tunnel_underlay_mtu_bytes",
        "MTU of the route to the peer, outside of the tunnel.",
        lambda row: row.tunnel.underlay_mtu or None,
    ),
    _Family(
        "vtid_tunnel_mss_bytes",
        "gauge",
        "TCP maximum segment size that connections through the tunnel are clamped to.",
        (
            ('family="ipv4"', lambda row: row.tunnel.clamp.mss4 if row.tunnel.clamp else None),
            ('family="ipv6"', lambda row: row.tunnel.clamp.mss6 if row.tunnel.clamp else None),
        ),
    ),
    _counter("receive_bytes", "Bytes received through", lambda c: c.rx_bytes),
    _counter("transmit_bytes", "Bytes sent through", lambda c: c.tx_bytes),
    _counter("receive_packets", "Packets received through", lambda c: c.rx_packets),
    _counter("transmit_packets", "Packets sent through", lambda c: c.tx_packets),
    _counter("receive_errors", "Receive errors of", lambda c: c.rx_errors),
    _counter("transmit_errors", "Transmit errors of", lambda c: c.tx_errors),
)

_TUNNEL_INFO: tuple[_Family[_Row], ...] = (
    _family(
        "gauge",
        "vtid_tunnel_info",
        "What the tunnel is: policy, interface, endpoints and negotiated algorithms; always 1.",
        lambda _: 1,
    ),
)


def _tunnel_info(row: _Row) -> str:
    tunnel, link, newest = row.tunnel, row.tunnel.link, row.newest
    return labels(
        tunnel=tunnel.tunnel,
        policy=tunnel.policy,
        netns=tunnel.netns,
        interface=tunnel.interface,
        kind=link.kind if link else "",
        local=newest.local_host if newest else link.local if link else "",
        remote=newest.remote_host if newest else link.remote if link else "",
        esp=str(newest.esp) if newest else "",
        encap="" if newest is None else "udp" if newest.encap else "none",
    )


# --- BGP -----------------------------------------------------------------------------------------

_BGP_STATES = {
    "Idle": "idle",
    "Connect": "connect",
    "Active": "active",
    "Passive": "active",
    "OpenSent": "open_sent",
    "OpenConfirm": "open_confirm",
    "Established": "established",
    "Close": "idle",
}
"""BIRD's words (proto/bgp/bgp.c, bgp_state_dsc) as the states of RFC 4271, section 8.2.2.

Passive is Active without own attempts; Close is on the way to Idle.
"""


def bgp_state(bgp: BgpState) -> str:
    """Give the session's state as one word.

    Besides those of the RFC: `missing` where BIRD has no such protocol, `down` where it has one
    that is disabled or not started.
    """
    if not bgp.state:
        return "missing"
    if bgp.state == "down":
        return "down"
    return _BGP_STATES.get(bgp.info.split(" ", 1)[0], "idle")


_BGP: tuple[_Family[BgpState], ...] = (
    _family(
        "gauge",
        "vtid_bgp_up",
        "Whether the BGP session is Established.",
        lambda bgp: int(bgp.established),
    ),
    _one_hot(
        "vtid_bgp_state",
        "State of the BGP session (RFC 4271): 1 for the one that holds.",
        (*dict.fromkeys(_BGP_STATES.values()), "down", "missing"),
        bgp_state,
    ),
    _family(
        "gauge",
        "vtid_bgp_state_changed_timestamp_seconds",
        "Unix time of the last change of the BGP session, where BIRD's time format tells it.",
        lambda bgp: bgp.since_at or None,
    ),
    _family(
        "gauge",
        "vtid_bgp_bfd_up",
        "Whether the BFD session towards the neighbour is up, where there is one.",
        lambda bgp: int(bgp.bfd == "Up") if bgp.bfd else None,
    ),
)

_CHANNEL: tuple[_Family[BgpChannel], ...] = (
    _family(
        "gauge",
        "vtid_bgp_routes_imported",
        "Routes of a family that BIRD accepted from the neighbour.",
        lambda channel: channel.imported,
    ),
    _family(
        "gauge",
        "vtid_bgp_routes_filtered",
        "Routes that the import filter refused; BIRD counts them with `import keep filtered` only.",
        lambda channel: channel.filtered,
    ),
    _family(
        "gauge",
        "vtid_bgp_routes_preferred",
        "Routes from the neighbour that are the best ones for their prefix.",
        lambda channel: channel.preferred,
    ),
    _family(
        "gauge",
        "vtid_bgp_routes_exported",
        "Routes of a family that BIRD announces to the neighbour.",
        lambda channel: channel.exported,
    ),
    _family(
        "gauge",
        "vtid_bgp_limit_reached",
        "Whether a limit on the number of routes was reached.",
        lambda channel: int(bool(channel.limits_hit)),
    ),
)

_BGP_INFO: tuple[_Family[BgpState], ...] = (
    _family("gauge", "vtid_bgp_info", "Neighbour of a BGP session; always 1.", lambda _: 1),
)


def _bgp_labels(tunnel: str, bgp: BgpState) -> str:
    return labels(tunnel=tunnel, bird=bgp.bird, protocol=bgp.protocol)


def _channel_labels(tunnel: str, bgp: BgpState, channel: BgpChannel) -> str:
    return f"{_bgp_labels(tunnel, bgp)},{labels(family=channel.family)}"


def _bgp_info(tunnel: str, bgp: BgpState) -> str:
    return labels(tunnel=tunnel, bird=bgp.bird, protocol=bgp.protocol, neighbor=bgp.neighbor)
