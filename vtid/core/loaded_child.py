"""A loaded child with its SAs, and what they tell of the interface that would serve it. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vtid.core.selectors import prefixes
from vtid.model.link import Kind
from vtid.model.sa import SaMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vtid.model.connection import ChildConfig, Connection
    from vtid.model.sa import ChildSa

_ANY_ID = re.compile(r"%any|.*[*?].*")
"""Identities that more than one peer can have."""

_ANY_HOST = re.compile(r"%any.*|.*/.*|[0-9a-f.:]+-[0-9a-f.:]+")
"""Remote addresses that more than one peer can have: any, networks and ranges."""

DYNAMIC = "dynamic"
"""A selector that stands for the peer itself or its virtual IP."""


@dataclass(frozen=True, slots=True)
class LoadedChild:
    """A child with its connection and its SAs, the newest first."""

    connection: Connection
    config: ChildConfig
    sas: tuple[ChildSa, ...]

    @property
    def name(self) -> tuple[str, str]:
        """Connection and child."""
        return self.connection.name, self.config.name

    @property
    def path(self) -> str:
        """Where swanctl.conf has it."""
        return f"connections.{self.name[0]}.children.{self.name[1]}"

    @property
    def title(self) -> str:
        """Name, endpoints and whether it is up, in one line."""
        ends = self.connection.local_addrs, self.connection.remote_addrs
        here, there = (", ".join(addrs) or "%any" for addrs in ends)
        state = f"{len(self.sas)} SAs up" if len(self.sas) > 1 else "up" if self.sas else "no SA"
        return f"{'/'.join(self.name)}: {here} to {there}, {state}"

    @property
    def many(self) -> bool:
        """Whether peers of several identities may use it."""
        anybody = all(_ANY_ID.fullmatch(one) for one in self.connection.remote_ids)
        anywhere = any(map(_ANY_HOST.fullmatch, self.connection.remote_addrs or ("%any",)))
        return (anybody and anywhere) or len({sa.remote_id for sa in self.sas}) > 1

    @property
    def key(self) -> tuple[object, ...]:
        """What an interface needs to be one of its own; empty for what is known of no SA."""
        if not self.sas:
            return ()
        sa = self.sas[0]
        if self.kind is Kind.XFRM:
            return sa.if_id_in, sa.if_id_out
        return self.connection.name, sa.mark_in, sa.mark_out

    @property
    def kind(self) -> Kind | None:
        """The kind that the newest SA has marks or if_ids for."""
        if not self.sas:
            return None
        sa = self.sas[0]
        if sa.mark_in and sa.mark_out:
            return Kind.VTI
        return Kind.XFRM if sa.if_id_in and sa.if_id_out else None

    @property
    def left_out(self) -> str:
        """Why no interface can serve it, whatever its marks; empty if one can."""
        mode = self.sas[0].mode.value if self.sas else self.config.mode
        if mode in {"PASS", "DROP"}:
            return f"`mode = {mode.lower()}` is a policy without IPsec"
        if mode != SaMode.TUNNEL.value:
            return f"it is in {mode.lower()} mode, and an interface carries tunnel mode only"
        return ""

    @property
    def selectors(self) -> tuple[str, ...]:
        """The remote traffic selectors: as negotiated, or else as loaded."""
        negotiated = (selector for sa in self.sas for selector in sa.remote_ts)
        return tuple(dict.fromkeys(negotiated)) or self.config.remote_ts

    def routes(self) -> Iterator[str]:
        """Yield the selectors that become routes: not everything, and not the peer itself."""
        hosts = {sa.remote_host for sa in self.sas}
        for selector in self.selectors:
            if selector.startswith(DYNAMIC):
                if self.many:
                    yield selector
                continue
            nets = [ipaddress.ip_network(prefix) for prefix in prefixes(selector)]
            if nets and nets[0].prefixlen and str(nets[0].network_address) not in hosts:
                yield selector
