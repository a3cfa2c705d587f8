"""Table `inet vtid`: its text, changes of its elements, and what a listing of it says.

Rules of this file:

* Four maps from interface name to maximum segment size, one for each family and direction, and
  static rules over them; only elements come and go with tunnels.
* What comes in through a link in a VRF has the VRF for its input interface in the `forward` hook;
  `sdifname` is the link itself, and empty elsewhere.
* Three chains, for forwarded packets and for TCP that ends on this machine (BGP itself). The latter
  takes its segment size from the interface's MTU, which may be larger than what fits into the SA.
* Each rule counts the packets that it has clamped, last of all: one whose interface is in no map
  does not get there. A counter on each element would have to be set with it.
* Interface names are allowed by list and quoted; nothing else of a tunnel reaches nftables.
* Each text is one transaction: all of it happens at once, or nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from vtid.model.link import Clamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TABLE = "vtid"
FAMILY = "inet"

MAPS = ("mss4_out", "mss4_in", "mss6_out", "mss6_in")

KEYS = {"out": ("oifname",), "in": ("iifname", "sdifname")}
"""What the rules look up in the maps of a direction, the first one giving the map its type."""

CHAINS = {"clamp": "forward", "clamp_input": "input", "clamp_output": "output"}
"""The hook of each chain."""

_DIRECTIONS = {"forward": {"out", "in"}, "input": {"in"}, "output": {"out"}}

RULES = tuple(
    (chain, name, key)
    for chain, hook in CHAINS.items()
    for name in MAPS
    if name[5:] in _DIRECTIONS[hook]
    for key in KEYS[name[5:]]
)
"""Chain, map and key of each rule."""

NOT_IN_FORCE = Clamp(0, 0)
"""What a listing gives for elements that are incomplete, or that no rule looks at."""

INTERFACE = re.compile(r"[A-Za-z0-9_.@+=#-]{1,15}", re.ASCII)
"""Interface names that nftables accepts; 15 is IFNAMSIZ without the NUL."""

MSS_MAX = 0xFFFF

Elements: TypeAlias = dict[str, dict[str, int]]
"""Segment sizes by interface name, by map."""

Shape: TypeAlias = frozenset[tuple[Any, ...]]
"""What a table consists of besides its elements, in a form that can be compared."""


class RulesetError(ValueError):
    """A value that nftables would not accept, or a listing that cannot be parsed."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Table `inet vtid` as it is."""

    shape: Shape
    elements: Elements = field(default_factory=lambda: {name: {} for name in MAPS})

    def clamps(self) -> dict[str, Clamp]:
        """Return the clamp of each interface; `NOT_IN_FORCE` where maps disagree."""
        names = {name for elements in self.elements.values() for name in elements}
        return {name: self.clamp(name) for name in sorted(names)}

    def clamp(self, interface: str) -> Clamp:
        """Return the clamp of one interface; `NOT_IN_FORCE` where maps disagree."""
        out4, in4, out6, in6 = (self.elements[name].get(interface, 0) for name in MAPS)
        whole = out4 and out6 and (out4, out6) == (in4, in6)
        return Clamp(out4, out6) if whole else NOT_IN_FORCE


# --- text ----------------------------------------------------------------------------------------


def interface_name(name: str) -> str:
    """Return an interface name in nftables' quotes; raises RulesetError."""
    if not INTERFACE.fullmatch(name) or name in {".", ".."}:
        raise RulesetError(
            f"interface {name!r} cannot be named in nftables: "
            "use 1 to 15 of letters, digits and _ . - + = @ #"
        )
    return f'"{name}"'


def values(clamp: Clamp | None) -> dict[str, int]:
    """Return the value of each map, none for no clamp; raises RulesetError."""
    if clamp is None:
        return {}
    for mss in (clamp.mss4, clamp.mss6):
        if not 0 < mss <= MSS_MAX:
            raise RulesetError(f"maximum segment size {mss} is not from 1 to {MSS_MAX}")
    return dict(zip(MAPS, (clamp.mss4, clamp.mss4, clamp.mss6, clamp.mss6), strict=True))


def _rule(name: str, key: str) -> str:
    return (
        f"tcp flags & (syn|rst) == syn meta nfproto ipv{name[3]} "
        f"tcp option maxseg size set meta {key} map @{name} counter"
    )


def _definition() -> str:
    maps = "".join(
        f"  map {name} {{ typeof {KEYS[name[5:]][0]} : tcp option maxseg size; }}\n"
        for name in MAPS
    )
    chains = "".join(_chain(chain, hook) for chain, hook in CHAINS.items())
    return f"table {FAMILY} {TABLE} {{\n{maps}{chains}}}\n"


def _chain(chain: str, hook: str) -> str:
    rules = "".join(f"    {_rule(name, key)}\n" for mine, name, key in RULES if mine == chain)
    head = f"    type filter hook {hook} priority mangle; policy accept;\n"
    return f"  chain {chain} {{\n{head}{rules}  }}\n"


