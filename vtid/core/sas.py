"""The installed CHILD_SAs, followed by strongSwan's events: which joined, which left. Pure.

Rules of this file:

* In a rekey the new SA joins before the old one leaves, so there is no moment without an SA.
* The SAs of a snapshot join in the order in which charon created them.
* The end of an unknown SA changes nothing: charon reports spurious ends of rekeyed children
  (strongSwan #3003), and none for children of an IKE_SA that is gone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from vtid.model.input import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeRekeyed,
    IkeUpdated,
)
from vtid.model.sa import IkeSa

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from vtid.model.input import SaSnapshot
    from vtid.model.sa import ChildSa

SaInput = ChildUp | ChildDown | ChildRekeyed | IkeDown | IkeRekeyed | IkeUpdated


@dataclass(frozen=True, slots=True)
class Changes:
    """What an input changed: new or changed SAs, and those that are gone."""

    joined: tuple[ChildSa, ...] = ()
    left: tuple[ChildSa, ...] = ()


JITTER = 2.0
"""Seconds by which a time may move that charon tells in whole seconds from now."""


_TIMES = attrgetter("established_at", "rekey_at", "reauth_at")
_REST = attrgetter(*(one.name for one in fields(IkeSa) if not one.name.endswith("_at")))
"""All else that is told of an IKE_SA."""


def _first(known: float, told: float) -> float:
    """Return a time as it was told first, unless it is another one."""
    return known if abs(told - known) <= JITTER or not told else told


def _steady(known: IkeSa, told: IkeSa) -> IkeSa:
    """Return what is told now of an IKE_SA, without the jitter of its times."""
    times = tuple(map(_first, _TIMES(known), _TIMES(told)))
    if times == _TIMES(known) and _REST(told) == _REST(known):
        return known
    established, rekey, reauth = times
    return replace(told, established_at=established, rekey_at=rekey, reauth_at=reauth)


RESTARTED = 30.0
"""Seconds by which an SA is younger than one with its unique ID, if charon was started again."""


def _is_another(old: ChildSa, new: ChildSa) -> bool:
    """Whether a charon that was started again gave the unique ID of an SA to another one."""
    if (old.connection, old.child) != (new.connection, new.child):
        return True
    known = old.installed_at and new.installed_at
    return bool(known) and new.installed_at - old.installed_at > RESTARTED


def _with_known_times(old: ChildSa, new: ChildSa) -> ChildSa:
    """Keep the times first told: charon reports ages in whole seconds, which jitter."""
    if _is_another(old, new):
        return new
    return replace(
        new,
        installed_at=old.installed_at or new.installed_at,
        rekey_at=old.rekey_at or new.rekey_at,
        expires_at=old.expires_at or new.expires_at,
    )


class SaTable:
    """CHILD_SAs by unique ID, by IKE_SA and by child."""

    def __init__(self) -> None:
        self._sas: dict[int, ChildSa] = {}
        self._by_ike: dict[int, set[int]] = defaultdict(set)
        self._by_child: Counter[tuple[str, str]] = Counter()
        self._ikes: dict[int, IkeSa] = {}
        """What is known of the IKE_SAs, by unique ID; nothing is decided by it."""

    def __iter__(self) -> Iterator[ChildSa]:
        return iter(self._sas.values())

    def has(self, connection: str, child: str) -> bool:
        """Whether a child of a connection has an SA."""
        return (connection, child) in self._by_child

    def get(self, unique_id: int) -> ChildSa | None:
        """Return an SA by its unique ID, None where there is none."""
        return self._sas.get(unique_id)

    def ike_of(self, sa: ChildSa) -> IkeSa | None:
        """Return the IKE_SA of an SA, None where it is not known."""
        return self._ikes.get(sa.ike_unique_id)

    def apply(self, event: SaInput) -> Changes:
        """File an input; the cost depends on the SAs it names, not on all."""
        match event:
            case ChildUp(sa, ike):
                changes = Changes(self._put(sa))
                self._know(ike)
                return changes
            case ChildDown(unique_id):
                return Changes(left=self._drop(unique_id))
            case ChildRekeyed(old_unique_id, sa, ike):
                changes = Changes(self._put(sa), self._drop(old_unique_id))
                self._know(ike)
                return changes
            case IkeDown(ike_unique_id):
                return Changes(left=self._drop(*self._children(ike_unique_id)))
            case IkeRekeyed(old, new, ike):
                self._ikes.pop(old, None)
                changes = self._change_children(old, lambda sa: replace(sa, ike_unique_id=new))
                self._know(ike)
                return changes
            case IkeUpdated(ike_unique_id, local, remote):
                return self._change_children(
                    ike_unique_id, lambda sa: replace(sa, local_host=local, remote_host=remote)
                )

    def list_all(self, event: SaSnapshot) -> Generator[None, None, Changes]:
        """File charon's list of all SAs, in steps."""
        joined: list[ChildSa] = []
        left: list[ChildSa] = []
        gone = self._sas.keys() - {sa.unique_id for sa in event.sas}
        for sa in sorted(event.sas, key=lambda sa: sa.unique_id):
            joined += self._put(sa)
            yield
        for unique_id in sorted(gone):
            left += self._drop(unique_id)
            yield
        for ike in event.ikes:
            self._know(ike)
            yield
        return Changes(tuple(joined), tuple(left))

    def _children(self, ike_unique_id: int) -> list[int]:
        return sorted(self._by_ike.get(ike_unique_id, ()))

    def _change_children(self, ike: int, change: Callable[[ChildSa], ChildSa]) -> Changes:
        children = [self._sas[unique_id] for unique_id in self._children(ike)]
        return Changes(joined=self._put(*map(change, children)))

    def _put(self, *sas: ChildSa) -> tuple[ChildSa, ...]:
        """File SAs; return those that are new or have changed."""
        changed = []
        for told in sas:
            old = self._sas.get(told.unique_id)
            sa = _with_known_times(old, told) if old else told
            if sa != old:
                self._file(sa, old)
                changed.append(sa)
        return tuple(changed)

    def _file(self, sa: ChildSa, old: ChildSa | None) -> None:
        """File an SA in place of what was known of it."""
        if old:
            self._unlink(old)
        self._sas[sa.unique_id] = sa
        self._by_ike[sa.ike_unique_id].add(sa.unique_id)
        self._by_child[sa.connection, sa.child] += 1
        if old:
            self._forget_ike(old.ike_unique_id)

    def _know(self, ike: IkeSa | None) -> None:
        """Note an IKE_SA for as long as it has CHILD_SAs."""
        if ike and ike.unique_id in self._by_ike:
            known = self._ikes.get(ike.unique_id)
            self._ikes[ike.unique_id] = _steady(known, ike) if known else ike

    def _drop(self, *unique_ids: int) -> tuple[ChildSa, ...]:
        """Drop SAs; return those that were there."""
        left = []
        for unique_id in unique_ids:
            if sa := self._sas.pop(unique_id, None):
                self._unlink(sa)
                self._forget_ike(sa.ike_unique_id)
                left.append(sa)
        return tuple(left)

    def _forget_ike(self, unique_id: int) -> None:
        """Forget an IKE_SA if it has no CHILD_SA left."""
        if unique_id not in self._by_ike:
            self._ikes.pop(unique_id, None)

    def _unlink(self, sa: ChildSa) -> None:
        siblings = self._by_ike[sa.ike_unique_id]
        siblings.discard(sa.unique_id)
        if not siblings:
            del self._by_ike[sa.ike_unique_id]
        child = (sa.connection, sa.child)
        self._by_child[child] -= 1
        if not self._by_child[child]:
            del self._by_child[child]
