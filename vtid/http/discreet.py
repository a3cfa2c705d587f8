"""Discreet: what the read-only socket shows of the daemon. Pure.

Passwords are hidden wherever vtid writes an answer. What is left are texts that quote the
configuration, where a secret may stand in a wrong place: why a reload was refused, the values of
`vars`, and the files for BIRD, whose templates are the administrator's. They are not shown here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vtid.http.api import Plan
from vtid.model.operation import PutBird

if TYPE_CHECKING:
    from vtid.http.api import Api, BgpList, SaList
    from vtid.http.journal import Journal
    from vtid.model.listing import Listing, Wanted
    from vtid.model.operation import Op
    from vtid.model.status import Status, Summary, Trouble, TunnelDetails

HIDDEN = "not shown here; vtid's log and its control socket have it"

_OF_CONFIGURATION = "configuration"
"""Subject of a trouble that quotes it (`daemon/reload.py`)."""


@dataclass(frozen=True, slots=True)
class DiscreetApi:
    """What may be read, of an `Api`."""

    api: Api

    @property
    def journal(self) -> Journal:
        """What happens; each event has what may be shown of it."""
        return self.api.journal

    async def whole(self) -> None:
        """Wait until the daemon is not in the midst of applying something."""
        await self.api.whole()

    def status(self) -> Status:
        """Return the status without tunnels."""
        return _status(self.api.status())

    async def full_status(self) -> Status:
        """Return the status."""
        return _status(await self.api.full_status())

    async def listing(self, wanted: Wanted) -> Listing:
        """Return some tunnels and the last operations."""
        return await self.api.listing(wanted)

    def summary(self) -> Summary:
        """Return the summary."""
        summary = self.api.summary()
        return replace(summary, troubles=tuple(map(_trouble, summary.troubles)))

    def tunnel(self, name: str) -> TunnelDetails | None:
        """Return a tunnel."""
        return self.api.tunnel(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of all tunnels."""
        return self.api.names()

    async def sas(self, tunnel: str, peer: str) -> SaList:
        """Return charon's SAs; raises UnavailableError."""
        return await self.api.sas(tunnel, peer)

    async def bgp(self, tunnel: str) -> BgpList:
        """Return the BGP sessions of all tunnels, or of one by its label."""
        return await self.api.bgp(tunnel)

    async def plan(self) -> Plan:
        """Return the plan."""
        plan = await self.api.plan()
        birds = (replace(bird, diff=HIDDEN) if bird.diff else bird for bird in plan.birds)
        return Plan(tuple(map(_op, plan.ops)), tuple(birds))


def _status(status: Status) -> Status:
    return replace(status, config_error=HIDDEN) if status.config_error else status


def _trouble(trouble: Trouble) -> Trouble:
    return replace(trouble, error=HIDDEN) if trouble.subject == _OF_CONFIGURATION else trouble


def _op(op: Op) -> Op:
    """Return an operation with the names of `vars` only."""
    if not isinstance(op, PutBird) or op.block.facts is None:
        return op
    names = tuple((name, HIDDEN) for name, _ in op.block.facts.vars)
    return replace(op, block=replace(op.block, facts=replace(op.block.facts, vars=names)))
