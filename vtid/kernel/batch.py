"""Batch: bring up or delete many links of one namespace with few datagrams. An edge.

Rules of this file:

* It does what goes as planned, each step for all tunnels at once. What is refused, or looks other
  than planned, is left undone: `vtid.kernel.apply` does that one by one, and knows why and what
  then. So an error is still told of the operation that it belongs to, and hurts no other.
* As there, nothing is written to a link before it has been seen to be ours. It is written to by its
  index, which no other link can get in between.

    make ─▶ look ─▶ set ─▶ addresses, up         a tunnel that fails a step goes no further here
    look ─▶ move into a group ─▶ look ─▶ delete the group
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from vtid.esp.mtu import IPV6_MIN_MTU
from vtid.kernel import messages
from vtid.kernel import requests as asks
from vtid.kernel import wire as nl
from vtid.kernel.dumps import read_leaving
from vtid.kernel.messages import Mark
from vtid.kernel.sockets import Refused, Requests
from vtid.kernel.underlay import probe_all
from vtid.model.link import LEAVING_GROUP, LINK_GROUP, MAIN_TABLE
from vtid.model.operation import AddAddress, AddRoute, CreateLink, DeleteLink, ProbeUnderlay, SetUp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import UnionType

    from vtid.kernel.wire import Request
    from vtid.model.input import UnderlaySeen
    from vtid.model.operation import Op

K = TypeVar("K")

GROUP_FROM = 4
"""Links that are deleted as a group: it takes two more messages for each, and the time of one."""

_SETTINGS = frozenset({"alias", "disable_policy", "rp_filter", "sysctls", "link_local"})
"""What a new link gets after its creation, unless it takes more than one message."""

_OnLink: TypeAlias = AddAddress | SetUp | AddRoute
_BringUp: TypeAlias = CreateLink | _OnLink


@dataclass(slots=True)
class Share:
    """What was done here of a call's operations."""

    changed: dict[int, bool] = field(default_factory=dict)
    """By place: whether there was anything to do."""
    seen: list[UnderlaySeen] = field(default_factory=list)
    silent: set[int] = field(default_factory=set)
    """Indexes of links whose settings were written without an event that shows them."""


