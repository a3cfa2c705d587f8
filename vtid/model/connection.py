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

    @property
    def has_sas(self) -> bool:
        """Whether it can have a CHILD_SA; one that passes or drops packets never has."""
        return self.mode not in {"PASS", "DROP"}


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

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Names of the connection and of each child that can have a CHILD_SA."""
        return tuple((self.name, child.name) for child in self.children if child.has_sas)
