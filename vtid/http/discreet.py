"""Discreet: what the read-only socket shows of the daemon. Pure.

Passwords are hidden wherever vtid writes an answer. What is left are texts that quote the
configuration, where a secret may stand in a wrong place: why a reload was refused, the values of
`vars`, and the files for BIRD, whose templates are the administrator's, with the line of one that
BIRD refused. They are not shown here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from vtid.http.api import BgpList, Plan
from vtid.model.operation import PutBird
from vtid.scrub import QUOTES_VARS

if TYPE_CHECKING:
    from vtid.http.api import Api, BirdChange, RecentInput, SaList
    from vtid.http.journal import Journal
    from vtid.model.input import BirdState
    from vtid.model.listing import Listing, Wanted
    from vtid.model.operation import Op
    from vtid.model.status import PastOp, Status, Summary, Trouble, TunnelDetails, TunnelStatus

_Row = TypeVar("_Row", bound="TunnelStatus")

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
        found = await self.api.listing(wanted)
        events = (replace(one, past=_past(one.past)) for one in found.events)
        return replace(found, tunnels=tuple(map(_tunnel, found.tunnels)), events=tuple(events))

    def summary(self) -> Summary:
        """Return the summary."""
        summary = self.api.summary()
        return replace(summary, troubles=tuple(map(_trouble, summary.troubles)))

    def tunnel(self, name: str) -> TunnelDetails | None:
        """Return a tunnel."""
        found = self.api.tunnel(name)
        return found and replace(_tunnel(found), history=tuple(map(_past, found.history)))

    def names(self) -> tuple[str, ...]:
        """Return the names of all tunnels."""
        return self.api.names()

    async def sas(self, tunnel: str, peer: str) -> SaList:
        """Return charon's SAs; raises UnavailableError."""
        return await self.api.sas(tunnel, peer)

    async def bgp(self, tunnel: str) -> BgpList:
        """Return the BGP sessions of all tunnels, or of one by its label."""
        found = await self.api.bgp(tunnel)
        rows = (replace(row, missing=_shown(row.missing)) for row in found.sessions)
        return BgpList(tuple(rows))

    async def recent(self) -> tuple[RecentInput, ...]:
        """Return the last inputs."""
        return await self.api.recent()

    async def plan(self) -> Plan:
        """Return the plan."""
        plan = await self.api.plan()
        return Plan(tuple(map(_op, plan.ops)), tuple(map(_change, plan.birds)))


def _status(status: Status) -> Status:
    return replace(
        status,
        config_error=HIDDEN if status.config_error else "",
        tunnels=tuple(map(_tunnel, status.tunnels)),
        birds=tuple(map(_bird, status.birds)),
    )


def _bird(bird: BirdState) -> BirdState:
    refused = bird.refusal
    if refused and refused.quoted:
        refused = replace(refused, quoted=HIDDEN)
    return replace(bird, error=_shown(bird.error), refusal=refused)


def _tunnel(one: _Row) -> _Row:
    return replace(one, error=HIDDEN) if QUOTES_VARS in one.error else one


def _change(change: BirdChange) -> BirdChange:
    return replace(change, diff=change.diff and HIDDEN, error=_shown(change.error))


def _past(past: PastOp) -> PastOp:
    return replace(past, error=_shown(past.error))


def _shown(text: str) -> str:
    return HIDDEN if QUOTES_VARS in text else text


def _trouble(trouble: Trouble) -> Trouble:
    of_configuration = trouble.subject == _OF_CONFIGURATION
    return replace(trouble, error=HIDDEN if of_configuration else _shown(trouble.error))


def _op(op: Op) -> Op:
    """Return an operation with the names of `vars` only."""
    if not isinstance(op, PutBird) or op.block.facts is None:
        return op
    names = tuple((name, HIDDEN) for name, _ in op.block.facts.vars)
    return replace(op, block=replace(op.block, facts=replace(op.block.facts, vars=names)))
