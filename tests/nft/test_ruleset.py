from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.model.link import Clamp
from vtid.nft import ruleset
from vtid.nft.ruleset import MAPS, NOT_IN_FORCE, SHAPE, Elements, RulesetError

GOLDEN = Path(__file__).parent / "golden"

WITHOUT_COUNTERS = (GOLDEN / "nft-1.0.6-table-without-counters.json").read_text()
LISTING = (GOLDEN / "nft-1.0.6-table.json").read_text()

names = st.text(alphabet="abc0-._@", min_size=1, max_size=15).filter(lambda n: n not in {".", ".."})
sizes = st.integers(1, 65535)
clamps = st.builds(Clamp, sizes, sizes)


def elements(clamps: dict[str, Clamp]) -> Elements:
    made: Elements = {name: {} for name in MAPS}
    ruleset.apply(made, dict(clamps))
    return made


def test_listing_of_what_build_makes() -> None:
    listing = ruleset.parse(LISTING)
    assert listing.shape == SHAPE
    assert listing.clamps() == {"vti1": Clamp(1366, 1346), "vti2": Clamp(1300, 1280)}


def test_counters_change_nothing_and_have_to_be_there() -> None:
    busy = LISTING.replace('"packets": 0, "bytes": 0', '"packets": 7, "bytes": 420')
    assert busy != LISTING
    assert ruleset.parse(busy).shape == SHAPE
    former = ruleset.parse(WITHOUT_COUNTERS)
    assert former.shape != SHAPE
    assert former.elements == ruleset.parse(LISTING).elements


def test_newer_nft_nests_flags_differently() -> None:
    newer = LISTING.replace('["syn", "rst"]', '{"|": ["syn", "rst"]}')
    assert newer != LISTING
    assert ruleset.parse(newer).shape == SHAPE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"@mss6_in"', '"@mss6_out"'),
        ('"ipv6"', '"ipv4"'),
        ('"hook": "forward"', '"hook": "input"'),
        ('"prio": -150', '"prio": 0'),
        ('"policy": "accept"', '"policy": "drop"'),
        ('"oifname"', '"iifname"'),
        ('"name": "mss4_in"', '"name": "other"'),
        ('"table": {', '"table": {"flags": ["dormant"], '),
        ('[{"match"', '[{"drop": null}, {"match"'),
    ],
)
def test_table_of_another_shape(old: str, new: str) -> None:
    assert old in LISTING
    assert ruleset.parse(LISTING.replace(old, new, 1)).shape != SHAPE


def test_missing_rule_or_added_chain() -> None:
    items = json.loads(LISTING)["nftables"]
    without = [item for item in items if item.get("rule", {}).get("handle") != 9]
    assert len(without) == len(items) - 1
    assert ruleset.parse(json.dumps({"nftables": without})).shape != SHAPE
    chain = {"chain": {"family": "inet", "table": "vtid", "name": "more", "handle": 99}}
    assert ruleset.parse(json.dumps({"nftables": [*items, chain]})).shape != SHAPE


def test_maps_that_disagree_are_not_in_force() -> None:
    listing = ruleset.parse(LISTING)
    del listing.elements["mss4_in"]["vti1"]
    listing.elements["mss6_out"]["vti2"] = 1
    assert listing.clamps() == {"vti1": NOT_IN_FORCE, "vti2": NOT_IN_FORCE}


def test_names_that_vtid_cannot_have_written_are_left_out() -> None:
    hostile = LISTING.replace('"vti1"', '"a$b;x"').replace('["vti2", 1300]', '["vti2", "x"]')
    assert ruleset.parse(hostile).clamps() == {"vti2": NOT_IN_FORCE}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"nftables": 7}', '{"nftables": [7]}'])
def test_listing_that_is_none(text: str) -> None:
    with pytest.raises(RulesetError):
        ruleset.parse(text)


def test_has_table() -> None:
    assert ruleset.has_table(LISTING)
    for other in ('{"family": "ip", "name": "vtid"}', '{"family": "inet", "name": "vtid2"}'):
        assert not ruleset.has_table(f'{{"nftables": [{{"table": {other}}}]}}')


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "x" * 16, 'a"b', "a*", "a\\", "a b", "a\nb", "a/b", "a:b", "é", "a;b", "a$b"],
)
def test_interface_names_that_are_refused(name: str) -> None:
    with pytest.raises(RulesetError, match="cannot be named"):
        ruleset.interface_name(name)


@pytest.mark.parametrize("mss", [0, -1, 65536])
def test_sizes_that_are_refused(mss: int) -> None:
    for clamp in (Clamp(mss, 1346), Clamp(1366, mss)):
        with pytest.raises(RulesetError, match="not from 1 to 65535"):
            ruleset.values(clamp)


def test_change_deletes_and_adds_what_differs_only() -> None:
    before = elements({"vti1": Clamp(1366, 1346), "vti2": Clamp(1300, 1280)})
    assert ruleset.change(before, {"vti1": Clamp(1366, 1346), "vti9": None}) == ""
    assert ruleset.change(before, {"vti1": Clamp(1366, 1000), "vti2": None}) == (
        'delete element inet vtid mss4_out { "vti2" }\n'
        'delete element inet vtid mss4_in { "vti2" }\n'
        'delete element inet vtid mss6_out { "vti1", "vti2" }\n'
        'add element inet vtid mss6_out { "vti1" : 1000 }\n'
        'delete element inet vtid mss6_in { "vti1", "vti2" }\n'
        'add element inet vtid mss6_in { "vti1" : 1000 }\n'
    )


def test_build_replaces_whatever_is_there() -> None:
    text = ruleset.build(elements({"vti1": Clamp(1366, 1346)}))
    assert text.startswith("add table inet vtid\ndelete table inet vtid\ntable inet vtid {\n")
    assert text.endswith('add element inet vtid mss6_in { "vti1" : 1346 }\n')
    assert all(f"hook {hook}" in text for hook in ("forward", "input", "output"))


def play(text: str, there: Elements) -> Elements:
    """Do what nftables does with element commands, as strictly."""
    result = {name: dict(values) for name, values in there.items()}
    for line in text.splitlines():
        verb, _, _, _, name, items = line.split(" ", 5)
        for item in items.strip("{} ").split(", "):
            key, _, value = item.partition(" : ")
            key = key.strip('"')
            if verb == "delete":
                del result[name][key]
            else:
                assert key not in result[name], "EEXIST"
                result[name][key] = int(value)
    return result


@given(
    st.dictionaries(names, clamps, max_size=6),
    st.dictionaries(names, st.none() | clamps, max_size=6),
)
def test_change_does_what_it_says(
    before: dict[str, Clamp], changes: dict[str, Clamp | None]
) -> None:
    there = elements(before)
    after = play(ruleset.change(there, changes), there)
    nothing_left = ruleset.leaves_nothing(there, changes)
    ruleset.apply(there, changes)
    assert after == there
    assert nothing_left == (not any(there.values()))
    assert ruleset.change(there, changes) == ""
