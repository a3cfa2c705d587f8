"""Statistics that the kernel writes, as messages and as text."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from vtid.kernel import wire as nl
from vtid.kernel.stats import read_link_stats, read_stats, read_xfrm_stat
from vtid.model.counts import LinkCounters

LINUX_6_1 = (
    "XfrmInError             \t0\nXfrmInNoStates          \t17\n"
    "XfrmFwdHdrError         \t0\nXfrmAcquireError        \t2\n"
)


# struct rtnl_link_stats64 with its fields numbered from 1, in the order of linux/if_link.h
NUMBERED = struct.pack("=24Q", *range(1, 25))
COUNTERS = LinkCounters(
    rx_packets=1,
    tx_packets=2,
    rx_bytes=3,
    tx_bytes=4,
    rx_errors=5,
    tx_errors=6,
    rx_dropped=7,
    tx_dropped=8,
    tx_carrier_errors=18,
)


def message(kind: int, body: bytes) -> nl.Message:
    return next(iter(nl.split(nl.Request(kind, 0, body).encode(0))))


def test_each_counter_has_its_place() -> None:
    listed = nl.STATS.pack(0, 9, 1) + nl.attribute(nl.IFLA_STATS_LINK_64, NUMBERED)
    assert read_stats(message(nl.RTM_NEWSTATS, listed)) == (9, COUNTERS)
    gone = nl.LINK.pack(0, 0, 9, 0, 0) + nl.attribute(nl.IFLA_STATS64, NUMBERED)
    assert read_link_stats(message(nl.RTM_DELLINK, gone)) == COUNTERS


def test_a_link_may_go_without_counters() -> None:
    head = nl.LINK.pack(0, 0, 9, 0, 0)
    cut = head + nl.attribute(nl.IFLA_STATS64, NUMBERED[:40])
    assert read_link_stats(message(nl.RTM_DELLINK, head)) is None
    assert read_link_stats(message(nl.RTM_DELLINK, cut)) is None


def test_packets_that_ipsec_dropped() -> None:
    assert read_xfrm_stat(LINUX_6_1) == {
        "InError": 0,
        "InNoStates": 17,
        "FwdHdrError": 0,
        "AcquireError": 2,
    }


def test_a_kernel_without_the_file_has_none() -> None:
    assert read_xfrm_stat("") == {}


def test_a_number_of_any_length_is_skipped() -> None:
    assert read_xfrm_stat(f"XfrmInError\t{'9' * 5000}\nXfrmInNoStates\t3\n") == {"InNoStates": 3}


@given(st.text())
def test_other_text_is_skipped(text: str) -> None:
    assert all(value >= 0 for value in read_xfrm_stat(text).values())
