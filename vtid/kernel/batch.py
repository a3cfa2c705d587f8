"""Batch: bring up or delete many links of one namespace with few datagrams. An edge.

Rules of this file:

* It does what goes as planned, each step for all tunnels at once. What is refused, or looks other
  than planned, is left undone: `vtid.kernel.apply` does that one by one, and knows why and what
  then. So an error is still told of the operation that it belongs to, and hurts no other.
* As there, nothing is written to a link before it has been seen to be ours. It is written to by its
  index, which no other link can get in between.
* What a tunnel gets goes in its order. A link that cannot be set is taken down again: it is not to
  be used as it is.

    make and look ─▶ set, addresses, up
    look ─▶ move into a group ─▶ look at all links ─▶ delete the group
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
        if len(probes) == len(ops):
            return share
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
        made = self._make({place: op for place, op in creates.items() if _plain(op)})
        failed = {op.tunnel for place, op in creates.items() if place not in made}
        rest = {place: op for place, op in rest.items() if op.tunnel not in failed}
        links = {creates[place].link.name: link for place, link in made.items()}
        names = {place: _name(op) for place, op in rest.items()}
        if others := set(names.values()) - links.keys():
            links |= self._look(others)
        writes = {
            place: asks.set_link(link.ifindex, creates[place].link, _SETTINGS)
            for place, link in made.items()
        }
        for place, op in rest.items():
            link = links.get(names[place])
            if link is None:
                continue
            if isinstance(op, SetUp) and op.up == link.up:
                share.changed[place] = False
            elif request := _write(op, link):
                writes[place] = request
        done = set(self._accepted(dict(sorted(writes.items()))))
        unset = {creates[place].tunnel: link for place, link in made.items() if place not in done}
        if unset:
            self._requests.write_all(
                [asks.set_up(link.ifindex, up=False) for link in unset.values()]
            )
        share.silent |= {link.ifindex for link in made.values()}
        for place in done:
            each = ops[place]
            if each.tunnel not in unset:
                share.changed[place] = True
            if isinstance(each, SetUp) and each.up:
                share.silent.discard(links[each.name].ifindex)  # its event shows all of it

    def _make(self, creates: Mapping[int, CreateLink]) -> dict[int, Mark]:
        """Make links; return, by place, those that are seen to be what was made."""
        if not creates:
            return {}
        nsid = self._own_nsid()
        answers = self._requests.write_and_get(
            [asks.new_link(op.link, nsid) for op in creates.values()],
            [asks.get_link(name=op.link.name) for op in creates.values()],
            messages.read_mark,
        )
        return {
            place: link
            for (place, op), (refused, link) in zip(creates.items(), answers, strict=True)
            if not refused
            and isinstance(link, Mark)
            and _is(link, op.link.name)
            and link.netnsid == nsid
        }

    # --- deletion ---------------------------------------------------------------------------------

    def _delete(self, ops: Mapping[int, DeleteLink], share: Share) -> None:
        if len(ops) < GROUP_FROM:
            return
        # a request for each: most of those that would be listed may stay
        asked = [asks.get_link(op.ifindex) for op in ops.values()]
        answers = self._requests.get_all(asked, messages.read_mark)
        leaving = {
            place: op.ifindex
            for (place, op), link in zip(ops.items(), answers, strict=True)
            if isinstance(link, Mark) and _is(link, op.name)
        }
        moved = self._accepted({p: asks.set_group(i, LEAVING_GROUP) for p, i in leaving.items()})
        if not moved:
            return
        gone = {leaving[place] for place in moved}
        # anything else in it: another vtid's at the same time, or what one left that was killed
        if self._in_group() == gone and self._delete_group():
            share.changed |= dict.fromkeys(moved, True)
        else:
            self._requests.write_all([asks.set_group(ifindex, LINK_GROUP) for ifindex in gone])

    def _in_group(self) -> set[int]:
        return read_leaving(self._requests.dump(asks.DUMP_LINKS))

    def _delete_group(self) -> bool:
        return self._requests.write_all([asks.delete_group(LEAVING_GROUP)]) == [None]

    # --- messages ---------------------------------------------------------------------------------

    def _look(self, names: Iterable[str]) -> dict[str, Mark]:
        """Return the links of ours by name."""
        asked = sorted(names)
        requests = [asks.get_link(name=name) for name in asked]
        answers = zip(asked, self._requests.get_all(requests, messages.read_mark), strict=True)
        return {name: link for name, link in answers if isinstance(link, Mark) and _is(link, name)}

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
    found = {place: cast("K", op) for place, op in enumerate(ops) if isinstance(op, kinds)}
    if not found or len(found) == len(ops):
        return found
    mixed = {op.tunnel for op in ops if not isinstance(op, kinds)}
    return {place: op for place, op in found.items() if ops[place].tunnel not in mixed}


def _plain(op: CreateLink) -> bool:
    """Whether one message suffices for all of a new link's settings."""
    link = op.link
    ipv6 = any(name.startswith("ipv6.") for name, _ in link.sysctls)
    return not (link.vrf or ipv6 or link.mtu < IPV6_MIN_MTU)


def _is(link: Mark, name: str) -> bool:
    """Whether a link is ours and has a name, not as an alternative one."""
    return link.ours and link.name == name


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
