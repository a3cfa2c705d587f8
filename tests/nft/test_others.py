"""Rules of other programs, in what libnftables 1.0.6 and 1.1.3 list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vtid.model.facts import InterfaceMatch, OtherClamp
from vtid.nft.others import read
from vtid.nft.ruleset import RulesetError

SIZE = {"tcp option": {"name": "maxseg", "field": "size"}}


BASE = {"type": "filter", "prio": 0, "policy": "accept"}


def match(key: str, right: object, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": {"meta": {"key": key}}, "right": right}}


def set_size(value: object) -> dict[str, Any]:
    return {"mangle": {"key": SIZE, "value": value}}


def listing(
    *rules: list[dict[str, Any]], family: str = "inet", table: str = "fw", sets: object = ()
) -> str:
    place = {"family": family, "table": table}
    named = [{"set": {**place, "type": "ifname", **one}} for one in sets]  # type: ignore[attr-defined]
    chain = {"chain": {**place, "name": "c", "hook": "forward", **BASE}}
    found = [{"rule": {**place, "chain": "c", "expr": rule}} for rule in rules]
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, chain, *named, *found]})


def out(*names: str, wanted: bool = True) -> tuple[InterfaceMatch, ...]:
    return (InterfaceMatch("out", names, wanted),)


def test_a_number_is_found_with_the_interfaces_that_are_asked_for() -> None:
    text = listing(
        [set_size(1200)],
        [match("oifname", "vti*"), set_size(1300)],
        [match("iifname", {"set": ["a", "b"]}), set_size(1310)],
        [match("oifname", "vti0", "!="), set_size(1320)],
    )
    anywhere, pattern, some, excluded = read(text).clamps
    assert anywhere == OtherClamp("inet fw c", 1200)
    assert pattern.interfaces == out("vti*")
    assert some.interfaces == (InterfaceMatch("in", ("a", "b")),)
    assert excluded.interfaces == out("vti0", wanted=False)


def test_named_sets_are_looked_up_in_their_own_table() -> None:
    named = {"name": "names", "elem": ["vti1", {"elem": {"val": "vti2", "timeout": 60}}]}
    rules = [[match("oifname", f"@{name}"), set_size(1320)] for name in ("names", "empty", "far")]
    text = listing(*rules, sets=[named, {"name": "empty"}])
    looked_up, empty, unknown = read(text).clamps
    assert looked_up.interfaces == out("vti1", "vti2")
    assert empty.interfaces == out()
    assert not empty.applies("vti1")
    assert unknown.interfaces == (), "it may apply"
    odd = {"name": "names", "elem": [{"range": ["a", "b"]}]}
    (unread,) = read(listing(rules[0], sets=[odd])).clamps
    assert unread.applies("vti1"), "it may"


@pytest.mark.parametrize(
    ("family", "statements", "versions"),
    [
        ("inet", [], (4, 6)),
        ("ip", [], (4,)),
        ("ip6", [], (6,)),
        ("inet", [match("nfproto", "ipv6")], (6,)),
        ("inet", [match("nfproto", "ipv6", "!=")], (4,)),
        ("inet", [match("protocol", {"set": ["ip", "ip6"]})], (4, 6)),
        ("inet", [match("l4proto", "tcp")], (4, 6)),
        (
            "inet",
            [
                {
                    "match": {
                        "op": "==",
                        "left": {"payload": {"protocol": "ip6", "field": "daddr"}},
                        "right": "2001:db8::1",
                    }
                }
            ],
            (6,),
        ),
    ],
)
def test_a_rule_is_for_the_versions_of_ip_that_it_asks_for(
    family: str, statements: list[dict[str, Any]], versions: tuple[int, ...]
) -> None:
    (found,) = read(listing([*statements, set_size(1380)], family=family)).clamps
    assert found.versions == versions


def test_a_table_of_a_bridge_is_left_out() -> None:
    assert read(listing([set_size(1200)], family="bridge")).clamps == ()


def test_a_chain_that_is_reached_by_a_jump_is_told_and_not_judged() -> None:
    """The jump may be for other interfaces: `oifname "ppp0" jump ppp`."""
    place = {"family": "inet", "table": "fw"}
    text = json.loads(listing([match("oifname", "ppp0"), {"jump": {"target": "ppp"}}]))
    rule = {"rule": {**place, "chain": "ppp", "expr": [set_size(1200)]}}
    text["nftables"] += [{"chain": {**place, "name": "ppp"}}, rule, rule]
    assert read(json.dumps(text)).clamps == ()
    assert read(json.dumps(text)).by_jump == ("inet fw ppp",)
    assert read(listing([set_size(1200)])).by_jump == ()


def test_other_sizes_and_other_statements_are_left_out() -> None:
    text = listing(
        [set_size({"rt": {"key": "mtu"}})],
        [set_size({"map": {"key": {"meta": {"key": "oifname"}}, "data": "@m"}})],
        [{"match": {"op": ">", "left": SIZE, "right": 1000}}, {"accept": None}],
        [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}}],
    )
    assert read(text).clamps == ()
    assert read(listing([set_size(1200)], table="vtid")).clamps == ()


@pytest.mark.parametrize("xt", [None, {"type": "target", "name": "TCPMSS"}])
def test_rules_of_iptables_are_known_to_be_there(xt: object) -> None:
    assert read(listing([{"xt": xt}])).has_iptables
    assert not read(listing([set_size(1200)])).has_iptables


def test_what_is_no_listing_is_an_error() -> None:
    with pytest.raises(RulesetError):
        read("{}")
    strange = json.dumps({"nftables": [{"rule": {"expr": None}}, {"rule": {"expr": [1]}}]})
    assert read(strange).clamps == ()


def test_a_rule_applies_by_pattern() -> None:
    assert OtherClamp("p", 1).applies("vti1")
    assert OtherClamp("p", 1, out("vti*")).applies("vti1")
    assert not OtherClamp("p", 1, out("eth0")).applies("vti1")


def test_an_exclusion_holds_for_its_way_and_the_rest_of_the_rule_goes_on() -> None:
    but_vti0 = out("vti0", wanted=False)
    for asked in (but_vti0, out("vti*") + but_vti0, (InterfaceMatch("in", ("eth0",)), *but_vti0)):
        assert OtherClamp("p", 1, asked).applies("vti1")
        assert not OtherClamp("p", 1, asked).applies("vti0")
