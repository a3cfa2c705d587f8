"""ESP proposals of swanctl.conf (`aes128-sha256-x25519-esn`), parsed into algorithms.

Rules of this file:

* Pure, and light: `vtictl mtu` imports it.
* It takes what charon takes and refuses what charon refuses: the words are those of strongSwan's
  libstrongswan/crypto/proposal/proposal_keywords_static.txt (5.9 and 6.0), the rules those of
  `check_proposal` in proposal.c.

Key exchange, PRF and ESN words do not change a packet's size: they are checked and ignored.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Final

from vtid.esp.algorithms import EspAlgorithms


class ProposalError(ValueError):
    """A proposal that charon would refuse; the text names the word and the way out."""


def parse(text: str) -> tuple[EspAlgorithms, ...]:
    """Return the algorithms that a proposal, or a comma-separated list of them, allows.

    They come in the order of the text, each once; a proposal with several algorithms of a kind
    allows all combinations. Raises `ProposalError`.
    """
    chosen = (esp for proposal in text.split(",") for esp in _parse_one(proposal.strip()))
    return tuple(dict.fromkeys(chosen))


def _parse_one(proposal: str) -> list[EspAlgorithms]:
    if not proposal:
        raise ProposalError('an empty proposal: write one like "aes128-sha256"')
    if proposal.lower() == "default":
        raise ProposalError(
            '"default" depends on the plugins that charon has loaded: write the algorithms that '
            "`swanctl --list-sas` shows"
        )
    words = [word.strip() for word in proposal.split("-") if word.strip()]
    for word in words:
        _check_word(word)
    ciphers = [_ENCRYPTION[word] for word in words if word in _ENCRYPTION]
    integrity = [_INTEGRITY[word] for word in words if word in _INTEGRITY]
    if not ciphers:
        raise ProposalError(f"{proposal!r} has no encryption algorithm, which ESP needs")
    esn = next((word == "esn" for word in words if word in _ESN), False)
    aead = {_is_aead(name) for name, _ in ciphers}
    if len(aead) > 1:
        raise ProposalError(f"{proposal!r} mixes AEAD and other ciphers: make it two proposals")
    if aead == {True} or not integrity:
        integrity = [""]
    return [
        EspAlgorithms(encr=name, encr_keysize=size, integ=integ, esn=esn)
        for (name, size), integ in product(ciphers, integrity)
    ]


def _check_word(word: str) -> None:
    if word in _WORDS or (_ADDITIONAL_KE.match(word) and word[4:] in _KEY_EXCHANGE):
        return
    import difflib  # noqa: PLC0415 - costs a tenth of the start of `vtictl`, for an error alone

    near = difflib.get_close_matches(word, sorted(_WORDS), n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise ProposalError(f"unknown word {word!r} in the proposal{hint}")


def _is_aead(encr: str) -> bool:
    return any(mode in encr for mode in ("_GCM_", "_CCM_", "_GMAC", "POLY1305"))


# --- words ---------------------------------------------------------------------------------------

_ADDITIONAL_KE: Final = re.compile(r"ke[1-7]_")
"""Prefix of additional key exchanges (RFC 9370), strongSwan 6.0."""

_ICV_WORDS: Final = {"8": 8, "64": 8, "12": 12, "96": 12, "16": 16, "128": 16}
"""ICV in bytes, and the same in bits."""

_SIZES: Final = (128, 192, 256)


def _sized(word: str, name: str, suffix: str = "") -> dict[str, tuple[str, int]]:
    return {f"{word}{size}{suffix}": (name, size) for size in _SIZES}


def _aead(word: str, mode: str) -> dict[str, tuple[str, int]]:
    return {
        f"{word}{size}{mode}{suffix}": (f"{word}_{mode}_{icv}".upper(), size)
        for size in _SIZES
        for suffix, icv in _ICV_WORDS.items()
    }


_ENCRYPTION: Final = {
    "null": ("NULL", 0),
    "des": ("DES_CBC", 0),
    "3des": ("3DES_CBC", 0),
    "aes": ("AES_CBC", 128),
    **_sized("aes", "AES_CBC"),
    **_sized("aes", "AES_CTR", "ctr"),
    **_aead("aes", "ccm"),
    **_sized("aes", "AES_CCM_16", "ccm"),
    **_aead("aes", "gcm"),
    **_sized("aes", "AES_GCM_16", "gcm"),
    **_sized("aes", "NULL_AES_GMAC", "gmac"),
    "chacha20poly1305": ("CHACHA20_POLY1305", 0),
    "chacha20poly1305compat": ("CHACHA20_POLY1305", 256),
    "blowfish": ("BLOWFISH_CBC", 128),
    **_sized("blowfish", "BLOWFISH_CBC"),
    "camellia": ("CAMELLIA_CBC", 128),
    **_sized("camellia", "CAMELLIA_CBC"),
    **_sized("camellia", "CAMELLIA_CTR", "ctr"),
    **_aead("camellia", "ccm"),
    "cast128": ("CAST_CBC", 128),
    "serpent": ("SERPENT_CBC", 128),
    **_sized("serpent", "SERPENT_CBC"),
    "twofish": ("TWOFISH_CBC", 128),
    **_sized("twofish", "TWOFISH_CBC"),
}
"""VICI's name of the algorithm and the key size in bits, 0 where there is one size only."""

_INTEGRITY: Final = {
    "sha": "HMAC_SHA1_96",
    "sha1": "HMAC_SHA1_96",
    "sha1_160": "HMAC_SHA1_160",
    "sha256": "HMAC_SHA2_256_128",
    "sha2_256": "HMAC_SHA2_256_128",
    "sha256_96": "HMAC_SHA2_256_96",
    "sha2_256_96": "HMAC_SHA2_256_96",
    "sha384": "HMAC_SHA2_384_192",
    "sha2_384": "HMAC_SHA2_384_192",
    "sha512": "HMAC_SHA2_512_256",
    "sha2_512": "HMAC_SHA2_512_256",
    "md5": "HMAC_MD5_96",
    "md5_128": "HMAC_MD5_128",
    "aesxcbc": "AES_XCBC_96",
    "camelliaxcbc": "CAMELLIA_XCBC_96",
    "aescmac": "AES_CMAC_96",
}

_PRF: Final = (  # noqa: SIM905 - a table to read
    "prfmd5 prfsha1 prfsha256 prfsha384 prfsha512 prfaesxcbc prfcamelliaxcbc prfaescmac"
).split()

_KEY_EXCHANGE: Final = (  # noqa: SIM905 - a table to read
    "none modpnone modpnull "
    "modp768 modp1024 modp1536 modp2048 modp3072 modp4096 modp6144 modp8192 "
    "modp1024s160 modp2048s224 modp2048s256 "
    "ecp192 ecp224 ecp256 ecp384 ecp521 ecp224bp ecp256bp ecp384bp ecp512bp "
    "curve25519 x25519 curve448 x448 "
    "ntru112 ntru128 ntru192 ntru256 newhope128 mlkem512 mlkem768 mlkem1024"
).split()

_ESN: Final = ("noesn", "esn")

_WORDS: Final = frozenset({*_ENCRYPTION, *_INTEGRITY, *_PRF, *_KEY_EXCHANGE, *_ESN})
