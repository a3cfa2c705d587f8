"""Suggestions: kind, name and notes of each child, and a text that vtid itself reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vtid.config.load import load
from vtid.core.suggest import Suggestion, suggest
from vtid.core.suggest_text import suggested
from vtid.esp.algorithms import EspAlgorithms
from vtid.model.connection import ChildConfig, Connection
from vtid.model.link import Link, Route
from vtid.model.present import FoundRoute, Present
from vtid.model.sa import ChildSa, Mark, SaMode

TS = ("10.2.0.0/16",)


def connection(name: str = "site", *children: ChildConfig, **facts: object) -> Connection:
    known = {"remote_addrs": ("192.0.2.2",), "remote_ids": ("b.example",)}
    found = children or (ChildConfig("net", "TUNNEL", TS, TS),)
    return Connection(name, children=found, **{**known, **facts})  # type: ignore[arg-type]


def sa(child: str = "net", name: str = "site", **facts: object) -> ChildSa:
    base = {
        "unique_id": 1,
        "connection": name,
        "child": child,
        "ike_unique_id": 1,
        "local_host": "192.0.2.1",
        "remote_host": "192.0.2.2",
        "mode": SaMode.TUNNEL,
        "protocol": "ESP",
        "esp": EspAlgorithms("AES_GCM_16", 256),
        "remote_id": "b.example",
        "remote_ts": TS,
    }
    return ChildSa(**{**base, **facts})  # type: ignore[arg-type]


def marked(mark: int, **facts: object) -> ChildSa:
    return sa(mark_in=Mark(mark), mark_out=Mark(mark), **facts)  # type: ignore[arg-type]


def tables(*suggestions: Suggestion) -> list[dict[str, object]]:
    return [dict(one.keys) for one in suggestions if one.works and one.keys]


def notes(*suggestions: Suggestion) -> str:
    return "\n".join(note for one in suggestions for note in one.notes)


def test_marks_make_a_vti_and_selectors_its_routes() -> None:
    assert tables(*suggest([connection()], [marked(3)])) == [
        {
            "connection": "site",
            "child": "net",
            "kind": "vti",
            "interface": "site",
            "routes": "remote-ts",
        }
    ]


def test_different_if_ids_make_an_interface_for_each_direction() -> None:
    (table,) = tables(*suggest([connection()], [sa(if_id_in=8, if_id_out=9)]))
    assert (table["kind"], table["interface_in"]) == ("xfrm", "site-in")


def test_children_with_one_if_id_share_a_table() -> None:
    children = (ChildConfig("lan", "TUNNEL"), ChildConfig("lan2", "TUNNEL"))
    sas = [sa(name, if_id_in=7, if_id_out=7) for name in ("lan", "lan2")]
    (table,) = tables(*suggest([connection("site", *children)], sas))
    assert table["child"] == "lan*"
    third = ChildConfig("lan3", "TUNNEL")
    other = suggest([connection("site", *children, third)], sas)
    assert "no pattern matches them without site/lan3" in notes(*other)
    assert [table["child"] for table in tables(*other)] == ["lan3"]


def test_policy_based_children_get_what_swanctl_conf_needs() -> None:
    first = connection("a")
    policy = connection("b")
    found = suggest([first, policy], [sa(name="a", if_id_in=1, if_id_out=1), sa(name="b")])
    assert [table["connection"] for table in tables(*found)] == ["a"]
    assert "left out: policy-based" in notes(*found)
    assert "if_id_in = 2" in notes(*found)  # 1 is taken


def test_without_an_sa_the_table_says_what_is_not_known() -> None:
    (found,) = suggest([connection()], [])
    assert found.works
    assert "Nothing is known of its marks or if_ids" in notes(found)


@pytest.mark.parametrize("mode", ["TRANSPORT", "BEET", "PASS", "DROP"])
def test_what_no_interface_carries_is_left_out(mode: str) -> None:
    (found,) = suggest([connection("site", ChildConfig("net", mode))], [])
    assert not found.keys
    assert found.notes[0].startswith("left out: ")
    assert mode.lower() in found.notes[0]


def test_one_pair_of_hosts_has_one_vti() -> None:
    children = (ChildConfig("a", "TUNNEL"), ChildConfig("b", "TUNNEL"))
    found = suggest([connection("site", *children)], [marked(1, child="a"), marked(2, child="b")])
    assert [table["child"] for table in tables(*found)] == ["a"]
    assert "one pair of hosts has one VTI" in notes(*found)


def test_road_warriors_have_an_interface_each_or_share_one() -> None:
    rw = connection("rw", remote_addrs=("%any",), remote_ids=("%any",))
    peers = [
        marked(number, name="rw", unique_id=number, remote_host=f"192.0.2.{number}")
        for number in (5, 6)
    ]
    (each,) = tables(*suggest([rw], peers))
    assert each["interface"] == "rw-{remote_id}"
    same = [sa(name="rw", remote_host=host, if_id_in=4, if_id_out=4) for host in ("::5", "::6")]
    (shared,) = tables(*suggest([rw], same))
    assert (shared["interface"], shared["remote"]) == ("rw", "any")


def test_a_peer_of_one_identity_from_anywhere_is_one_peer() -> None:
    (table,) = tables(*suggest([connection(remote_addrs=("%any",))], [marked(3)]))
    assert table["interface"] == "site"


def test_everything_and_the_peer_itself_make_no_route() -> None:
    (found,) = suggest([connection()], [marked(3, remote_ts=("0.0.0.0/0", "192.0.2.2/32[gre]"))])
    assert "routes" not in dict(found.keys)
    assert "0.0.0.0/0: everything may pass" in notes(found)
    assert "Only this protocol or port passes" in notes(found)


def test_addresses_that_the_peer_gives() -> None:
    (table,) = tables(
        *suggest([connection()], [marked(3, local_vips=("10.99.0.1", "2001:db8::9"))])
    )
    assert table["addresses"] == ("{local_vip4}/32", "{local_vip6}/128")


def test_an_sa_whose_child_is_no_longer_loaded() -> None:
    (found,) = suggest([], [marked(3)])
    assert (found.keys, found.works) == ((), True)
    assert "swanctl.conf has it no more" in notes(found)


def test_names_of_interfaces_differ_and_can_be_one() -> None:
    names = ("lo", "a b/c", "averyveryverylongname-1", "averyveryverylongname-2", "*", "é")
    found = suggest([connection(name) for name in names], [])
    interfaces = [str(table["interface"]) for table in tables(*found)]
    assert len(set(interfaces)) == len(names)
    config = load(suggested(found, "5.9.8", "/run/charon.vici"))
    assert [policy.connection for policy in config.policies][4] == "[*]"


def test_the_text_can_be_read_with_what_a_person_fills_in() -> None:
    text = suggested(suggest([connection()], [marked(3)]), "5.9.8", "/srv/charon.vici")
    filled = text.replace("#addresses", "addresses").replace("#[", "[")
    for key in ("neighbor", "local_as", "remote_as", "name", "socket", "include"):
        filled = filled.replace(f"#{key} ", f"{key} ")
    config = load(filled)
    assert config.vici.socket == "/srv/charon.vici"
    (policy,) = config.policies
    assert policy.addresses == ("169.254.0.1/30",)
    assert policy.bgp[0].neighbor == "169.254.0.2"


def test_names_cannot_end_their_string() -> None:
    name = 'a"]#\\'
    (policy,) = load(suggested(suggest([connection(name)], []), "5", "/run/charon.vici")).policies
    assert policy.connection.replace("[[]", "[") == name


VTI = Link("", "vti1", "vti", "192.0.2.1", "192.0.2.2", 3, 3, 1419, "")
XFRM = Link("red", "ipsec1", "xfrm", "", "", 0, 0, 1400, "", if_id=7)


def there(link: Link, *addresses: str) -> Present:
    return Present(link, frozenset({*addresses, "fe80::1/64"}))


def routed(*routes: FoundRoute) -> tuple[Suggestion, ...]:
    """Suggest for an SA whose selectors ask for 10.2.0.0/16, and whose interface has routes."""
    found = suggest([connection()], [marked(3)], [Present(VTI, routes=routes)])
    load(suggested(found, "6.0", "/run/charon.vici"))
    return found


def by_hand(to: str, metric: int = 0, table: int = 254, **facts: object) -> FoundRoute:
    return FoundRoute(Route(to, metric, table), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("link", "one", "keys"),
    [
        (VTI, marked(3), {"interface": "vti1"}),
        (replace(VTI, remote="0.0.0.0"), marked(3), {"interface": "vti1"}),  # noqa: S104
        (XFRM, sa(if_id_in=7, if_id_out=7), {"interface": "ipsec1", "netns": "red"}),
        (replace(VTI, vrf="blue"), marked(3), {"interface": "vti1", "vrf": "blue"}),
    ],
)
def test_an_interface_that_is_there_keeps_its_name_and_its_addresses(
    link: Link, one: ChildSa, keys: dict[str, str]
) -> None:
    given = "169.254.1.2 peer 169.254.1.1/30"
    found = suggest([connection()], [one], [there(link, given)])
    (table,) = tables(*found)
    assert {key: table[key] for key in keys} == keys
    assert table["addresses"] == (given,)
    name = "/".join(filter(None, (link.netns, link.name)))
    assert f"`vtictl adopt {name}` makes it vtid's own" in notes(*found)
    load(suggested(found, "6.0", "/run/charon.vici"))


@pytest.mark.parametrize(
    "link",
    [
        replace(VTI, ikey=4),
        replace(VTI, remote="192.0.2.9"),
        replace(VTI, kind="vti6"),
        replace(XFRM, if_id=3),
    ],
)
def test_one_that_carries_nothing_of_it_is_another(link: Link) -> None:
    found = suggest([connection()], [marked(3)], [there(link, "10.0.0.1/30")])
    (table,) = tables(*found)
    assert table["interface"] == "site"
    assert "addresses" not in table
    assert "adopt" not in notes(*found)


def test_a_name_that_is_taken_is_not_suggested() -> None:
    other = there(replace(VTI, name="site", ikey=9))
    (table,) = tables(*suggest([connection()], [marked(3)], [other]))
    assert table["interface"] == "site-2"


def test_one_of_vtid_is_not_to_be_adopted() -> None:
    found = suggest([connection()], [marked(3)], [there(replace(VTI, alias="vtid:vti1"))])
    assert tables(*found)[0]["interface"] == "vti1"
    assert "adopt" not in notes(*found)


def test_road_warriors_have_interfaces_of_their_own_whatever_is_there() -> None:
    anybody = connection(remote_addrs=("%any",), remote_ids=("%any",))
    found = suggest([anybody], [marked(3)], [there(VTI)])
    assert "{remote_id}" in str(tables(*found)[0]["interface"])


@pytest.mark.parametrize(
    ("route", "keys"),
    [
        (by_hand("10.9.0.0/16"), {"to": "10.9.0.0/16"}),
        (by_hand("0.0.0.0/0", table=220), {"to": "0.0.0.0/0", "table": 220}),
        (by_hand("2001:db8:9::/48", 1024), {"to": "2001:db8:9::/48"}),
        (by_hand("2001:db8:9::/48", 50), {"to": "2001:db8:9::/48", "metric": 50}),
        (by_hand("10.9.0.0/16", ours=True), {"to": "10.9.0.0/16"}),
    ],
)
def test_a_route_that_is_there_stands_beside_those_of_the_selectors(
    route: FoundRoute, keys: dict[str, object]
) -> None:
    (table,) = tables(*routed(route))
    assert table["routes"] == ({"to": "remote-ts"}, keys)


def test_a_route_that_selectors_make_is_written_once() -> None:
    assert tables(*routed(by_hand("10.2.0.0/16")))[0]["routes"] == "remote-ts"


def test_the_route_of_a_selector_keeps_its_metric() -> None:
    (found,) = routed(by_hand("10.2.0.0/16", 100))
    assert tables(found)[0]["routes"] == ({"to": "10.2.0.0/16", "metric": 100},)
    assert "selectors become routes" not in notes(found)


def test_routes_of_a_vrf_need_no_table() -> None:
    there = Present(replace(VTI, vrf="blue", table=10), routes=(by_hand("10.2.0.0/16", table=10),))
    assert tables(*suggest([connection()], [marked(3)], [there]))[0]["routes"] == "remote-ts"


def test_routes_that_vtid_cannot_have_are_named_with_the_way_out() -> None:
    found = routed(
        by_hand("10.7.0.0/16", daemon=True),
        by_hand("10.8.0.0/16", 5, 220, unlike="a source address (`src`)"),
    )
    assert tables(*found)[0]["routes"] == "remote-ts"
    assert "left out: routes of a routing daemon, which keeps them: 10.7.0.0/16." in notes(*found)
    assert "the route to 10.8.0.0/16, which has a source address (`src`)" in notes(*found)
    assert "ip route replace 10.8.0.0/16 dev vti1 metric 5 table 220" in notes(*found)


def test_of_many_routes_some_are_named() -> None:
    many = [f"10.{number}.0.0/16" for number in range(100, 130)]
    by_daemon = notes(*routed(*(by_hand(to, daemon=True) for to in many)))
    assert "10.104.0.0/16 and 25 more." in by_daemon
    odd = notes(*routed(*(by_hand(to, unlike="a gateway") for to in many)))
    assert "left out: 25 more routes of that sort." in odd
    assert odd.count("ip route replace") == 5
