"""Others: rules of other programs that set the maximum segment size, in a listing. Pure.

Rules of this file:

* The smallest size wins, in whatever order the chains are: the kernel only ever lowers it, also
  where a rule says `set` (net/netfilter/nft_exthdr.c). So a rule with a smaller number leaves ours
  without effect. One with `rt mtu` does not: that is the size which the interface's MTU allows.
* An `accept` ends the chain that it is in and no other one: it does not pass ours over.
* What a rule asks besides interfaces and the version of IP (ports, addresses) is not judged: it may
  apply. So may one that asks for a set of which the listing does not tell the elements.
* A chain without a hook sees what jumps lead to it, and a jump may ask for interfaces as well. Its
  rules are not judged: they are told as such (`by_jump`).
* A table `bridge` sees what is bridged, which goes through no tunnel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from vtid.model.facts import InterfaceMatch, OtherClamp
from vtid.nft.ruleset import FAMILY, TABLE, objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WAYS = {
    "iifname": "in",
    "iif": "in",
    "sdifname": "in",
    "sdif": "in",
    "oifname": "out",
    "oif": "out",
}

_VERSIONS = {"ip": (4,), "ipv4": (4,), "ip6": (6,), "ipv6": (6,)}
"""As families of tables, headers, and values of `meta nfproto` and `meta protocol` call them."""

_Sets: TypeAlias = "dict[tuple[Any, Any, str], list[Any]]"
"""Elements of named sets, by family, table and `@NAME`."""


@dataclass(frozen=True, slots=True)
class Others:
    """What other programs have."""

    clamps: tuple[OtherClamp, ...]
    """Those of chains with a hook."""
    by_jump: tuple[str, ...]
    """Chains without a hook that have such rules, each once."""
    has_iptables: bool
    """Whether there are rules whose effect nft does not tell, because iptables made them."""


def read(text: str) -> Others:
    """Read libnftables' JSON of `list ruleset`; raises RulesetError."""
    found = tuple(objects(text))
    hooked = {_place(one, "name") for kind, one in found if kind == "chain" and "hook" in one}
    rules = [one for kind, one in found if kind == "rule"]
    sets = {
        (one.get("family"), one.get("table"), f"@{one.get('name')}"): one.get("elem", [])
        for kind, one in found
        if kind == "set"
    }
    clamps = [clamp for rule in rules if not _is_passed_over(rule) for clamp in _clamps(rule, sets)]
    return Others(
        tuple(clamp for clamp in clamps if clamp.place in hooked),
        tuple(sorted({clamp.place for clamp in clamps if clamp.place not in hooked})),
        any("xt" in statement for rule in rules for statement in _statements(rule)),
    )


def _is_passed_over(rule: Mapping[str, Any]) -> bool:
    is_ours = (rule.get("family"), rule.get("table")) == (FAMILY, TABLE)
    return is_ours or rule.get("family") == "bridge"


def _statements(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    expr = rule.get("expr")
    return [one for one in expr if isinstance(one, dict)] if isinstance(expr, list) else []


def _place(found: Mapping[str, Any], chain: str) -> str:
    return " ".join(str(found.get(key, "?")) for key in ("family", "table", chain))


def _clamps(rule: Mapping[str, Any], sets: _Sets) -> Iterator[OtherClamp]:
    statements = _statements(rule)
    place = _place(rule, "chain")
    for statement in statements:
        match statement:
            case {"mangle": {"key": {"tcp option": {"name": "maxseg"}}, "value": int(size)}}:
                asked = tuple(_interfaces(rule, sets))
                yield OtherClamp(place, size, asked, _versions(rule))


def _interfaces(rule: Mapping[str, Any], sets: _Sets) -> Iterator[InterfaceMatch]:
    """Yield what a rule asks of interfaces."""
    for statement in _statements(rule):
        match statement:
            case {"match": {"op": op, "left": {"meta": {"key": str(key)}}, "right": right}}:
                if isinstance(right, str) and right.startswith("@"):
                    right = {"set": sets.get((rule.get("family"), rule.get("table"), right))}
                names = _values(right)
                if key in _WAYS and names is not None:
                    yield InterfaceMatch(_WAYS[key], names, op != "!=")


def _values(right: object) -> tuple[str, ...] | None:
    """Return the words that the right side of a match asks for; None if it is something else."""
    match right:
        case str():
            return (right,)
        case {"set": list(items)}:
            words = [_word(one) for one in items]
            return tuple(words) if all(words) else None
    return None


def _word(element: object) -> str:
    """Return an element of a set, which may have a timeout or a comment; empty if it is no word."""
    match element:
        case str():
            return element
        case {"elem": {"val": str(word)}}:
            return word
    return ""


def _versions(rule: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the versions of IP that a rule may apply to."""
    found = set(_VERSIONS.get(str(rule.get("family")), (4, 6)))
    for statement in _statements(rule):
        match statement:
            case {"match": {"left": {"payload": {"protocol": "ip" | "ip6" as header}}}}:
                found &= {*_VERSIONS[header]}
            case {
                "match": {
                    "op": op,
                    "left": {"meta": {"key": "nfproto" | "protocol"}},
                    "right": right,
                }
            }:
                asked = {ip for word in _values(right) or () for ip in _VERSIONS.get(word, ())}
                if asked:
                    found = found - asked if op == "!=" else found & asked
    return tuple(sorted(found))
