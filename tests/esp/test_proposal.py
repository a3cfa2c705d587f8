"""ESP proposals: what charon takes and what it refuses."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtid.esp.algorithms import EspAlgorithms
from vtid.esp.mtu import tunnel_mtu
from vtid.esp.proposal import _ENCRYPTION, _INTEGRITY, _WORDS, ProposalError, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aes128-sha256", EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128")),
        ("aes-sha1", EspAlgorithms("AES_CBC", 128, "HMAC_SHA1_96")),
        ("aes256gcm16-prfsha384-ecp384", EspAlgorithms("AES_GCM_16", 256)),
        ("aes128gcm128", EspAlgorithms("AES_GCM_16", 128)),
        ("aes192gcm64", EspAlgorithms("AES_GCM_8", 192)),
        ("aes256ccm96", EspAlgorithms("AES_CCM_12", 256)),
        ("aes256ccm", EspAlgorithms("AES_CCM_16", 256)),
        ("chacha20poly1305-x25519-esn", EspAlgorithms("CHACHA20_POLY1305", esn=True)),
        ("aes192ctr-sha1", EspAlgorithms("AES_CTR", 192, "HMAC_SHA1_96")),
        ("3des-md5-modp1024-noesn", EspAlgorithms("3DES_CBC", 0, "HMAC_MD5_96")),
        ("null-sha256", EspAlgorithms("NULL", 0, "HMAC_SHA2_256_128")),
        ("aes256gmac", EspAlgorithms("NULL_AES_GMAC", 256)),
        ("camellia256-sha512", EspAlgorithms("CAMELLIA_CBC", 256, "HMAC_SHA2_512_256")),
        ("camellia128ccm16", EspAlgorithms("CAMELLIA_CCM_16", 128)),
        ("aes128-sha256_96", EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_96")),
        ("aes256gcm16-x25519-ke1_mlkem768-ke2_none", EspAlgorithms("AES_GCM_16", 256)),
        ("aes128", EspAlgorithms("AES_CBC", 128)),
        ("aes128gcm16-sha256", EspAlgorithms("AES_GCM_16", 128)),
        ("-aes128--sha256-", EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128")),
        (" aes128 - sha256 ", EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128")),
        ("aes128-sha256-noesn-esn", EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128")),
    ],
)
def test_one_choice(text: str, expected: EspAlgorithms) -> None:
    assert parse(text) == (expected,)


def test_all_choices_in_order_and_once() -> None:
    assert parse("aes256gcm16, aes128-aes256-sha1-sha256, aes128-sha1-x25519") == (
        EspAlgorithms("AES_GCM_16", 256),
        EspAlgorithms("AES_CBC", 128, "HMAC_SHA1_96"),
        EspAlgorithms("AES_CBC", 128, "HMAC_SHA2_256_128"),
        EspAlgorithms("AES_CBC", 256, "HMAC_SHA1_96"),
        EspAlgorithms("AES_CBC", 256, "HMAC_SHA2_256_128"),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("aes128-sah256", "'sah256'.*\"sha256\""),
        ("AES128-sha256", "'AES128'"),
        ("aes128-sha256!", "'sha256!'"),
        ("default", "depends on the plugins"),
        ("aes128-sha256, default", "depends on the plugins"),
        ("", "empty proposal"),
        ("aes128-sha256,", "empty proposal"),
        ("-", "no encryption algorithm"),
        ("sha256-modp2048", "no encryption algorithm"),
        ("aes128-aes128gcm16-sha256", "mixes AEAD"),
        ("aes128gcm16-ke8_x25519", "'ke8_x25519'"),
        ("aes128gcm16-ke1_sha256", "'ke1_sha256'"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(ProposalError, match=says):
        parse(text)


def test_the_mtu_of_every_proposal_is_known() -> None:
    for word, integ in itertools.product(_ENCRYPTION, _INTEGRITY):
        (esp,) = parse(f"{word}-{integ}")
        assert 1300 < tunnel_mtu(esp, 6, encap=True, underlay=1500).mtu < 1500


@given(st.lists(st.sampled_from(sorted(_WORDS)) | st.text("aes128-,_ é", max_size=9), max_size=6))
def test_anything_parses_or_is_refused(words: list[str]) -> None:
    with contextlib.suppress(ProposalError):
        assert parse("-".join(words))