def _element_command(verb: str, name: str, elements: Mapping[str, int | None]) -> str:
    """Add or delete elements of one map; deleting takes the key alone."""
    if not elements:
        return ""
    items = (
        interface_name(key) + ("" if value is None else f" : {value}")
        for key, value in elements.items()
    )
    return f"{verb} element {FAMILY} {TABLE} {name} {{ {', '.join(items)} }}\n"


def build(elements: Elements) -> str:
    """Make the whole table with these elements, in place of whatever is there."""
    remove = f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"
    adds = (_element_command("add", name, dict(elements[name])) for name in MAPS)
    return remove + _definition() + "".join(adds)


def remove_table() -> str:
    """Remove the table, which must be there."""
    return f"delete table {FAMILY} {TABLE}\n"


def change(before: Elements, changes: Mapping[str, Clamp | None]) -> str:
    """Make the elements of the interfaces in `changes` what they say; empty if they are."""
    commands = []
    for name in MAPS:
        wanted = {key: values(clamp).get(name) for key, clamp in changes.items()}
        differs = {key: v for key, v in wanted.items() if before[name].get(key) != v}
        gone: dict[str, int | None] = {key: None for key in differs if key in before[name]}
        new = {key: value for key, value in differs.items() if value is not None}
        commands += [_element_command("delete", name, gone), _element_command("add", name, new)]
    return "".join(commands)


def leaves_nothing(before: Elements, changes: Mapping[str, Clamp | None]) -> bool:
    """Return whether no element is left after `changes`."""
    if any(clamp is not None for clamp in changes.values()):
        return False
    return all(
        len(before[name]) <= len(changes) and before[name].keys() <= changes.keys() for name in MAPS
    )


def apply(elements: Elements, changes: Mapping[str, Clamp | None]) -> None:
    """Do to `elements` what `change` does to the kernel's."""
    for interface, clamp in changes.items():
        new = values(clamp)
        for name in MAPS:
            elements[name].pop(interface, None)
            if name in new:
                elements[name][interface] = new[name]


# --- listing -------------------------------------------------------------------------------------


def has_table(text: str) -> bool:
    """Return whether our table is in libnftables' JSON of `list tables`."""
    return any(
        (table.get("family"), table.get("name")) == (FAMILY, TABLE)
        for kind, table in objects(text)
        if kind == "table"
    )


def parse(text: str) -> Listing:
    """Read libnftables' JSON of `list table inet vtid`; raises RulesetError.

    Elements that vtid could not have written are left out.
    """
    facts = []
    listing = Listing(frozenset())
    for kind, found in objects(text):
        if kind != "metainfo":
            facts.append(_fact(kind, found))
        if kind == "map" and found.get("name") in MAPS:
            listing.elements[found["name"]].update(_elements(found.get("elem", [])))
    return Listing(frozenset(facts), listing.elements)


def objects(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and content of each object of libnftables' JSON; raises RulesetError."""
    try:
        for item in json.loads(text)["nftables"]:
            yield from item.items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RulesetError(f"libnftables' listing cannot be read: {error}") from error


def _elements(items: list[Any]) -> Iterator[tuple[str, int]]:
    for item in items:
        match item:
            case [str(key), int(value)] if INTERFACE.fullmatch(key):
                yield key, value


def _fact(kind: str, found: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what matters of one object, without types of maps: versions of nft differ there."""
    match kind:
        case "chain":
            keys = ("name", "type", "hook", "prio", "policy")
            return kind, *(found.get(key) for key in keys)
        case "rule":
            return kind, found.get("chain"), frozenset(_words(found.get("expr")))
        case "table":
            return kind, found.get("name"), json.dumps(found.get("flags"))
        case _:
            return kind, found.get("name")


def _words(value: object) -> Iterator[str]:
    """All words of an expression, in whatever way a version of nft nests them."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from () if key in {"&", "|"} else (key,)
                yield from () if key == "counter" else _words(inner)
        case list():
            for inner in value:
                yield from _words(inner)
        case _:
            yield str(value)


def _expected_rule(chain: str, name: str, key: str) -> tuple[Any, ...]:
    structure = "match op left payload protocol field right meta key mangle name value map data"
    words = {*structure.split(), "tcp option", "==", "tcp", "flags", "syn", "rst"}
    words |= {"nfproto", f"ipv{name[3]}", "maxseg", "size", f"@{name}", key, "counter"}
    return "rule", chain, frozenset(words)


SHAPE: Shape = frozenset(
    {
        ("table", TABLE, "null"),
        *(("chain", chain, "filter", hook, -150, "accept") for chain, hook in CHAINS.items()),
        *(("map", name) for name in MAPS),
        *(_expected_rule(*rule) for rule in RULES),
    }
)
"""The shape of what `build` makes."""