class Batch:
    """Carries out operations of one namespace together; `own_nsid` as in `Links`."""

    def __init__(self, requests: Requests, own_nsid: Callable[[], int | None]) -> None:
        self._requests = requests
        self._own_nsid = own_nsid

    def run(self, ops: Sequence[Op]) -> Share:
        """Carry out what can be; never raises for one of them."""
        share = Share()
        probes = {place: op for place, op in enumerate(ops) if isinstance(op, ProbeUnderlay)}
        with _told_later():
            self._probe(probes, share)
        with _told_later():
            self._delete(_alone(ops, DeleteLink), share)
        with _told_later():
            self._bring_up(_alone(ops, _BringUp), share)
        return share

    # --- the underlay -----------------------------------------------------------------------------

    def _probe(self, ops: Mapping[int, ProbeUnderlay], share: Share) -> None:
        share.seen += probe_all(self._requests, list(ops.values()))
        share.changed |= dict.fromkeys(ops, False)

    # --- new links --------------------------------------------------------------------------------

    def _bring_up(self, ops: Mapping[int, _BringUp], share: Share) -> None:
        creates = {place: op for place, op in ops.items() if isinstance(op, CreateLink)}
        rest = {place: op for place, op in ops.items() if not isinstance(op, CreateLink)}
        failed = {op.tunnel for op in creates.values()}
        made = self._make({place: op for place, op in creates.items() if _plain(op)}, share)
        failed -= {op.tunnel for place, op in creates.items() if place in share.changed}
        rest = {place: op for place, op in rest.items() if op.tunnel not in failed}
        links = made | self._look({_name(op) for op in rest.values()} - made.keys())
        writes = {}
        for place, op in rest.items():
            link = links.get(_name(op))
            if link is None:
                continue
            if isinstance(op, SetUp) and op.up == link.up:
                share.changed[place] = False
            elif request := _write(op, link):
                writes[place] = request
        for place in self._write(writes, share):
            if isinstance(op := rest[place], SetUp) and op.up:
                share.silent.discard(links[op.name].ifindex)  # its event shows all of it

    def _make(self, creates: Mapping[int, CreateLink], share: Share) -> dict[str, Mark]:
        """Make links and set them; return those that are as they should be."""
        if not creates:
            return {}
        nsid = self._own_nsid()
        made = self._accepted({p: asks.new_link(op.link, nsid) for p, op in creates.items()})
        links = self._look({creates[place].link.name for place in made})
        sets = {
            place: asks.set_link(link.ifindex, creates[place].link, _SETTINGS)
            for place in made
            if (link := links.get(creates[place].link.name)) and link.netnsid == nsid
        }
        done = {creates[place].link.name for place in self._write(sets, share)}
        share.silent |= {links[name].ifindex for name in done}
        return {name: links[name] for name in done}

    # --- deletion ---------------------------------------------------------------------------------

    def _delete(self, ops: Mapping[int, DeleteLink], share: Share) -> None:
        if len(ops) < GROUP_FROM:
            return
        answers = self._marks([asks.get_link(ifindex=op.ifindex) for op in ops.values()])
        leaving = {
            place: op.ifindex
            for (place, op), link in zip(ops.items(), answers, strict=True)
            if link and link.ours and link.name == op.name
        }
        moved = self._accepted({p: asks.set_group(i, LEAVING_GROUP) for p, i in leaving.items()})
        if not moved:
            return
        gone = {leaving[place] for place in moved}
        # anything else in it: another vtid's at the same time, or what one left that was killed
        if self._in_group() == gone and not self._refused(asks.delete_group(LEAVING_GROUP)):
            share.changed |= dict.fromkeys(moved, True)
        else:
            self._requests.write_all([asks.set_group(ifindex, LINK_GROUP) for ifindex in gone])

    def _in_group(self) -> set[int]:
        return read_leaving(self._requests.dump(asks.DUMP_LINKS))

    # --- messages ---------------------------------------------------------------------------------

    def _look(self, names: Iterable[str]) -> dict[str, Mark]:
        """Return the links of ours by name, but for alternative names."""
        asked = sorted(names)
        answers = self._marks([asks.get_link(name=name) for name in asked])
        pairs = zip(asked, answers, strict=True)
        return {name: link for name, link in pairs if link and link.ours and link.name == name}

    def _marks(self, requests: Sequence[Request]) -> list[Mark | None]:
        answers = self._requests.get_all(requests, messages.read_mark)
        return [link if isinstance(link, Mark) else None for link in answers]

    def _write(self, writes: Mapping[int, Request], share: Share) -> list[int]:
        """Write, and note what was done; return its places."""
        done = self._accepted(writes)
        share.changed |= dict.fromkeys(done, True)
        return done

    def _refused(self, request: Request) -> Refused | None:
        return self._requests.write_all([request])[0]

    def _accepted(self, writes: Mapping[int, Request]) -> list[int]:
        answers = self._requests.write_all(list(writes.values()))
        return [place for place, refused in zip(writes, answers, strict=True) if not refused]


def _told_later() -> suppress:
    """Go on after trouble: what is then tried one by one meets it again, and tells."""
    return suppress(OSError, Refused, nl.MessageError)


def _alone(ops: Sequence[Op], kinds: type[K] | UnionType) -> dict[int, K]:
    """Return, by place, the operations of the tunnels that have no other kinds here.

    For the others, the order of the operations counts.
    """
    mixed = {op.tunnel for op in ops if not isinstance(op, kinds)}
    return {place: cast("K", op) for place, op in enumerate(ops) if op.tunnel not in mixed}


def _plain(op: CreateLink) -> bool:
    """Whether one message suffices for all of a new link's settings."""
    link = op.link
    ipv6 = any(name.startswith("ipv6.") for name, _ in link.sysctls)
    return not (link.vrf or ipv6 or link.mtu < IPV6_MIN_MTU)


def _name(op: _OnLink) -> str:
    return op.name if isinstance(op, SetUp) else op.interface


def _write(op: _OnLink, link: Mark) -> Request | None:
    """Return the request for an operation on a link; None where more has to be known."""
    if isinstance(op, SetUp):
        return asks.set_up(link.ifindex, up=op.up)
    if isinstance(op, AddRoute):
        if link.master and not op.route.table:
            return None
        route = replace(op.route, table=op.route.table or MAIN_TABLE)
        return asks.new_route(link.ifindex, route)
    if ":" in op.address and link.mtu < IPV6_MIN_MTU:
        return None
    return asks.new_address(link.ifindex, op.address)
