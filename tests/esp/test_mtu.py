"""The MTU arithmetic, against figures measured on Linux 6.1 with VTIs and an outer MTU of 1500."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.esp.algorithms import EspAlgorithms
from vtid.esp.mtu import _CIPHERS, _ICVS, MtuResult, Overhead, UnknownAlgorithm, ah_mtu, tunnel_mtu

CBC_SHA256 = EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128")
CBC_SHA512 = EspAlgorithms("AES_CBC", 256, "HMAC_SHA2_512_256")
GCM = EspAlgorithms("AES_GCM_16", 256)

families = st.sampled_from([4, 6])


@pytest.mark.parametrize(
    ("esp", "family", "encap", "mtu"),
    [
        (CBC_SHA256, 6, False, 1406),
        (CBC_SHA256, 4, False, 1438),
        (CBC_SHA256, 4, True, 1422),
        (GCM, 6, False, 1426),
        (GCM, 4, False, 1446),
        (GCM, 4, True, 1438),
        (GCM, 6, True, 1418),
        (CBC_SHA512, 4, False, 1422),
    ],
    ids=str,
)
def test_measured(esp: EspAlgorithms, family: int, encap: bool, mtu: int) -> None:  # noqa: FBT001 - a column of the table
    assert tunnel_mtu(esp, family, encap=encap, underlay=1500).mtu == mtu


def test_every_part() -> None:
    assert tunnel_mtu(CBC_SHA256, 6, encap=True, underlay=1500) == MtuResult(
        mtu=1406,
        mss4=1366,
        mss6=1346,
        overhead=Overhead(outer_ip=40, udp=8, esp_header=8, iv=16, icv=16, trailer=2, alignment=4),
    )


def test_keys_and_esn_cost_nothing() -> None:
    small = EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128")
    large = EspAlgorithms("AES_CBC", 256, "HMAC_SHA2_256_128", 256, esn=True)
    assert tunnel_mtu(small, 4, encap=False, underlay=1500) == tunnel_mtu(
        large, 4, encap=False, underlay=1500
    )


def test_aead_protects_itself() -> None:
    with_integ = EspAlgorithms("AES_GCM_16", 256, "HMAC_SHA2_256_128")
    assert tunnel_mtu(with_integ, 4, encap=False, underlay=1500) == tunnel_mtu(
        GCM, 4, encap=False, underlay=1500
    )


def test_encryption_without_integrity_has_no_icv() -> None:
    assert (
        tunnel_mtu(EspAlgorithms("AES_CBC", 128), 4, encap=False, underlay=1500).overhead.icv == 0
    )


@pytest.mark.parametrize(
    ("esp", "name"),
    [
        (EspAlgorithms("ROT_13", 0, "HMAC_SHA1_96"), "ROT_13"),
        (EspAlgorithms("AES_CBC", 128, "CRC_32"), "CRC_32"),
    ],
)
def test_unknown_algorithms_are_named(esp: EspAlgorithms, name: str) -> None:
    with pytest.raises(UnknownAlgorithm, match=name):
        tunnel_mtu(esp, 4, encap=False, underlay=1500)


@given(
    st.sampled_from(sorted(_CIPHERS)),
    st.sampled_from(sorted(_ICVS)),
    families,
    st.booleans(),
    st.integers(68, 65535),
)
def test_a_full_packet_fills_the_outer_mtu(
    encr: str,
    integ: str,
    family: int,
    encap: bool,  # noqa: FBT001 - drawn
    underlay: int,
) -> None:
    """Build the packet from the other end: as many blocks as fit, and not one more."""
    result = tunnel_mtu(EspAlgorithms(encr, 0, integ), family, encap=encap, underlay=underlay)
    parts = result.overhead
    block = max(4, _CIPHERS[encr].block)
    outside = parts.outer_ip + parts.udp + parts.esp_header + parts.iv + parts.icv
    encrypted = result.mtu + parts.trailer
    assert encrypted % block == 0
    assert outside + encrypted <= underlay < outside + encrypted + block
    assert result.mtu + parts.total == underlay


@pytest.mark.parametrize(
    ("integ", "family", "mtu"),
    [
        ("HMAC_SHA2_256_128", 4, 1448),
        ("HMAC_SHA2_256_128", 6, 1428),
        ("HMAC_SHA1_96", 4, 1456),
        ("HMAC_SHA2_512_256", 4, 1432),
    ],
)
def test_ah_fills_its_header_up_to_eight_bytes(integ: str, family: int, mtu: int) -> None:
    assert ah_mtu(integ, family, underlay=1500) == mtu


def test_an_unknown_algorithm_of_ah_is_named() -> None:
    with pytest.raises(UnknownAlgorithm, match="AH integrity algorithm 'NEW'"):
        ah_mtu("NEW", 4, underlay=1500)
