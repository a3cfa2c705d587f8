"""Others: rules of other programs that set the maximum segment size, in a listing. Pure.

Rules of this file:

* The smallest size wins, in whatever order the chains are: the kernel only ever lowers it, also
  where a rule says `set` (net/netfilter/nft_exthdr.c). So a rule with a smaller number leaves ours
  without effect. One with `rt mtu` does not: that is the size which the interface's MTU allows.
* An `accept` ends the chain that it is in and no other one: it does not pass ours over.
* What a rule asks besides interfaces (ports, addresses) is not judged: it may apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vtid.model.facts import OtherClamp
from vtid.nft.ruleset import FAMILY, TABLE, objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_INTERFACE_KEYS = {"iifname", "oifname", "iif", "oif"}


def others(text: str) -> tuple[OtherClamp, ...]:
    """Read libnftables' JSON of `list ruleset`; raises RulesetError."""
    rules = (found for kind, found in objects(text) if kind == "rule" and not _is_ours(found))
    return tuple(clamp for rule in rules for clamp in _clamps(rule))


def has_iptables(text: str) -> bool:
    """Whether there are rules whose effect nft does not tell, because iptables made them."""
    return any(
        "xt" in statement
        for kind, found in objects(text)
        if kind == "rule"
        for statement in _statements(found)
    )


def _is_ours(rule: Mapping[str, Any]) -> bool:
    return (rule.get("family"), rule.get("table")) == (FAMILY, TABLE)


def _statements(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    expr = rule.get("expr")
    return [one for one in expr if isinstance(one, dict)] if isinstance(expr, list) else []


def _clamps(rule: Mapping[str, Any]) -> Iterator[OtherClamp]:
    statements = _statements(rule)
    place = " ".join(str(rule.get(key, "?")) for key in ("family", "table", "chain"))
    for statement in statements:
        match statement:
            case {"mangle": {"key": {"tcp option": {"name": "maxseg"}}, "value": int(size)}}:
                yield OtherClamp(place, size, tuple(_interfaces(statements)))


def _interfaces(statements: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the interfaces that a rule asks for, as patterns; none for any."""
    for statement in statements:
        match statement:
            case {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": right}}:
                names = right.get("set", ()) if isinstance(right, dict) else (right,)
                if key in _INTERFACE_KEYS:
                    yield from (name for name in names if isinstance(name, str))
