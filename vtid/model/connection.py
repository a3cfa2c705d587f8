"""Connections as charon has them loaded, from list-conns. Pure.

Rules of this file:

* Names are those of swanctl.conf. VICI tells neither marks, if_ids nor start actions of a
  connection: marks and if_ids are known of SAs only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """One child of a connection."""

    name: str
    mode: str
    """`TUNNEL`, `TRANSPORT`, `BEET`, `PASS` or `DROP`; more in strongSwans yet to come."""
    local_ts: tuple[str, ...] = ()
    remote_ts: tuple[str, ...] = ()
    """Traffic selectors as VICI writes them; `dynamic` is the peer itself, or its virtual IP."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection that is loaded."""

    name: str
    local_addrs: tuple[str, ...] = ()
    remote_addrs: tuple[str, ...] = ()
    """Addresses, host names, ranges, networks, or `%any`."""
    remote_ids: tuple[str, ...] = ()
    """Identities that the peer has to have, one for each authentication round; `%any` for any."""
    children: tuple[ChildConfig, ...] = ()
