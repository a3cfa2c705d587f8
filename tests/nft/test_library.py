from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.nft import library
from vtid.nft.library import NftError, parse_generation

NEWGEN = bytes.fromhex(
    "2c0000000f0a000001000000150000000000000308000100000000030800020000001d31080003006e667400"
)
"""An NFT_MSG_NEWGEN as kernel 6.18 sends it: NFTA_GEN_ID 3, NFTA_GEN_PROC_PID, …_NAME `nft`."""


def test_generation() -> None:
    assert parse_generation(NEWGEN) == 3


def test_error_names_the_way_out() -> None:
    error = struct.pack("=IHHII", 36, library.NLMSG_ERROR, 0, 0, 0) + struct.pack("=i", -1)
    with pytest.raises(NftError, match="Operation not permitted: run vtid as root"):
        parse_generation(error)


def test_an_error_that_has_no_words() -> None:
    error = struct.pack("=IHHII", 36, library.NLMSG_ERROR, 0, 0, 0) + struct.pack("=i", -(1 << 31))
    with pytest.raises(NftError, match="error -2147483648"):
        parse_generation(error)


@given(st.binary(max_size=64))
def test_any_bytes_parse_or_raise(data: bytes) -> None:
    for candidate in (data, NEWGEN[:20] + data, NEWGEN[: len(data)]):
        try:
            parse_generation(candidate)
        except NftError:
            continue


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "LIBRARY", "libnftables.so.none")
    library._library.cache_clear()
    with pytest.raises(NftError, match="install libnftables1"):
        library.Nftables()


def test_refusal_is_one_line() -> None:
    text = "Error: Could not process rule: Operation not permitted\nadd table\n^^^\n"
    assert str(library._refusal(text)) == (
        "nftables refused: Could not process rule: Operation not permitted: "
        "run vtid as root or with CAP_NET_ADMIN"
    )
    assert str(library._refusal("")) == "nftables refused: no reason given"
