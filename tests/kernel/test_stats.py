"""Statistics that the kernel writes as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vtid.kernel.stats import read_xfrm_stat

LINUX_6_1 = (
    "XfrmInError             \t0\nXfrmInNoStates          \t17\n"
    "XfrmFwdHdrError         \t0\nXfrmAcquireError        \t2\n"
)


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
