"""Rules of other programs, in what libnftables 1.0.6 and 1.1.3 list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vtid.model.facts import OtherClamp
from vtid.nft.others import has_iptables, others
from vtid.nft.ruleset import RulesetError

SIZE = {"tcp option": {"name": "maxseg", "field": "size"}}


def match(key: str, right: object, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}}


def set_size(value: object) -> dict[str, Any]:
    return {"mangle": {"key": SIZE, "value": value}}


def listing(*rules: list[dict[str, Any]], table: str = "fw") -> str:
    found = [
        {"rule": {"family": "inet", "table": table, "chain": "c", "expr": rule}} for rule in rules
    ]
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *found]})


def test_a_number_is_found_with_the_interfaces_that_are_asked_for() -> None:
    text = listing(
        [set_size(1200)],
        [match("oifname", "vti*"), set_size(1300)],
        [match("iifname", {"set": ["a", "b"]}), set_size(1310)],
        [match("oifname", "@names"), set_size(1320)],
    )
    anywhere, pattern, some, named = others(text)
    assert anywhere == OtherClamp("inet fw c", 1200)
    assert pattern.interfaces == ("vti*",)
    assert some.interfaces == ("a", "b")
    assert named.interfaces == ("@names",), "a named set is not looked up: it applies to none"


def test_other_sizes_and_other_statements_are_left_out() -> None:
    text = listing(
        [set_size({"rt": {"key": "mtu"}})],
        [set_size({"map": {"key": {"meta": {"key": "oifname"}}, "data": "@m"}})],
        [{"match": {"op": ">", "left": SIZE, "right": 1000}}, {"accept": None}],
        [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}}],
    )
    assert others(text) == ()
    assert others(listing([set_size(1200)], table="vtid")) == ()


@pytest.mark.parametrize("xt", [None, {"type": "target", "name": "TCPMSS"}])
def test_rules_of_iptables_are_known_to_be_there(xt: object) -> None:
    assert has_iptables(listing([{"xt": xt}]))
    assert not has_iptables(listing([set_size(1200)]))


def test_what_is_no_listing_is_an_error() -> None:
    with pytest.raises(RulesetError):
        others("{}")
    assert (
        others(json.dumps({"nftables": [{"rule": {"expr": None}}, {"rule": {"expr": [1]}}]})) == ()
    )


def test_a_rule_applies_by_pattern() -> None:
    assert OtherClamp("p", 1).applies("vti1")
    assert OtherClamp("p", 1, ("vti*",)).applies("vti1")
    assert not OtherClamp("p", 1, ("eth0",)).applies("vti1")
