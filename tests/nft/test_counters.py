"""What the kernel says of the rules' counters, and sums that outlive their table."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.nft.counters import NFTA_COUNTER_PACKETS, Growth, parse
from vtid.nft.library import NLATTR, NLMSGHDR, NftError
from vtid.nft.ruleset import MAPS

RULES = (Path(__file__).parent / "golden" / "rules.bin").read_bytes()


def _packets(count: int) -> bytes:
    return NLATTR.pack(12, NFTA_COUNTER_PACKETS) + struct.pack("!Q", count)


def test_the_rules_of_each_map_are_added_up() -> None:
    assert RULES.count(_packets(0)) == 12
    assert parse(RULES) == (dict.fromkeys(MAPS, 0), False)
    counted, _ = parse(RULES.replace(_packets(0), _packets(7)))
    assert counted == {"mss4_out": 14, "mss6_out": 14, "mss4_in": 28, "mss6_in": 28}


def test_an_unfinished_list_says_so() -> None:
    first = NLMSGHDR.unpack_from(RULES)[0]
    assert parse(RULES[:first]) == ({"mss4_out": 0}, True)


def test_rules_without_counters_have_counted_nothing() -> None:
    counted, _ = parse(RULES.replace(b"counter\0", b"notrack\0"))
    assert counted == dict.fromkeys(MAPS, 0)


def test_errors_are_told() -> None:
    error = NLMSGHDR.pack(36, 2, 0, 0, 0) + struct.pack("=i", -1) + bytes(16)
    with pytest.raises(NftError, match="Operation not permitted: run vtid as root"):
        parse(error)
    with pytest.raises(NftError, match="cut short"):
        parse(RULES[:21])


@given(st.binary(max_size=200), st.integers(0, len(RULES)))
def test_any_bytes_are_read_or_refused(data: bytes, cut: int) -> None:
    with suppress(NftError):
        parse(RULES[:cut] + data)


def test_sums_go_on_when_the_table_is_made_anew() -> None:
    growth = Growth()
    for now in ({"mss4_out": 100}, {"mss4_out": 103}, {"mss4_out": 2}, {}, {"mss4_out": 4}):
        growth.read(now)
    assert growth.total == {"mss4_out": 3 + 2 + 4}


def test_a_table_that_comes_later_counts_from_its_start() -> None:
    growth = Growth()
    growth.read({})
    growth.read({"mss6_in": 5})
    assert growth.total == {"mss6_in": 5}
