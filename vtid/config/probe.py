"""Configuration of probes through a tunnel: `[tunnel.probe]`, `[defaults.probe]`.

Rules of this file: those of `types`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from vtid.config.tables import Raw, Table, between
from vtid.config.types import parse_seconds, single_host

PEER_TEMPLATES: Final = frozenset({"{remote_vip}", "{remote_vip4}", "{remote_vip6}"})
"""What stands for a virtual IP of the peer as `peer`; `vtid.core` fills it in from the SA."""

_SHORTEST = 1.0
"""Seconds; RFC 8899, section 5.1.1, has no shorter PROBE_TIMER."""


def _peer(text: str) -> str:
    if not {"{", "}"} & set(text):
        return text and single_host(text)
    if text not in PEER_TEMPLATES:
        allowed = " or ".join(sorted(PEER_TEMPLATES))
        raise ValueError(f"{text!r}: a peer is an address, or {allowed}")
    return text


def _time(value: object) -> float:
    seconds = parse_seconds(value)
    if seconds < _SHORTEST:
        raise ValueError(f"{value!r} is less than {_SHORTEST:g}s; BFD is faster (`bfd = true`)")
    return seconds


ProbeTime: TypeAlias = Annotated[float, Raw(_time)]
ProbePeer: TypeAlias = Annotated[str, _peer]


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultProbe(Table):
    """`[defaults.probe]`: keys of probes that count for all tunnels."""

    mtu: bool = True
    interval: ProbeTime | None = None
    timeout: ProbeTime = 1.0
    on_fail: Literal["report", "down", "reinitiate"] = "report"
    count: Annotated[int, between(1, 100)] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(DefaultProbe):
    """`[tunnel.probe]`: how a tunnel is probed; without `peer`, vtid finds the address itself."""

    peer: ProbePeer = ""
