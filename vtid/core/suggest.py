"""Suggestions: the tunnels that serve what charon has loaded, and what has none and why. Pure.

Rules of this file:

* VICI tells marks and if_ids of SAs only, so a child without SA gets an XFRM interface, of which a
  pair of hosts can have many, and the lines of swanctl.conf that it needs.
* A table that would not serve anything as things are is commented out, with the reason.
* Children with the same if_id share an interface, and so a table: its patterns match no other.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address
from itertools import count, takewhile
from typing import TYPE_CHECKING, TypeAlias

from vtid.config.interface import REMOTE_TS
from vtid.config.types import ANY_REMOTE, IFNAME_MAX
from vtid.core.existing import addresses_of, advice, is_foreign, serving
from vtid.core.loaded_child import LoadedChild
from vtid.core.suggest_routes import about_routes, route_keys
from vtid.model.link import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vtid.core.suggest_routes import RouteKeys
    from vtid.model.connection import Connection
    from vtid.model.present import Present
    from vtid.model.sa import ChildSa

_TAKEN = {"all", "default", "lo", ".", ".."}
_PEER_PREFIX = 7
"""Characters of a name before the hash of a peer's identity."""

Value: TypeAlias = "str | tuple[str, ...] | tuple[RouteKeys, ...]"
Keys: TypeAlias = "tuple[tuple[str, Value], ...]"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One `[[tunnel]]`, or a child that gets none."""

    title: str
    notes: tuple[str, ...] = ()
    """What a person has to know, in lines."""
    keys: Keys = ()
    """Keys of the table; empty where there is nothing to suggest."""
    works: bool = True
    """Whether the table serves the child as things are."""
    many: bool = False
    """Whether any number of peers use it."""


def suggest(
    connections: Iterable[Connection], sas: Iterable[ChildSa], there: Iterable[Present] = ()
) -> tuple[Suggestion, ...]:
    """Return a suggestion for every child that is loaded, and for SAs whose child is not.

    `there` are the interfaces that exist: one that serves a child keeps its name, addresses and
    routes.
    """
    by_child: dict[tuple[str, str], list[ChildSa]] = defaultdict(list)
    for sa in sorted(sas, key=lambda sa: -sa.unique_id):
        by_child[sa.connection, sa.child].append(sa)
    children: dict[tuple[str, str], LoadedChild] = {}
    for connection in connections:
        for config in connection.children:
            found = tuple(by_child.get((connection.name, config.name), ()))
            children.setdefault(
                (connection.name, config.name), LoadedChild(connection, config, found)
            )
    unloaded = (name for name in by_child if name not in children)
    suggester = _Suggester(tuple(children.values()), tuple(there))
    return (*suggester.all(), *map(_unloaded, unloaded))


def _unloaded(name: tuple[str, str]) -> Suggestion:
    return Suggestion(
        f"{'/'.join(name)}: up, but not loaded", ("left out: swanctl.conf has it no more",)
    )


class _Suggester:
    """Goes through all children, and remembers which names and if_ids are taken."""

    def __init__(self, children: Sequence[LoadedChild], there: Sequence[Present]) -> None:
        self._children = children
        self._there = there
        self._names = {one.link.name for one in there}
        self._hosts: set[tuple[str, str]] = set()
        self._numbers = _free_numbers(sa for child in children for sa in child.sas)

    def all(self) -> Iterator[Suggestion]:
        done: set[tuple[str, str]] = set()
        for child in self._children:
            if child.name in done:
                continue
            group = self._group(child)
            done |= {one.name for one in group}
            yield self._one(child, group)

    def _group(self, child: LoadedChild) -> list[LoadedChild]:
        """Return the children that share an interface with one; it is the first."""
        if child.kind is None or child.left_out:
            return [child]
        return [
            one
            for one in self._children
            if (one.kind, one.key) == (child.kind, child.key) and not one.left_out
        ]

    def _one(self, child: LoadedChild, group: list[LoadedChild]) -> Suggestion:
        if why := child.left_out:
            return Suggestion(child.title, (f"left out: {why}",))
        title, *notes = (one.title for one in group)
        works = True
        if child.kind is None:
            works = not child.sas
            notes += self._missing(child)
        for why in self._obstacles(child, group):
            works = False
            notes.append(f"left out: {why}")
        there = self._serving(child, group)
        notes += about_routes(group, there)
        if there and is_foreign(there.link):
            notes.append(advice(there.link))
        keys = self._keys(child, group)
        return Suggestion(title, tuple(notes), keys, works, many=_many(group))

    def _serving(self, child: LoadedChild, group: list[LoadedChild]) -> Present | None:
        """Return the interface that is there for a group; none where each peer has its own."""
        return None if _many(group) and not _shares(group) else serving(child, self._there)

    def _keys(self, child: LoadedChild, group: list[LoadedChild]) -> Keys:
        shared = _many(group) and _shares(group)
        each = _many(group) and not shared
        there = self._serving(child, group)
        link = there.link if there else None
        slug = self._slug(child)
        name = link.name if link else self._unique(slug, _PEER_PREFIX if each else IFNAME_MAX)
        keys: list[tuple[str, Value]] = [
            ("connection", _pattern([one.name[0] for one in group])),
            ("child", _pattern([one.name[1] for one in group])),
            ("kind", (child.kind or Kind.XFRM).value),
            ("interface", f"{name}-{{remote_id}}" if each else name),
        ]
        if child.kind is Kind.XFRM and child.sas[0].if_id_in != child.sas[0].if_id_out:
            inbound = self._unique(f"{name[: IFNAME_MAX - 3]}-in", IFNAME_MAX)
            keys.append(("interface_in", f"{name}-in-{{remote_id}}" if each else inbound))
        if link and link.netns:
            keys.append(("netns", link.netns))
        if link and link.vrf:
            keys.append(("vrf", link.vrf))
        if shared:
            keys.append(("remote", ANY_REMOTE))
        if there and (given := addresses_of(there)):
            keys.append(("addresses", given))
        elif vips := _own_vips(group):
            keys.append(("addresses", vips))
        if routes := route_keys(group, there):
            keys.append(("routes", REMOTE_TS if routes == ({"to": REMOTE_TS},) else routes))
        return tuple(keys)

    def _missing(self, child: LoadedChild) -> Iterator[str]:
        """Yield what swanctl.conf needs, for a child of which neither mark nor if_id was seen."""
        number = next(self._numbers)
        lines = f"    if_id_in = {number}", f"    if_id_out = {number}"
        if child.sas:
            yield "left out: policy-based, for its SAs have neither marks nor if_ids. Add to"
            yield f"{child.path} of swanctl.conf, and establish it again:"
            yield from lines
            return
        yield f"Nothing is known of its marks or if_ids without an SA. If {child.path}"
        yield "of swanctl.conf has neither, add, and load it with `swanctl --load-all`:"
        yield from lines
        yield 'If it has marks, write kind = "vti".'

    def _obstacles(self, child: LoadedChild, group: list[LoadedChild]) -> Iterator[str]:
        """Yield why tunnels that have all that they need cannot be served together."""
        names = {one.name for one in group}
        patterns = [_pattern([name[part] for name in names]) for part in (0, 1)]
        others = {
            one.name
            for one in self._children
            if fnmatchcase(one.name[0], patterns[0]) and fnmatchcase(one.name[1], patterns[1])
        } - names
        if others:
            other = "/".join(min(others))
            yield f"they share marks or if_id, and no pattern matches them without {other}"
        if child.kind is not Kind.VTI or _many(group):
            return
        ends = child.sas[0].local_host, child.sas[0].remote_host
        if ends in self._hosts:
            yield "one pair of hosts has one VTI, whatever its marks; give one of them an if_id"
        self._hosts.add(ends)

    def _slug(self, child: LoadedChild) -> str:
        """Return what an interface is called after: the connection, or one of its children."""
        siblings = [one for one in self._children if one.name[0] == child.name[0]]
        whole = "-".join(child.name[: 1 if len(siblings) == 1 else 2])
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", whole).strip("-.")

    def _unique(self, slug: str, longest: int) -> str:
        """Return a name that no other interface here has."""
        name, number = slug[:longest], 1
        while not name or name in self._names | _TAKEN:
            number += 1
            name = f"{slug[: longest - 1 - len(str(number))]}-{number}"
        self._names.add(name)
        return name


def _many(group: Iterable[LoadedChild]) -> bool:
    return any(one.many for one in group) or len({one.name[0] for one in group}) > 1


def _shares(group: list[LoadedChild]) -> bool:
    """Whether all peers of a group have the same marks or if_id, as far as was seen."""
    sas = [sa for one in group for sa in one.sas]
    keys = {(sa.mark_in, sa.mark_out, sa.if_id_in, sa.if_id_out) for sa in sas}
    peers = {(sa.connection, sa.remote_id, sa.remote_host) for sa in sas}
    return len(keys) == 1 and (len(peers) > 1 or group[0].kind is Kind.XFRM)


def _own_vips(group: list[LoadedChild]) -> tuple[str, ...]:
    """Return the addresses that the interface gets from the peers, for one who gives any."""
    vips = [ip_address(vip) for one in group for sa in one.sas for vip in sa.local_vips]
    lengths = {4: 32, 6: 128}
    return tuple(
        f"{{local_vip{version}}}/{length}"
        for version, length in lengths.items()
        if any(vip.version == version for vip in vips)
    )


def _pattern(names: Iterable[str]) -> str:
    """Return a glob for names: the name itself, or what they begin with."""
    distinct = sorted(set(names))
    common = takewhile(lambda chars: len(set(chars)) == 1, zip(*distinct, strict=False))
    literal = re.sub(r"([*?\[])", r"[\1]", "".join(chars[0] for chars in common))
    return literal if len(distinct) == 1 else f"{literal}*"


def _free_numbers(sas: Iterable[ChildSa]) -> Iterator[int]:
    taken = {number for sa in sas for number in (sa.if_id_in, sa.if_id_out)}
    return (number for number in count(1) if number not in taken)
